//! Affine layers and the Bernoulli loss in libtorch, forward and backward as PyTorch has them.
//!
//! Burn finds the gradient of a convolution's weight as a convolution whose kernel is as large as the image, for which
//! cuDNN has no fast way. PyTorch's own operation for all three gradients at once is not among the functions that
//! `tch` binds, and TorchScript has it: [`Script`]. Images lie channels last on a GPU, where its matrix units take
//! them as they are.

#![allow(
    deprecated,
    reason = "Burn names its way to libtorch deprecated, which is the fastest on an NVIDIA GPU"
)]

mod bernoulli;
mod convolution;
mod dense;
mod script;

use burn::tensor::DType;
use tch::Tensor;

use super::Steps;
use super::layer::{Gradients, Layer, Wanted};
use super::loss::Loss;

pub(super) use bernoulli::Bernoulli;
pub(super) use convolution::Convolution;
pub(super) use dense::Dense;
pub use script::Script;

/// The types that its layers compute in.
fn takes(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::BF16)
}

/// The gradient before a ReLU, of one behind it.
fn before_relu(gradient: &Tensor, output: &Tensor) -> Tensor {
    output.threshold_backward(gradient, 0)
}
