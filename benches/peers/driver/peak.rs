//! What one core of this machine can do at most, measured.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pulp::{Arch, Simd, WithSimd};

/// Chains of multiply-adds that do not wait for one another.
const CHAINS: usize = 20;
const STEPS: usize = 100_000;
/// Bytes of what is read: more than any cache holds.
const READ: usize = 256 << 20;
const TRIES: usize = 15;

/// Floating-point operations a second of multiply-adds on `f32` that stay in registers, the best of
/// several tries.
pub(crate) fn arithmetic() -> f64 {
    let arch = Arch::new();
    let tries = (0..TRIES).map(|_| {
        let start = Instant::now();
        let lanes = arch.dispatch(Chains);
        (2 * lanes * CHAINS * STEPS) as f64 / start.elapsed().as_secs_f64()
    });
    tries.fold(0.0, f64::max)
}

/// Bytes a second that one core reads from memory, the best of several tries.
pub(crate) fn memory() -> f64 {
    let values = vec![1.0_f32; READ / size_of::<f32>()];
    let arch = Arch::new();
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let start = Instant::now();
        black_box(arch.dispatch(Sum(&values)));
        best = best.min(start.elapsed());
    }
    READ as f64 / best.as_secs_f64()
}

struct Chains;

impl WithSimd for Chains {
    /// Values in a register.
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let factor = simd.splat_f32s(black_box(0.999));
        let term = simd.splat_f32s(black_box(0.001));
        let mut chains = [simd.splat_f32s(0.5); CHAINS];
        for _ in 0..STEPS {
            for chain in &mut chains {
                *chain = simd.mul_add_e_f32s(*chain, factor, term);
            }
        }
        black_box(chains.map(|chain| simd.reduce_sum_f32s(chain)));
        S::F32_LANES
    }
}

struct Sum<'a>(&'a [f32]);

impl WithSimd for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (values, _) = S::as_simd_f32s(self.0);
        let mut sums = [simd.splat_f32s(0.0); 8];
        for eight in values.chunks_exact(8) {
            for (sum, value) in sums.iter_mut().zip(eight) {
                *sum = simd.add_f32s(*sum, *value);
            }
        }
        sums.into_iter().map(|sum| simd.reduce_sum_f32s(sum)).sum()
    }
}
