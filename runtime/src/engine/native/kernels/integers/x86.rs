//! AVX-512 and AVX2 for products by pairs.

use std::arch::x86_64::{__m128i, __m256i, __m512i};

use pulp::x86::{V3, V4};
use pulp::{NullaryFnOnce, bytemuck};

use super::pairs::IntegerSimd;

pulp::simd_type! {
    struct Features {
        avx512f: "avx512f",
        avx512bw: "avx512bw",
        avx512cd: "avx512cd",
        avx512dq: "avx512dq",
        avx512vl: "avx512vl",
        avx512vnni: "avx512vnni",
    }
}

/// AVX-512 with products that are added as they are made: the compiler has one instruction for `madd`
/// and `add` where it knows of the feature.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Vnni {
    v4: V4,
    features: Features,
}

impl Vnni {
    pub(super) fn of(v4: V4) -> Option<Self> {
        Some(Self { v4, features: Features::try_new()? })
    }
}

impl IntegerSimd for Vnni {
    type Floats = V4;
    type Weights = __m256i;
    type Pairs = __m512i;
    type Sums = __m512i;

    #[inline(always)]
    fn vectorize(self, run: impl NullaryFnOnce<Output = ()>) {
        self.features.vectorize(run);
    }

    #[inline(always)]
    fn floats(self) -> V4 {
        self.v4
    }

    #[inline(always)]
    fn zero(self) -> __m512i {
        self.v4.avx512f._mm512_setzero_si512()
    }

    #[inline(always)]
    fn splat(self, pair: [i16; 2]) -> __m512i {
        self.v4.avx512f._mm512_set1_epi32(bytemuck::cast(pair))
    }

    #[inline(always)]
    fn widen(self, weights: __m256i) -> __m512i {
        self.v4.avx512bw._mm512_cvtepi8_epi16(weights)
    }

    #[inline(always)]
    fn add_products(self, a: __m512i, b: __m512i, sums: __m512i) -> __m512i {
        self.v4.avx512f._mm512_add_epi32(sums, self.v4.avx512bw._mm512_madd_epi16(a, b))
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        self.v4.avx512f._mm512_add_epi32(a, b)
    }

    #[inline(always)]
    fn to_floats(self, sums: __m512i) -> pulp::f32x16 {
        bytemuck::cast(self.v4.avx512f._mm512_cvtepi32_ps(sums))
    }
}

impl IntegerSimd for V3 {
    type Floats = V3;
    type Weights = __m128i;
    type Pairs = __m256i;
    type Sums = __m256i;

    #[inline(always)]
    fn vectorize(self, run: impl NullaryFnOnce<Output = ()>) {
        V3::vectorize(self, run);
    }

    #[inline(always)]
    fn floats(self) -> V3 {
        self
    }

    #[inline(always)]
    fn zero(self) -> __m256i {
        self.avx._mm256_setzero_si256()
    }

    #[inline(always)]
    fn splat(self, pair: [i16; 2]) -> __m256i {
        self.avx._mm256_set1_epi32(bytemuck::cast(pair))
    }

    #[inline(always)]
    fn widen(self, weights: __m128i) -> __m256i {
        self.avx2._mm256_cvtepi8_epi16(weights)
    }

    #[inline(always)]
    fn add_products(self, a: __m256i, b: __m256i, sums: __m256i) -> __m256i {
        self.avx2._mm256_add_epi32(sums, self.avx2._mm256_madd_epi16(a, b))
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        self.avx2._mm256_add_epi32(a, b)
    }

    #[inline(always)]
    fn to_floats(self, sums: __m256i) -> pulp::f32x8 {
        bytemuck::cast(self.avx._mm256_cvtepi32_ps(sums))
    }
}
