//! Affine layers and the losses in libtorch, forward and backward as PyTorch has them.
//!
//! Burn finds the gradient of a convolution's weight as a convolution whose kernel is as large as the image, for which
//! cuDNN has no fast way. PyTorch's own operation for all three gradients at once is not among the functions that
//! `tch` binds, and TorchScript has it: [`TorchScript`]. Images lie channels last on a GPU, where its matrix units take
//! them as they are.

#![allow(
    deprecated,
    reason = "Burn names its way to libtorch deprecated, which is the fastest on an NVIDIA GPU"
)]

mod convolution;
mod dense;
mod end;
mod frame;
mod likelihood;
mod phases;
mod script;

use burn::tensor::DType;

use super::Steps;
use super::end::End;
use super::layer::{Gradients, Layer, Training, Wanted};
use super::loss::Loss;

pub(super) use convolution::Convolution;
pub(super) use dense::Dense;
pub(super) use frame::frame;
pub(super) use likelihood::{Bernoulli, SquaredError};
pub use script::TorchScript;

/// The types that its layers compute in.
fn takes(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::BF16)
}
