//! The inner loop of layers with fewer outputs than a vector has lanes: a vector holds products of one
//! output, which are added up at the end.

use pulp::Simd;

use super::tile::Run;

/// The sums of `P` positions by `C` outputs.
///
/// `weights` has for every run the vectors of the first output, then those of the second, and so on,
/// each filled up with zeros.
#[inline(always)]
pub(super) fn narrow<S: Simd, const P: usize, const C: usize>(
    simd: S,
    input: &[f32],
    bases: &[usize; P],
    runs: &[Run],
    weights: &[S::f32s],
) -> [[f32; C]; P] {
    let mut sums = [[simd.splat_f32s(0.0); C]; P];
    let mut rest = weights;
    for run in runs {
        let vectors = run.len.div_ceil(S::F32_LANES);
        let (now, later) = rest.split_at(vectors * C);
        rest = later;
        let mut w: [&[S::f32s]; C] = [&[]; C];
        for (c, w) in w.iter_mut().enumerate() {
            *w = &now[c * vectors..][..vectors];
        }
        let whole = run.len / S::F32_LANES;
        let mut x: [&[S::f32s]; P] = [&[]; P];
        let mut tails: [&[f32]; P] = [&[]; P];
        for p in 0..P {
            let (vectors, tail) = S::as_simd_f32s(&input[bases[p] + run.offset..][..run.len]);
            (x[p], tails[p]) = (&vectors[..whole], tail);
        }
        for t in 0..whole {
            for c in 0..C {
                for p in 0..P {
                    sums[p][c] = simd.mul_add_e_f32s(x[p][t], w[c][t], sums[p][c]);
                }
            }
        }
        if whole < vectors {
            for p in 0..P {
                let x = simd.partial_load_f32s(tails[p]);
                for c in 0..C {
                    sums[p][c] = simd.mul_add_e_f32s(x, w[c][whole], sums[p][c]);
                }
            }
        }
    }
    let mut reduced = [[0.0; C]; P];
    for p in 0..P {
        for c in 0..C {
            reduced[p][c] = simd.reduce_sum_f32s(sums[p][c]);
        }
    }
    reduced
}
