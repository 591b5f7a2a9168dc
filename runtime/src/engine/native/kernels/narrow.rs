//! Layers with fewer outputs than a vector has lanes: a vector holds products of one output, which are added
//! up at the end.

use pulp::Simd;

use super::super::pack::Weights;
use super::activation::Activation;
use super::correlate::Correlate;
use super::tile::Run;

impl Correlate<'_> {
    /// A layer with few outputs: as many positions at once as their sums fill a vector.
    #[inline(always)]
    pub(super) fn narrow<S: Simd, const C: usize>(&mut self, simd: S) {
        match S::F32_LANES / C {
            16.. => self.narrow_of::<S, 16, C>(simd),
            8.. => self.narrow_of::<S, 8, C>(simd),
            5.. => self.narrow_of::<S, 5, C>(simd),
            4.. => self.narrow_of::<S, 4, C>(simd),
            2.. => self.narrow_of::<S, 2, C>(simd),
            _ => self.narrow_of::<S, 1, C>(simd),
        }
    }

    #[inline(always)]
    fn narrow_of<S: Simd, const P: usize, const C: usize>(&mut self, simd: S) {
        let Weights::Inputs(weights) = &self.panels.weights else { return };
        let weights = S::as_simd_f32s(weights.values()).0;
        let fold = Fold::new(simd);
        let mut bias = [0.0; LANES];
        for (lane, bias) in bias.iter_mut().enumerate() {
            *bias = self.panels.bias[lane % C];
        }
        let bias = S::as_simd_f32s(&bias).0[0];
        let positions = self.positions();
        let mut at = positions.start;
        while at < positions.end {
            // What is behind the last position is computed at the last one, and not kept.
            let count = P.min(positions.end - at);
            let (mut bases, places) = self.places::<P>(at);
            let last = bases[count - 1];
            bases[count..].fill(last);
            let sums = sums::<S, P, C>(simd, fold, self.input, &bases, self.runs, weights);
            let mut sums = [simd.add_f32s(sums, bias)];
            Activation::each(self.activations, simd, &mut sums);
            let mut values = [0.0; LANES];
            S::as_mut_simd_f32s(&mut values).0[0] = sums[0];
            for (place, values) in places.iter().zip(values.chunks(C)).take(count) {
                for (c, value) in values.iter().enumerate() {
                    let (plane, shift) = self.plane(c);
                    self.output.at(plane, place + shift)[0] = *value;
                }
            }
            at += count;
        }
    }
}

/// The sums of `P` positions by `C` outputs, no more than a vector has lanes: that of position `p` and output
/// `c` in lane `p C + c`.
///
/// `weights` has for every run the vectors of the first output, then those of the second, and so on,
/// each filled up with zeros.
#[inline(always)]
fn sums<S: Simd, const P: usize, const C: usize>(
    simd: S,
    fold: Fold<S>,
    input: &[f32],
    bases: &[usize; P],
    runs: &[Run],
    weights: &[S::f32s],
) -> S::f32s {
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
    fold.total::<P, C>(simd, sums)
}

/// The most lanes of a vector.
pub(super) const LANES: usize = 16;
/// The bits of every lane's number, from the last one on.
const BITS: [[f32; LANES]; 4] = {
    let (mut bits, mut place) = ([[0.0; LANES]; 4], 0);
    while place < 4 * LANES {
        let (bit, lane) = (place / LANES, place % LANES);
        bits[bit][lane] = ((lane >> bit) & 1) as f32;
        place += 1;
    }
    bits
};

/// How vectors are added up so that every lane of one vector is the sum of another.
///
/// Two vectors become one: lanes with an even number take their sum with the odd ones of the first
/// vector, the others likewise of the second. The same with lanes two, four and eight apart leaves one
/// vector, in which a lane's bits have chosen at every step: lane `i` has the sum of vector `i`.
#[derive(Clone, Copy)]
pub(super) struct Fold<S: Simd> {
    /// For every distance, the lanes that have no such bit in their number.
    masks: [S::m32s; 4],
}

impl<S: Simd> Fold<S> {
    #[inline(always)]
    pub(super) fn new(simd: S) -> Self {
        let mut masks = [simd.less_than_f32s(simd.splat_f32s(0.0), simd.splat_f32s(1.0)); 4];
        for (mask, bits) in masks.iter_mut().zip(&BITS) {
            *mask = simd.less_than_f32s(S::as_simd_f32s(bits).0[0], simd.splat_f32s(0.5));
        }
        Self { masks }
    }

    /// The sum of position `p` and output `c` in lane `p C + c`.
    #[inline(always)]
    fn total<const P: usize, const C: usize>(self, simd: S, sums: [[S::f32s; C]; P]) -> S::f32s {
        let mut vectors = [simd.splat_f32s(0.0); LANES];
        for p in 0..P {
            for c in 0..C {
                vectors[p * C + c] = sums[p][c];
            }
        }
        let mut left = S::F32_LANES;
        let mut bit = 0;
        while left > 1 {
            left /= 2;
            let mask = self.masks[bit];
            for i in 0..left {
                let (a, b) = (vectors[2 * i], vectors[2 * i + 1]);
                // The same pairs of either, so that a sum does not depend on the lane that it ends in.
                let a = simd.add_f32s(a, simd.rotate_left_f32s(a, 1 << bit));
                let b = simd.add_f32s(b, simd.rotate_right_f32s(b, 1 << bit));
                vectors[i] = simd.select_f32s(mask, a, b);
            }
            bit += 1;
        }
        vectors[0]
    }
}
