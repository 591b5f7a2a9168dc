//! The inner loop of layers with few outputs over long rows: vectors lie along a row.

use pulp::Simd;

use super::tile::Run;

/// The sums of `X` vectors of positions by `C` outputs, from inputs in planes.
///
/// `bases` has the place of every vector's first position; `weights` the weights of all outputs for every
/// input.
#[inline(always)]
pub(super) fn row<S: Simd, const X: usize, const C: usize>(
    simd: S,
    input: &[f32],
    bases: &[usize; X],
    runs: &[Run],
    weights: &[f32],
    bias: &[f32],
) -> [[S::f32s; C]; X] {
    let mut sums = [[simd.splat_f32s(0.0); C]; X];
    for sums in &mut sums {
        for (sum, bias) in sums.iter_mut().zip(bias) {
            *sum = simd.splat_f32s(*bias);
        }
    }
    let mut weights = weights.as_chunks::<C>().0.iter();
    for run in runs {
        for (offset, weights) in (run.offset..run.offset + run.len).zip(&mut weights) {
            let mut x = [simd.splat_f32s(0.0); X];
            for (x, base) in x.iter_mut().zip(bases) {
                *x = S::as_simd_f32s(&input[base + offset..][..S::F32_LANES]).0[0];
            }
            for c in 0..C {
                let weight = simd.splat_f32s(weights[c]);
                for i in 0..X {
                    sums[i][c] = simd.mul_add_e_f32s(x[i], weight, sums[i][c]);
                }
            }
        }
    }
    sums
}
