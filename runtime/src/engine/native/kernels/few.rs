//! Sums at a few positions, which read every weight once.

use std::ops::Range;

use pulp::{NullaryFnOnce, Simd};

use super::super::pack::{Panels, Weights};
use super::correlate::Correlate;

/// An instruction set with what reads a kind of weights.
pub(super) trait Reader: Copy {
    type Simd: Simd;
    /// The weights of an input and two vectors of outputs, as they are stored.
    type Pair;

    fn simd(self) -> Self::Simd;
    /// Runs what it is in, compiled for the instruction set.
    fn vectorize(self, run: impl NullaryFnOnce<Output = ()>);
    /// The weights of the panel, of two vectors, that begins with an output.
    fn panel(self, panels: &Panels, output: usize) -> &[Self::Pair];
    fn pair(self, pair: &Self::Pair) -> [<Self::Simd as Simd>::f32s; 2];
}

/// Weights in single precision.
#[derive(Clone, Copy)]
pub(super) struct Singles<S>(pub(super) S);

impl<S: Simd> Reader for Singles<S> {
    type Simd = S;
    type Pair = [S::f32s; 2];

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }

    #[inline(always)]
    fn vectorize(self, run: impl NullaryFnOnce<Output = ()>) {
        self.0.vectorize(run);
    }

    #[inline(always)]
    fn panel(self, panels: &Panels, output: usize) -> &[Self::Pair] {
        let Weights::Outputs(weights) = &panels.weights else { return &[] };
        let len = 2 * S::F32_LANES * panels.depth;
        let weights = &weights.values()[output * panels.depth..][..len];
        S::as_simd_f32s(weights).0.as_chunks().0
    }

    #[inline(always)]
    fn pair(self, pair: &Self::Pair) -> [S::f32s; 2] {
        *pair
    }
}

/// `P` positions and `K` panels, which are read at once: they lie apart, and a processor that fetches ahead of each
/// has twice as much from memory as of one after the other.
struct Few<'a, 'b, R, const P: usize, const K: usize> {
    reader: R,
    layer: &'a mut Correlate<'b>,
    /// The first panel's first output, and from one panel's to the next one's.
    output: usize,
    apart: usize,
}

impl Correlate<'_> {
    /// As many whole panels of some outputs as `K` share evenly, at up to `P` positions. Returns the first output that
    /// is left.
    #[inline(always)]
    pub(super) fn few<R: Reader, const P: usize, const K: usize>(
        &mut self,
        reader: R,
        outputs: Range<usize>,
    ) -> usize {
        let width = 2 * R::Simd::F32_LANES;
        let apart = outputs.len() / (K * width) * width;
        for output in (outputs.start..outputs.start + apart).step_by(width) {
            self.few_panels::<R, P, K>(reader, output, apart);
        }
        outputs.start + K * apart
    }

    #[inline(never)]
    fn few_panels<R: Reader, const P: usize, const K: usize>(
        &mut self,
        reader: R,
        output: usize,
        apart: usize,
    ) {
        reader.vectorize(Few::<R, P, K> { reader, layer: self, output, apart });
    }
}

impl<R: Reader, const P: usize, const K: usize> NullaryFnOnce for Few<'_, '_, R, P, K> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { reader, layer, output, apart } = self;
        let (simd, panels, positions) = (reader.simd(), layer.panels, layer.positions());
        let (mut bases, places) = layer.places::<P>(positions.start);
        // Positions that are missing are computed as the last one, and not kept.
        let last = bases[positions.len() - 1];
        bases[positions.len()..].fill(last);
        let mut rest: [&[R::Pair]; K] = [&[]; K];
        let mut sums = [[[simd.splat_f32s(0.0); 2]; P]; K];
        for k in 0..K {
            let output = output + k * apart;
            rest[k] = reader.panel(panels, output);
            let bias = R::Simd::as_simd_f32s(&panels.bias[output..]).0;
            sums[k] = [[bias[0], bias[1]]; P];
        }
        for run in layer.runs {
            let mut x: [&[f32]; P] = [&[]; P];
            for p in 0..P {
                x[p] = &layer.input[bases[p] + run.offset..][..run.len];
            }
            let mut now: [&[R::Pair]; K] = [&[]; K];
            for k in 0..K {
                (now[k], rest[k]) = rest[k].split_at(run.len);
            }
            for t in 0..run.len {
                for k in 0..K {
                    let weights = reader.pair(&now[k][t]);
                    for p in 0..P {
                        let x = simd.splat_f32s(x[p][t]);
                        for v in 0..2 {
                            sums[k][p][v] = simd.mul_add_e_f32s(x, weights[v], sums[k][p][v]);
                        }
                    }
                }
            }
        }
        for (k, sums) in sums.into_iter().enumerate() {
            let output = output + k * apart;
            let left = panels.outputs - output;
            for (place, sums) in places.iter().zip(sums).take(positions.len()) {
                layer.store(simd, &[*place], output, left, [sums]);
            }
        }
    }
}
