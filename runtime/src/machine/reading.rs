//! The bandwidth of reading: a sum over more than caches close to a core hold.

use std::hint::black_box;
use std::time::Instant;

use pulp::{Arch, Simd, WithSimd};

/// The values that are read: 64 MiB.
const VALUES: usize = 16 << 20;

/// How often they are read; the fastest time counts.
const PASSES: usize = 8;

/// Stretches that are read at the same time: a processor fetches ahead within a page of each, and has more from memory than
/// of one.
const STRETCHES: usize = 8;
/// Vectors that a stretch is shorter than its share, so that lines which are read together lie in other sets of a cache.
const SHORTER: usize = 5;

/// Bytes a second that one thread reads, of stretches in order.
pub(super) fn bandwidth() -> f64 {
    let values = vec![1_f32; VALUES];
    let seconds = (0..PASSES).map(|_| {
        let start = Instant::now();
        black_box(Arch::new().dispatch(Sum(black_box(&values))));
        start.elapsed().as_secs_f64()
    });
    size_of_val(values.as_slice()) as f64 / seconds.fold(f64::INFINITY, f64::min)
}

struct Sum<'a>(&'a [f32]);

impl WithSimd for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (vectors, _) = S::as_simd_f32s(self.0);
        let each = vectors.len() / STRETCHES - SHORTER;
        let stretches: [_; STRETCHES] = std::array::from_fn(|i| &vectors[i * each..][..each]);
        let mut sums = [simd.splat_f32s(0.0); STRETCHES];
        for at in 0..each {
            for (sum, stretch) in sums.iter_mut().zip(stretches) {
                *sum = simd.add_f32s(*sum, stretch[at]);
            }
        }
        let sum = sums.into_iter().fold(simd.splat_f32s(0.0), |a, b| simd.add_f32s(a, b));
        simd.reduce_sum_f32s(sum)
    }
}
