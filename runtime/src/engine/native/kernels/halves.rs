//! Weights in half precision, widened as they are read.

use pulp::Simd;

/// Weights of two vectors of outputs an input: those of the first in the lower halves of the words, those
/// of the second in the upper ones.
///
/// A weight `w` is stored as `w 2^shift` in IEEE 754 half precision, with a shift for which none is
/// subnormal. Its bits then make a number in single precision by being moved to their places: `w 2^shift`
/// with an exponent that is too small by the difference of the biases, which a multiplication by a power of
/// two puts right.
#[derive(Debug)]
pub(in super::super) struct Halves {
    pub(in super::super) pairs: Vec<u32>,
    pub(in super::super) shift: i32,
}

/// The difference between the exponents' biases of single and of half precision.
const BIAS: i32 = 112;

impl Halves {
    /// The shift for weights of sizes from `least` to `most`; `None` where half precision has no room for
    /// both as normal numbers.
    pub(in super::super) fn shift(least: f32, most: f32) -> Option<i32> {
        let shift = 14 - most.max(2.0_f32.powi(-40)).log2().floor() as i32;
        let fits = least * 2.0_f32.powi(shift) >= 2.0_f32.powi(-14);
        fits.then_some(shift)
    }

    /// What moved bits are to be multiplied by.
    fn scale<S: Simd>(&self, simd: S) -> S::f32s {
        simd.splat_f32s(2.0_f32.powi(BIAS - self.shift))
    }

    /// The weights of a pair of vectors.
    #[inline(always)]
    fn widened<S: Simd>(simd: S, pairs: S::u32s, scale: S::f32s) -> [S::f32s; 2] {
        let sign = simd.splat_u32s(0x8000_0000);
        let magnitude = simd.splat_u32s(0x0fff_e000);
        let half = |upper: S::u32s| {
            let moved = simd.wrapping_dyn_shr_u32s(upper, simd.splat_u32s(3));
            let moved = simd.and_u32s(moved, magnitude);
            let bits = simd.or_u32s(moved, simd.and_u32s(upper, sign));
            simd.mul_f32s(simd.transmute_f32s_u32s(bits), scale)
        };
        [half(simd.wrapping_dyn_shl_u32s(pairs, simd.splat_u32s(16))), half(pairs)]
    }

    /// Writes the weights of a panel in single precision.
    #[inline(always)]
    pub(super) fn widen<S: Simd>(&self, simd: S, pairs: &[u32], room: &mut [f32]) {
        let scale = self.scale(simd);
        let room = S::as_mut_simd_f32s(room).0;
        for (pairs, room) in S::as_simd_u32s(pairs).0.iter().zip(room.as_chunks_mut::<2>().0) {
            *room = Self::widened(simd, *pairs, scale);
        }
    }

    /// What [`tile`](super::tile::tile) gives for one run and widened weights.
    #[inline(always)]
    pub(super) fn tile<S: Simd, const P: usize>(
        &self,
        simd: S,
        inputs: [&[f32]; P],
        pairs: &[u32],
        mut sums: [[S::f32s; 2]; P],
    ) -> [[S::f32s; 2]; P] {
        let scale = self.scale(simd);
        let pairs = S::as_simd_u32s(pairs).0;
        let inputs = inputs.map(|input| &input[..pairs.len()]);
        for (t, pairs) in pairs.iter().enumerate() {
            let weights = Self::widened(simd, *pairs, scale);
            for p in 0..P {
                let x = simd.splat_f32s(inputs[p][t]);
                for v in 0..2 {
                    sums[p][v] = simd.mul_add_e_f32s(x, weights[v], sums[p][v]);
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use half::f16;
    use pulp::WithSimd;

    use super::*;

    struct Widen<'a>(&'a Halves, &'a mut [f32]);

    impl WithSimd for Widen<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            self.0.widen(simd, &self.0.pairs, self.1);
        }
    }

    #[test]
    fn every_weight_of_ordinary_size_widens_to_itself() {
        let all = (0..=u16::MAX).map(f16::from_bits).map(f32::from);
        let values: Vec<f32> = all.filter(|value| value.abs() <= 31.0).collect();
        let least = values.iter().map(|v| v.abs()).filter(|v| *v > 0.0).fold(1.0, f32::min);
        let shift = Halves::shift(least, 31.0).expect("subnormal numbers and 31 have room");
        let half = |value: f32| u32::from(f16::from_f32(value * 2.0_f32.powi(shift)).to_bits());
        for arch in super::super::instruction_sets() {
            for values in values.chunks_exact(32) {
                let lanes = super::super::Registers::of(arch).lanes;
                let pairs = values.chunks_exact(2 * lanes).flat_map(|both| {
                    let (low, high) = both.split_at(lanes);
                    low.iter().zip(high).map(|(low, high)| half(*low) | half(*high) << 16)
                });
                let halves = Halves { pairs: pairs.collect(), shift };
                let mut widened = [f32::NAN; 32];
                arch.dispatch(Widen(&halves, &mut widened));
                assert_eq!(widened, values, "{arch:?}");
            }
        }
        assert_eq!(Halves::shift(least, 6e4), None, "these have not");
    }
}
