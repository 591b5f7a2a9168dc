//! Layers, losses, frames and joins of images, and what is made of a posterior, of our own, for backends whose own ones
//! take most of a training step's time.
//!
//! Through Burn's extension API: an operation here takes Burn's tensors, finds the backend that has them, and gives
//! nothing where that backend is none of those in this folder; what asks then does as Burn does. A backend brings its
//! [`Layer`](layer::Layer)s, its [`Loss`](loss::Loss)es and its [`Frame`](frame::Frame); their place among Burn's
//! gradients is the same for all.

mod end;
#[cfg(feature = "flex")]
mod flex;
mod frame;
mod layer;
#[cfg(feature = "libtorch")]
mod libtorch;
mod loss;
#[cfg(feature = "libtorch")]
mod posterior;
mod training;

use burn::tensor::Tensor;

use crate::block::Activation;
use end::End;

#[cfg(feature = "libtorch")]
pub use libtorch::{TorchScript, full_precision};

/// How a layer's kernel goes over an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    /// Rows and columns added to the output of a transposed convolution; none where it is a plain one.
    pub(crate) transposed: Option<[usize; 2]>,
}

/// A dense layer with its activation.
pub(crate) fn dense(
    input: &Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    activation: Activation,
) -> Option<Tensor<2>> {
    let end = End::of(activation);
    #[cfg(feature = "flex")]
    if let Some(output) = layer::apply(flex::Dense(end), input, &weight, &bias) {
        return Some(behind(output, activation, end));
    }
    #[cfg(feature = "libtorch")]
    if let Some(output) = layer::apply(libtorch::Dense(end), input, &weight, &bias) {
        return Some(behind(output, activation, end));
    }
    None
}

/// A convolution or a transposed one, with its activation.
pub(crate) fn convolution(
    input: &Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    steps: Steps,
    activation: Activation,
) -> Option<Tensor<4>> {
    let end = End::of(activation);
    #[cfg(feature = "flex")]
    {
        let of = flex::convolution(steps, input.dims(), weight.dims(), end);
        if let Some(output) = layer::apply(of, input, &weight, &bias) {
            return Some(behind(output, activation, end));
        }
    }
    #[cfg(feature = "libtorch")]
    {
        let of = libtorch::Convolution { steps, end };
        if let Some(output) = layer::apply(of, input, &weight, &bias) {
            return Some(behind(output, activation, end));
        }
    }
    None
}

/// A layer's output behind its activation, which is applied already where the layer has it as its end.
fn behind<const D: usize>(output: Tensor<D>, activation: Activation, end: End) -> Tensor<D> {
    if end == End::Nothing { activation.forward(output) } else { output }
}

/// The binary cross-entropy of logits in nats, summed over pixels: `[B, C, H, W]` to `[B]`.
pub(crate) fn bernoulli(logits: &Tensor<4>, image: &Tensor<4>) -> Option<Tensor<1>> {
    #[cfg(feature = "flex")]
    if let Some(loss) = loss::apply(flex::Bernoulli, logits, image) {
        return Some(loss);
    }
    #[cfg(feature = "libtorch")]
    if let Some(loss) = loss::apply(libtorch::Bernoulli, logits, image) {
        return Some(loss);
    }
    None
}

/// The squared error, summed over pixels: `[B, C, H, W]` to `[B]`.
pub(crate) fn squared_error(decoded: &Tensor<4>, image: &Tensor<4>) -> Option<Tensor<1>> {
    #[cfg(feature = "flex")]
    if let Some(loss) = loss::apply(flex::SquaredError, decoded, image) {
        return Some(loss);
    }
    #[cfg(feature = "libtorch")]
    if let Some(loss) = loss::apply(libtorch::SquaredError, decoded, image) {
        return Some(loss);
    }
    None
}

/// A posterior's draw with a noise in a step of training: `[B, Z]`.
#[cfg(feature = "libtorch")]
pub(crate) fn draw(
    mean: &Tensor<2>,
    log_var: &Tensor<2>,
    epsilon: &Tensor<2>,
) -> Option<Tensor<2>> {
    if !training::alike(mean, epsilon) {
        return None;
    }
    posterior::apply(libtorch::Draw::with(epsilon)?, mean, log_var)
}

/// A posterior's divergence from N(0, I) in a step of training, in nats: `[B, Z]` to `[B]`.
#[cfg(feature = "libtorch")]
pub(crate) fn divergence(mean: &Tensor<2>, log_var: &Tensor<2>) -> Option<Tensor<1>> {
    posterior::apply(libtorch::Divergence, mean, log_var)
}

/// Rows and columns of zeros at the top, the bottom, the left and the right of images, or taken away there where their
/// number is negative.
pub(crate) fn frame(images: &Tensor<4>, sides: [i64; 4]) -> Option<Tensor<4>> {
    #[cfg(feature = "flex")]
    if let Some(framed) = frame::apply(flex::Frame, images, sides) {
        return Some(framed);
    }
    #[cfg(feature = "libtorch")]
    if let Some(framed) = frame::apply(libtorch::Frame, images, sides) {
        return Some(framed);
    }
    None
}

/// Images with the channels of two: `[B, C, H, W]` and `[B, C', H, W]` to `[B, C + C', H, W]`.
#[cfg(feature = "flex")]
pub(crate) fn join(images: [&Tensor<4>; 2]) -> Option<Tensor<4>> {
    flex::join(images)
}
