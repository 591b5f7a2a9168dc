use std::f32::consts::LOG2_E;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use pulp::Arch;
use rayon::prelude::*;

use super::Loss;
use super::matrix::{contiguous, tensor, values};

/// Pixels whose terms of at most log 2 are the logarithm of one product.
const PRODUCT: usize = 64;
/// Sums that are added up side by side.
const LANES: usize = 8;

/// Independent Bernoulli pixels.
#[derive(Debug)]
pub(in super::super) struct Bernoulli;

impl Loss<Flex> for Bernoulli {
    fn of(&self, logits: &FlexTensor, image: &FlexTensor) -> (FlexTensor, FlexTensor) {
        let shape = logits.layout().shape().dims::<4>();
        let [logits, image] = [logits, image].map(contiguous);
        let [batch, channels, height, width] = shape;
        let len = (channels * height * width).max(1);
        let mut slopes = vec![0.0_f32; batch * len];
        let pixels = values(&logits).par_chunks(len).zip(values(&image).par_chunks(len));
        let loss = pixels.zip(slopes.par_chunks_mut(len)).map(|((logits, image), slopes)| {
            let parts = logits.chunks(PRODUCT).zip(image.chunks(PRODUCT));
            let parts = parts.zip(slopes.chunks_mut(PRODUCT));
            let parts = parts.map(|((logits, image), slopes)| part(logits, image, slopes));
            Arch::new().dispatch(|| parts.sum::<f64>()) as f32
        });
        let loss = tensor(loss.collect(), [batch]);
        (loss, tensor(slopes, shape))
    }

    fn scaled(&self, mut slopes: FlexTensor, factors: FlexTensor) -> FlexTensor {
        let factors = contiguous(&factors);
        let factors = values(&factors);
        let len = (slopes.layout().num_elements() / factors.len().max(1)).max(1);
        let images = slopes.storage_mut::<f32>().par_chunks_mut(len).zip(factors);
        images.for_each(|(slopes, factor)| slopes.iter_mut().for_each(|slope| *slope *= factor));
        slopes
    }
}

/// The loss of at most [`PRODUCT`] pixels, x log(1 + e^-l) + (1 - x) log(1 + e^l), with no exponential of a large
/// number and with one logarithm.
#[inline(always)]
fn part(logits: &[f32], image: &[f32], slopes: &mut [f32]) -> f64 {
    let (mut terms, mut smalls) = ([0.0; PRODUCT], [0.0; PRODUCT]);
    let results = slopes.iter_mut().zip(terms.iter_mut().zip(&mut smalls));
    for ((logit, x), (slope, (term, small))) in logits.iter().zip(image).zip(results) {
        *small = exp(-logit.abs());
        *slope = if *logit >= 0.0 { 1.0 } else { *small } / (1.0 + *small) - x;
        *term = logit.max(0.0) - x * logit;
    }
    let (mut sums, mut products) = ([0.0; LANES], [1.0; LANES]);
    let terms = terms.chunks_exact(LANES).zip(smalls.chunks_exact(LANES));
    for (terms, smalls) in terms {
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += f64::from(*term));
        let factors = products.iter_mut().zip(smalls);
        factors.for_each(|(product, small)| *product *= 1.0 + f64::from(*small));
    }
    sums.iter().sum::<f64>() + products.iter().product::<f64>().ln()
}

/// e^x of a number that is not positive, within 1e-7 of it, in steps that a processor takes on many at once: a
/// power of two times the polynomial of Cephes (Moshier) for the rest. Below -87 it stays where it is, above 0.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const POLYNOMIAL: [f32; 6] =
        [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    /// A number's last bits are an integer's once this is added.
    const ROUND: f32 = 12_582_912.0;

    let x = if x < -87.0 { -87.0 } else { x };
    let rounded = x * LOG2_E + ROUND;
    let power = rounded - ROUND;
    let rest = x - power * LN_2[0] - power * LN_2[1];
    let sum = POLYNOMIAL.iter().fold(0.0, |sum, factor| sum * rest + factor);
    let sum = sum * rest * rest + rest + 1.0;
    sum * f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
}
