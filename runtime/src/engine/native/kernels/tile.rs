//! The inner loop of every layer with many outputs.

use pulp::Simd;

use super::ahead::Ahead;

/// Numbers that lie side by side in the input and meet consecutive weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Run {
    /// From the position's base to the first of them.
    pub(in super::super) offset: usize,
    /// How many they are.
    pub(in super::super) len: usize,
}

/// The sums of `P` positions by `V` vectors of outputs, held in registers from the first product to
/// the last.
///
/// Products are added one after the other in the order of the weights, so that a sum does not depend
/// on the positions that it is computed beside.
#[inline(always)]
pub(super) fn tile<S: Simd, const P: usize, const V: usize>(
    simd: S,
    input: &[f32],
    bases: &[usize; P],
    runs: &[Run],
    weights: &[S::f32s],
    mut ahead: Ahead,
    mut sums: [[S::f32s; V]; P],
) -> [[S::f32s; V]; P] {
    let reach = runs.last().map_or(0, |run| run.offset + run.len);
    let mut within: [&[f32]; P] = [&[]; P];
    for p in 0..P {
        within[p] = &input[bases[p]..][..reach];
    }
    let mut rest = weights;
    for run in runs {
        let len = run.len;
        let mut x: [&[f32]; P] = [&[]; P];
        for p in 0..P {
            x[p] = &within[p][run.offset..][..len];
        }
        let (now, later) = rest.split_at(len * V);
        rest = later;
        let now = &now.as_chunks::<V>().0[..len];
        for t in 0..len {
            ahead.ask();
            for p in 0..P {
                let x = simd.splat_f32s(x[p][t]);
                for v in 0..V {
                    sums[p][v] = simd.mul_add_e_f32s(x, now[t][v], sums[p][v]);
                }
            }
        }
    }
    sums
}
