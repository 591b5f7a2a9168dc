use std::f32::consts::LOG2_E;

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Tensor};
use pulp::Arch;
use rayon::prelude::*;

use super::layer::{Training, training};
use super::matrix::{contiguous, tensor, values};

/// Pixels whose terms of at most log 2 are the logarithm of one product.
const PRODUCT: usize = 64;
/// Sums that are added up side by side.
const LANES: usize = 8;

/// The negative logarithm of a Bernoulli likelihood, whose gradient is found beside it.
#[derive(Debug)]
struct Bernoulli;

/// -log p(image | logits) of every image, `[B, C, H, W]` to `[B]`; nothing where the tensors are not those
/// of `flex` in `f32`.
pub(crate) fn negative_log(logits: &Tensor<4>, image: &Tensor<4>) -> Option<Tensor<1>> {
    if logits.dtype() != DType::F32 || image.dtype() != DType::F32 || logits.dims() != image.dims()
    {
        return None;
    }
    let (logits, image) = (logits.clone(), image.clone());
    match logits.clone().try_into_primitive::<Training>() {
        Ok(logits) => {
            let image = training(&image)?;
            if image.is_tracked() {
                return None;
            }
            let prepared = Bernoulli.prepare::<NoCheckpointing>([logits.node()]);
            let (loss, slopes) = of(logits.primitive(), image.primitive());
            let loss = match prepared.compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(slopes, loss),
                OpsKind::UnTracked(prepared) => prepared.finish(loss),
            };
            Some(Tensor::from_primitive::<Training>(loss))
        }
        Err(_) => {
            let logits = logits.try_into_primitive::<Flex>().ok()?;
            let image = image.try_into_primitive::<Flex>().ok()?;
            Some(Tensor::from_primitive::<Flex>(of(&logits, &image).0))
        }
    }
}

/// The losses, `[B]`, and their derivatives by the logits, `[B, C, H, W]`.
fn of(logits: &FlexTensor, image: &FlexTensor) -> (FlexTensor, FlexTensor) {
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

impl Backward<Flex, 1> for Bernoulli {
    /// The derivatives of the losses by the logits.
    type State = FlexTensor;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = contiguous(&gradients.consume::<Flex>(&ops.node));
        let [Some(logits)] = ops.parents else { return };
        let mut slopes = ops.state;
        let factors = values(&gradient);
        let len = (slopes.layout().num_elements() / factors.len().max(1)).max(1);
        let images = slopes.storage_mut::<f32>().par_chunks_mut(len).zip(factors);
        images.for_each(|(slopes, factor)| slopes.iter_mut().for_each(|slope| *slope *= factor));
        gradients.register::<Flex>(logits.id, slopes);
    }
}
