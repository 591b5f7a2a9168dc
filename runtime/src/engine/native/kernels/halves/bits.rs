//! Numbers in half precision widened by moving their bits.

use pulp::{NullaryFnOnce, Simd};

use super::super::super::pack::Panels;
use super::super::few::Reader;
use super::Halves;

/// The difference between the exponents' biases of single and of half precision.
const BIAS: i32 = 112;

/// Moved bits are a number in single precision, `w 2^shift` with an exponent that is too small by the difference of
/// the biases, which a multiplication by a power of two puts right.
pub(super) struct Bits<S: Simd> {
    simd: S,
    scale: S::f32s,
}

impl<S: Simd> Clone for Bits<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd> Copy for Bits<S> {}

impl<S: Simd> Bits<S> {
    #[inline(always)]
    pub(super) fn new(simd: S, halves: &Halves) -> Self {
        Self { simd, scale: simd.splat_f32s(2.0_f32.powi(BIAS - halves.shift)) }
    }
}

impl<S: Simd> Reader for Bits<S> {
    type Simd = S;
    type Pair = S::u32s;

    #[inline(always)]
    fn simd(self) -> S {
        self.simd
    }

    #[inline(always)]
    fn vectorize(self, run: impl NullaryFnOnce<Output = ()>) {
        self.simd.vectorize(run);
    }

    #[inline(always)]
    fn panel(self, panels: &Panels, output: usize) -> &[S::u32s] {
        Halves::panel::<S>(panels, output)
    }

    #[inline(always)]
    fn pair(self, pair: &S::u32s) -> [S::f32s; 2] {
        let Self { simd, scale } = self;
        let sign = simd.splat_u32s(0x8000_0000);
        let magnitude = simd.splat_u32s(0x0fff_e000);
        let half = |upper: S::u32s| {
            let moved = simd.wrapping_dyn_shr_u32s(upper, simd.splat_u32s(3));
            let moved = simd.and_u32s(moved, magnitude);
            let bits = simd.or_u32s(moved, simd.and_u32s(upper, sign));
            simd.mul_f32s(simd.transmute_f32s_u32s(bits), scale)
        };
        [half(simd.wrapping_dyn_shl_u32s(*pair, simd.splat_u32s(16))), half(*pair)]
    }
}
