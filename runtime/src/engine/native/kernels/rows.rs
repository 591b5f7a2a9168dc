//! The inner loop of layers with few outputs over long rows: vectors lie along the rows.

use pulp::Simd;

/// The sums of `X` vectors of consecutive positions by `C` outputs, from inputs in planes.
///
/// `base` is the place of the first position; `offsets` the inputs of a sum from there on; `weights` those of
/// all outputs for each.
#[inline(always)]
pub(super) fn row<S: Simd, const X: usize, const C: usize>(
    simd: S,
    input: &[f32],
    base: usize,
    offsets: &[usize],
    weights: &[f32],
    bias: &[f32],
) -> [[S::f32s; X]; C] {
    let mut sums = [[simd.splat_f32s(0.0); X]; C];
    for (sums, bias) in sums.iter_mut().zip(bias) {
        *sums = [simd.splat_f32s(*bias); X];
    }
    let input = &input[base..];
    for (&offset, weights) in offsets.iter().zip(weights.as_chunks::<C>().0) {
        let x = S::as_simd_f32s(&input[offset..][..X * S::F32_LANES]).0;
        let x: &[S::f32s; X] = x.as_array().expect("as many vectors");
        for c in 0..C {
            let weight = simd.splat_f32s(weights[c]);
            for i in 0..X {
                sums[c][i] = simd.mul_add_e_f32s(x[i], weight, sums[c][i]);
            }
        }
    }
    sums
}
