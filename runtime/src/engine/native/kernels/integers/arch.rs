//! Instruction sets for products of integers.

use pulp::bytemuck::{self, Pod};
use pulp::{Arch, NullaryFnOnce, Scalar256b, Simd};

use super::super::Correlate;

/// Vectors of sums of 32 bits, each of them of products of pairs of 16 bits.
pub(in super::super) trait IntegerSimd: Copy {
    /// Vectors of as many numbers.
    type Floats: Simd;
    /// For every sum a pair of weights in eight bits.
    type Weights: Pod;
    /// For every sum a pair in 16 bits.
    type Pairs: Copy;
    type Sums: Copy;

    /// The positions that are computed at once, at most.
    const POSITIONS: usize = 12;

    fn floats(self) -> Self::Floats;
    fn zero(self) -> Self::Sums;
    /// The same pair for every sum.
    fn splat(self, pair: [i16; 2]) -> Self::Pairs;
    fn widen(self, weights: Self::Weights) -> Self::Pairs;
    /// `sums` and the two products of every pair.
    fn add_products(self, a: Self::Pairs, b: Self::Pairs, sums: Self::Sums) -> Self::Sums;
    fn add(self, a: Self::Sums, b: Self::Sums) -> Self::Sums;
    fn to_floats(self, sums: Self::Sums) -> <Self::Floats as Simd>::f32s;
}

/// The instruction set of a processor.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum IntegerArch {
    #[cfg(target_arch = "x86_64")]
    Vnni(x86::Vnni),
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    Portable,
}

impl IntegerArch {
    pub(in super::super) fn of(arch: Arch) -> Self {
        match arch {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(v4) => x86::Vnni::of(v4).map_or(Self::Avx2(*v4), Self::Vnni),
            #[cfg(target_arch = "x86_64")]
            Arch::V3(v3) => Self::Avx2(v3),
            _ => Self::Portable,
        }
    }

    /// The sums in a vector.
    pub(in super::super) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(_) => 16,
            _ => 8,
        }
    }

    /// Runs a layer whose weights are integers.
    pub(in super::super) fn run(self, layer: Correlate) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(vnni) => vnni.vectorize(Run(vnni, layer)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(v3) => v3.vectorize(Run(v3, layer)),
            Self::Portable => Run(Portable, layer).call(),
        }
    }
}

struct Run<'a, I>(I, Correlate<'a>);

impl<I: IntegerSimd> NullaryFnOnce for Run<'_, I> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.1.integers(self.0);
    }
}

/// Any processor.
#[derive(Debug, Clone, Copy)]
struct Portable;

impl IntegerSimd for Portable {
    type Floats = Scalar256b;
    type Weights = [[i8; 2]; 8];
    type Pairs = [[i16; 2]; 8];
    type Sums = [i32; 8];

    /// There are no vectors to fill.
    const POSITIONS: usize = 4;

    #[inline(always)]
    fn floats(self) -> Scalar256b {
        Scalar256b
    }

    #[inline(always)]
    fn zero(self) -> [i32; 8] {
        [0; 8]
    }

    #[inline(always)]
    fn splat(self, pair: [i16; 2]) -> Self::Pairs {
        [pair; 8]
    }

    #[inline(always)]
    fn widen(self, weights: Self::Weights) -> Self::Pairs {
        weights.map(|pair| pair.map(i16::from))
    }

    #[inline(always)]
    fn add_products(self, a: Self::Pairs, b: Self::Pairs, mut sums: [i32; 8]) -> [i32; 8] {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            let [low, high] = [0, 1].map(|i| i32::from(a[i]) * i32::from(b[i]));
            *sum = sum.wrapping_add(low + high);
        }
        sums
    }

    #[inline(always)]
    fn add(self, a: [i32; 8], b: [i32; 8]) -> [i32; 8] {
        std::array::from_fn(|i| a[i].wrapping_add(b[i]))
    }

    #[inline(always)]
    fn to_floats(self, sums: [i32; 8]) -> pulp::f32x8 {
        bytemuck::cast(sums.map(|sum| sum as f32))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m128i, __m256i, __m512i};

    use pulp::x86::{V3, V4};
    use pulp::{NullaryFnOnce, bytemuck};

    use super::IntegerSimd;

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
    pub(in crate::engine::native::kernels) struct Vnni {
        v4: V4,
        features: Features,
    }

    impl Vnni {
        pub(super) fn of(v4: V4) -> Option<Self> {
            Some(Self { v4, features: Features::try_new()? })
        }

        #[inline(always)]
        pub(super) fn vectorize(self, run: impl NullaryFnOnce<Output = ()>) {
            self.features.vectorize(run);
        }
    }

    impl IntegerSimd for Vnni {
        type Floats = V4;
        type Weights = __m256i;
        type Pairs = __m512i;
        type Sums = __m512i;

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
}
