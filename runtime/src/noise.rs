//! Random draws that are the same everywhere: for every seed, platform, engine, batch size and
//! thread count.

use std::f64::consts::TAU;

use ndarray::Array2;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Draws ε ~ N(0, 1) for the samples `first .. first + count` of a seed, as `[count, Z]`.
///
/// Sample `i` is stream `i` of ChaCha8 under the seed, made normal by Box and Muller's transform
/// (Annals of Mathematical Statistics 29, 1958) with a portable `ln`, `sin` and `cos`. Sample `i`
/// therefore depends on the seed and on `i` alone.
///
/// # Shapes
///
/// output: `[count, Z]`
pub fn standard_normal(seed: u64, first: u64, count: usize, latent: usize) -> Array2<f32> {
    let mut epsilon = Array2::zeros((count, latent));
    for (i, mut row) in epsilon.outer_iter_mut().enumerate() {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(first + i as u64);
        for pair in row.as_slice_mut().expect("rows are contiguous").chunks_mut(2) {
            let normal = box_muller(uniform(&mut generator), uniform(&mut generator));
            pair.copy_from_slice(&normal[..pair.len()]);
        }
    }
    epsilon
}

/// A draw from (0, 1], with 53 random bits.
fn uniform(generator: &mut ChaCha8Rng) -> f64 {
    ((generator.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

fn box_muller(u: f64, v: f64) -> [f32; 2] {
    let radius = libm::sqrt(-2.0 * libm::log(u));
    let angle = TAU * v;
    [(radius * libm::cos(angle)) as f32, (radius * libm::sin(angle)) as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_depends_on_its_index_alone() {
        let all = standard_normal(7, 0, 5, 3);
        let tail = standard_normal(7, 3, 2, 3);
        assert_eq!(all.slice_axis(ndarray::Axis(0), ndarray::Slice::from(3..)), tail);
        assert_ne!(all.row(0), all.row(1));
        assert_ne!(all, standard_normal(8, 0, 5, 3));
    }

    #[test]
    fn draws_have_the_moments_of_a_standard_normal() {
        let draws = standard_normal(1, 0, 20_000, 5);
        let n = draws.len() as f32;
        let moment = |k: i32| draws.iter().map(|v| v.powi(k)).sum::<f32>() / n;
        // Five standard errors of each moment for n = 100,000.
        assert!(moment(1).abs() < 0.016, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.023, "variance {}", moment(2));
        assert!(moment(3).abs() < 0.062, "third moment {}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.16, "fourth moment {}", moment(4));
    }
}
