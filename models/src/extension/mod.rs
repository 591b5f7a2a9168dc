//! Layers and the Bernoulli loss of our own, for backends whose own ones take most of a training step's time.
//!
//! Through Burn's extension API: an operation here takes Burn's tensors, finds the backend that has them, and gives
//! nothing where that backend is none of those in this folder; what asks then does as Burn does. A backend brings its
//! [`Layer`]s and its [`Loss`](loss::Loss); their place among Burn's gradients is the same for all.

#[cfg(feature = "flex")]
mod flex;
mod layer;
#[cfg(feature = "libtorch")]
mod libtorch;
mod loss;

use burn::tensor::Tensor;

#[cfg(feature = "libtorch")]
pub use libtorch::Script;

/// How a layer's kernel goes over an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    /// Rows and columns added to the output of a transposed convolution; none where it is a plain one.
    pub(crate) transposed: Option<[usize; 2]>,
}

/// A dense layer, and a ReLU where there is one.
pub(crate) fn dense(
    input: &Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    relu: bool,
) -> Option<Tensor<2>> {
    #[cfg(feature = "flex")]
    if let Some(output) = layer::apply(flex::Dense { relu }, input, &weight, &bias) {
        return Some(output);
    }
    #[cfg(feature = "libtorch")]
    if let Some(output) = layer::apply(libtorch::Dense { relu }, input, &weight, &bias) {
        return Some(output);
    }
    None
}

/// A convolution or a transposed one, and a ReLU where there is one.
pub(crate) fn convolution(
    input: &Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    steps: Steps,
    relu: bool,
) -> Option<Tensor<4>> {
    #[cfg(feature = "flex")]
    {
        let of = flex::convolution(steps, input.dims(), weight.dims(), relu);
        if let Some(output) = layer::apply(of, input, &weight, &bias) {
            return Some(output);
        }
    }
    #[cfg(feature = "libtorch")]
    if let Some(output) = layer::apply(libtorch::Convolution { steps, relu }, input, &weight, &bias)
    {
        return Some(output);
    }
    None
}

/// -log p(image | logits) of every image under independent Bernoulli pixels, `[B, C, H, W]` to `[B]`.
pub(crate) fn negative_log(logits: &Tensor<4>, image: &Tensor<4>) -> Option<Tensor<1>> {
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
