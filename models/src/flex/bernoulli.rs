use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Tensor};
use rayon::prelude::*;

use super::matrix::{contiguous, tensor, values};
use super::{Training, training};

/// Pixels whose terms of at most log 2 are the logarithm of one product.
const PRODUCT: usize = 64;

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
        parts.map(|((logits, image), slopes)| part(logits, image, slopes)).sum::<f64>() as f32
    });
    let loss = tensor(loss.collect(), [batch]);
    (loss, tensor(slopes, shape))
}

/// The loss of some pixels, x log(1 + e^-l) + (1 - x) log(1 + e^l), with no exponential of a large number
/// and with one logarithm.
fn part(logits: &[f32], image: &[f32], slopes: &mut [f32]) -> f64 {
    let (mut sum, mut product) = (0.0, 1.0);
    for ((logit, x), slope) in logits.iter().zip(image).zip(slopes) {
        let small = (-logit.abs()).exp();
        let mean = if *logit >= 0.0 { 1.0 } else { small } / (1.0 + small);
        *slope = mean - x;
        sum += f64::from(logit.max(0.0) - x * logit);
        product *= 1.0 + f64::from(small);
    }
    sum + product.ln()
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
