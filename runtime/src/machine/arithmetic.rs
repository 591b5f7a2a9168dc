//! The arithmetic peak: multiplications fused with additions, with no memory in between.

use std::array;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use pulp::{Arch, Simd, WithSimd};

/// How often it is tried; the fastest time counts.
const TRIES: usize = 10;

/// The steps of every try: about 5 ms.
const STEPS: usize = 1 << 20;

/// Operations a second of so many threads together.
pub(super) fn peak(threads: usize) -> f64 {
    (0..TRIES).map(|_| rate(threads)).fold(0.0, f64::max)
}

fn rate(threads: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let chain = || {
        barrier.wait();
        let start = Instant::now();
        let operations = Arch::new().dispatch(Chains);
        (start, Instant::now(), operations)
    };
    let done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(chain)).collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).collect()
    });
    let start = done.iter().map(|(start, ..)| *start).min();
    let end = done.iter().map(|(_, end, _)| *end).max();
    let seconds = start.zip(end).map_or(f64::INFINITY, |(start, end)| (end - start).as_secs_f64());
    done.iter().map(|(.., operations)| *operations as f64).sum::<f64>() / seconds
}

/// Chains of operations that do not wait for each other: more than a core has under way, and no
/// more than it has registers for, beside two for the factor and the term.
struct Chains;

impl WithSimd for Chains {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        if S::REGISTER_COUNT >= 32 { chains::<S, 24>(simd) } else { chains::<S, 12>(simd) }
    }
}

/// Runs `N` chains and gives the number of their operations.
#[inline(always)]
fn chains<S: Simd, const N: usize>(simd: S) -> usize {
    // The values stay near 1: neither denormal nor infinite.
    let [factor, term] = [black_box(0.5), black_box(0.5)].map(|value| simd.splat_f32s(value));
    let mut values: [S::f32s; N] = array::from_fn(|i| simd.splat_f32s(i as f32));
    for _ in 0..STEPS {
        for value in &mut values {
            *value = simd.mul_add_e_f32s(*value, factor, term);
        }
    }
    let sum = values.into_iter().fold(simd.splat_f32s(0.0), |a, b| simd.add_f32s(a, b));
    black_box(simd.reduce_sum_f32s(sum));
    2 * N * S::F32_LANES * STEPS
}
