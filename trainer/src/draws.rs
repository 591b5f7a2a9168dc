//! Random draws that a seed, a purpose and a place decide, so that a resumed run needs no
//! generator's state.

use burn::tensor::{Device, Distribution, Tensor};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What a draw is for. The numbers are part of every seed: runs repeat as long as they stay.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// Which images are held out.
    Validation = 1,
    /// The order of an epoch's images.
    Order = 2,
    /// The posterior's noise in a training step.
    Training = 3,
    /// The posterior's noise in an evaluation.
    Evaluation = 4,
    /// The posterior's noise in an importance-sampled likelihood.
    Importance = 5,
    /// Latent vectors and noise that are drawn for pictures.
    Figures = 6,
    /// The fresh weights of a classifier.
    Classifier = 7,
    /// Anomalies that are made of images.
    Anomalies = 8,
}

/// A seed for one draw.
pub fn seed(seed: u64, purpose: Purpose, place: u64) -> u64 {
    mix(mix(seed) ^ mix((purpose as u64) << 56 | place))
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The numbers below `count`, shuffled.
pub fn permutation(seed: u64, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order
}

/// ε ~ N(0, 1), drawn on the device. The device's generator is shared by the process, so it is set
/// right before.
///
/// # Shapes
///
/// output: `[batch, latent]`
pub fn epsilon(seed: u64, batch: usize, latent: usize, device: &Device) -> Tensor<2> {
    device.seed(seed);
    Tensor::random([batch, latent], Distribution::Normal(0.0, 1.0), device)
}
