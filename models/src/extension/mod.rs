//! Layers and losses of our own, for backends whose own ones take most of a training step's time.
//!
//! Through Burn's extension API: an operation here takes Burn's tensors, finds the backend that has them, and gives
//! nothing where that backend is none of those in this folder; what asks then does as Burn does. A backend brings its
//! [`Layer`](layer::Layer)s and its [`Loss`](loss::Loss)es; their place among Burn's gradients is the same for all.

#[cfg(feature = "flex")]
mod flex;
mod layer;
#[cfg(feature = "libtorch")]
mod libtorch;
mod loss;

use burn::tensor::Tensor;

use crate::block::Activation;

#[cfg(feature = "libtorch")]
pub use libtorch::TorchScript;

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
    #[cfg(feature = "flex")]
    {
        let relu = activation == Activation::Relu;
        if let Some(output) = layer::apply(flex::Dense { relu }, input, &weight, &bias) {
            return Some(behind(output, activation, relu));
        }
    }
    #[cfg(feature = "libtorch")]
    {
        let end = libtorch::End::of(activation);
        if let Some(output) = layer::apply(libtorch::Dense(end), input, &weight, &bias) {
            return Some(behind(output, activation, end.is_some()));
        }
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
    #[cfg(feature = "flex")]
    {
        let relu = activation == Activation::Relu;
        let of = flex::convolution(steps, input.dims(), weight.dims(), relu);
        if let Some(output) = layer::apply(of, input, &weight, &bias) {
            return Some(behind(output, activation, relu));
        }
    }
    #[cfg(feature = "libtorch")]
    {
        let end = libtorch::End::of(activation);
        let of = libtorch::Convolution { steps, end };
        if let Some(output) = layer::apply(of, input, &weight, &bias) {
            return Some(behind(output, activation, end.is_some()));
        }
    }
    None
}

/// A layer's output behind its activation, which the layer may have applied.
fn behind<const D: usize>(output: Tensor<D>, activation: Activation, applied: bool) -> Tensor<D> {
    if applied { output } else { activation.forward(output) }
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
#[cfg(feature = "libtorch")]
pub(crate) fn squared_error(decoded: &Tensor<4>, image: &Tensor<4>) -> Option<Tensor<1>> {
    loss::apply(libtorch::SquaredError, decoded, image)
}

/// Rows and columns of zeros at the top, the bottom, the left and the right of images, or taken away there where their
/// number is negative.
#[cfg(feature = "libtorch")]
pub(crate) fn frame(images: &Tensor<4>, sides: [i64; 4]) -> Option<Tensor<4>> {
    libtorch::frame(images, sides)
}
