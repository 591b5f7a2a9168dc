//! Numbers in half precision widened by the processor.

use std::arch::x86_64::{__m128i, _mm256_cvtph_ps};

use pulp::x86::V3;
use pulp::{NullaryFnOnce, bytemuck, f32x8, u32x8};

use super::super::super::pack::Panels;
use super::super::few::Reader;
use super::Halves;

pulp::simd_type! {
    struct Features {
        avx2: "avx2",
        fma: "fma",
        f16c: "f16c",
    }
}

/// AVX2 with the instruction for eight numbers.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct F16c {
    v3: V3,
    features: Features,
}

impl F16c {
    pub(super) fn of(v3: V3) -> Option<Self> {
        Some(Self { v3, features: Features::try_new()? })
    }

    /// Eight numbers. `pulp` has no name for this instruction, and with the five that do it in its place a layer that
    /// reads every weight once takes twice the time.
    #[expect(
        unsafe_code,
        reason = "an intrinsic is safe in functions that name its feature alone, and generic ones cannot"
    )]
    #[inline(always)]
    fn widen(self, halves: __m128i) -> f32x8 {
        // SAFETY: `Features` is made by `try_new` alone, which asks the processor for the instruction.
        bytemuck::cast(unsafe { _mm256_cvtph_ps(halves) })
    }
}

impl Reader for F16c {
    type Simd = V3;
    type Pair = u32x8;

    #[inline(always)]
    fn simd(self) -> V3 {
        self.v3
    }

    #[inline(always)]
    fn vectorize(self, run: impl NullaryFnOnce<Output = ()>) {
        self.features.vectorize(run);
    }

    #[inline(always)]
    fn panel(self, panels: &Panels, output: usize) -> &[u32x8] {
        Halves::panel::<V3>(panels, output)
    }

    #[inline(always)]
    fn pair(self, pair: &u32x8) -> [f32x8; 2] {
        let [low, high]: [__m128i; 2] = bytemuck::cast(*pair);
        [self.widen(low), self.widen(high)]
    }
}
