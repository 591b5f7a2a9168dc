//! Weights in half precision, widened as they are read.

use pulp::Simd;

/// Weights of two vectors of outputs an input: those of the first in the lower halves of the words, those
/// of the second in the upper ones.
///
/// A weight `w` is stored as `w 2^shift` in IEEE 754 half precision, with a shift for which none is
/// subnormal. Its bits then make a number in single precision by being moved to their places: `w 2^shift`
/// with an exponent that is too small by the difference of the biases.
#[derive(Debug)]
pub(in super::super) struct Halves {
    pub(in super::super) pairs: Vec<u32>,
    pub(in super::super) shift: i32,
}

/// The difference between the exponents' biases of single and of half precision.
const BIAS: i32 = 112;
/// What inputs are multiplied by, as a power of two, so that their products with weights whose exponent is
/// too small are far from the smallest number.
const RAISED: i32 = 64;

impl Halves {
    /// The shift for weights of sizes from `least` to `most`; `None` where half precision has no room for
    /// both as normal numbers.
    pub(in super::super) fn shift(least: f32, most: f32) -> Option<i32> {
        let shift = 14 - most.max(f32::MIN_POSITIVE).log2().floor() as i32;
        let fits = least * 2.0_f32.powi(shift) >= 2.0_f32.powi(-14);
        fits.then_some(shift).filter(|shift| (-40..=60).contains(shift))
    }

    /// The weights of a pair of vectors, too small by [`scale`](Self::scale).
    #[inline(always)]
    fn widened<S: Simd>(simd: S, pairs: S::u32s) -> [S::f32s; 2] {
        let sign = simd.splat_u32s(0x8000_0000);
        let magnitude = simd.splat_u32s(0x0fff_e000);
        let half = |upper: S::u32s| {
            let moved = simd.wrapping_dyn_shr_u32s(upper, simd.splat_u32s(3));
            let moved = simd.and_u32s(moved, magnitude);
            simd.transmute_f32s_u32s(simd.or_u32s(moved, simd.and_u32s(upper, sign)))
        };
        [half(simd.wrapping_dyn_shl_u32s(pairs, simd.splat_u32s(16))), half(pairs)]
    }

    /// What widened weights are to be multiplied by.
    fn scale(&self) -> [f32; 2] {
        // In two steps, since a power of two beyond 127 is no number.
        let exponent = BIAS - self.shift;
        [2.0_f32.powi(exponent / 2), 2.0_f32.powi(exponent - exponent / 2)]
    }

    /// Writes the weights of a panel in single precision.
    #[inline(always)]
    pub(super) fn widen<S: Simd>(&self, simd: S, pairs: &[u32], room: &mut [f32]) {
        let [first, second] = self.scale().map(|scale| simd.splat_f32s(scale));
        let room = S::as_mut_simd_f32s(room).0;
        for (pairs, room) in S::as_simd_u32s(pairs).0.iter().zip(room.as_chunks_mut::<2>().0) {
            let [low, high] = Self::widened(simd, *pairs);
            let whole = |half| simd.mul_f32s(simd.mul_f32s(half, first), second);
            *room = [whole(low), whole(high)];
        }
    }

    /// The sums of one position by a panel's outputs.
    ///
    /// All numbers are those that [`tile`](super::tile::tile) would compute with widened weights, times a
    /// power of two: the result is the same to the bit.
    #[inline(always)]
    pub(super) fn sums<S: Simd>(
        &self,
        simd: S,
        input: &[f32],
        pairs: &[u32],
        bias: [S::f32s; 2],
    ) -> [S::f32s; 2] {
        let raised = 2.0_f32.powi(RAISED);
        let unit = simd.splat_f32s(2.0_f32.powi(self.shift - BIAS + RAISED));
        let back = simd.splat_f32s(2.0_f32.powi(BIAS - RAISED - self.shift));
        let [mut low, mut high] = [simd.mul_f32s(bias[0], unit), simd.mul_f32s(bias[1], unit)];
        for (x, pairs) in input.iter().zip(S::as_simd_u32s(pairs).0) {
            let x = simd.splat_f32s(x * raised);
            let [first, second] = Self::widened(simd, *pairs);
            low = simd.mul_add_e_f32s(x, first, low);
            high = simd.mul_add_e_f32s(x, second, high);
        }
        [simd.mul_f32s(low, back), simd.mul_f32s(high, back)]
    }
}
