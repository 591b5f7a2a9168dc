use std::fmt::Debug;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use pulp::Arch;
use rayon::prelude::*;

use super::Loss;
use super::exp::sigmoid;
use super::numbers::{contiguous, tensor, values};

/// Pixels whose terms of at most log 2 are the logarithm of one product.
const PART: usize = 64;
/// Sums that are added up side by side.
const LANES: usize = 8;

/// Independent Bernoulli pixels, by their logits.
#[derive(Debug)]
pub(in super::super) struct Bernoulli;

/// The squared error.
#[derive(Debug)]
pub(in super::super) struct SquaredError;

/// A loss that is a sum over pixels.
trait Pixels {
    /// The loss of at most [`PART`] pixels, whose slopes it writes.
    fn part(decoded: &[f32], image: &[f32], slopes: &mut [f32]) -> f64;
}

impl<P: Pixels + Debug + Send + Sync + 'static> Loss<Flex> for P {
    fn of(&self, decoded: &FlexTensor, image: &FlexTensor) -> (FlexTensor, FlexTensor) {
        let shape = decoded.layout().shape().dims::<4>();
        let [decoded, image] = [decoded, image].map(contiguous);
        let [batch, channels, height, width] = shape;
        let len = (channels * height * width).max(1);
        let mut slopes = vec![0.0_f32; batch * len];
        let pixels = values(&decoded).par_chunks(len).zip(values(&image).par_chunks(len));
        let loss = pixels.zip(slopes.par_chunks_mut(len)).map(|((decoded, image), slopes)| {
            let parts = decoded.chunks(PART).zip(image.chunks(PART)).zip(slopes.chunks_mut(PART));
            let parts = parts.map(|((decoded, image), slopes)| P::part(decoded, image, slopes));
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

impl Pixels for Bernoulli {
    /// x log(1 + e^-l) + (1 - x) log(1 + e^l), with no exponential of a large number and with one logarithm.
    #[inline(always)]
    fn part(logits: &[f32], image: &[f32], slopes: &mut [f32]) -> f64 {
        let (mut terms, mut smalls) = ([0.0; PART], [0.0; PART]);
        let results = slopes.iter_mut().zip(terms.iter_mut().zip(&mut smalls));
        for ((logit, x), (slope, (term, small))) in logits.iter().zip(image).zip(results) {
            let (mean, e) = sigmoid(*logit);
            (*slope, *small) = (mean - x, e);
            *term = logit.max(0.0) - x * logit;
        }
        let mut products = [1.0; LANES];
        for smalls in smalls.chunks_exact(LANES) {
            let factors = products.iter_mut().zip(smalls);
            factors.for_each(|(product, small)| *product *= 1.0 + f64::from(*small));
        }
        sum(&terms) + products.iter().product::<f64>().ln()
    }
}

impl Pixels for SquaredError {
    #[inline(always)]
    fn part(decoded: &[f32], image: &[f32], slopes: &mut [f32]) -> f64 {
        let mut terms = [0.0; PART];
        let results = slopes.iter_mut().zip(&mut terms);
        for ((decoded, x), (slope, term)) in decoded.iter().zip(image).zip(results) {
            let error = decoded - x;
            (*slope, *term) = (2.0 * error, error * error);
        }
        sum(&terms)
    }
}

/// A sum in [`LANES`] lanes.
#[inline(always)]
fn sum(terms: &[f32; PART]) -> f64 {
    let mut sums = [0.0; LANES];
    for terms in terms.chunks_exact(LANES) {
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += f64::from(*term));
    }
    sums.iter().sum()
}
