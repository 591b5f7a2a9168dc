//! Affine layers, losses and what is made of a posterior in libtorch, forward and backward as PyTorch has them.
//!
//! Burn finds the gradient of a convolution's weight as a convolution whose kernel is as large as the image, for which
//! cuDNN has no fast way. PyTorch's own operation for all three gradients at once is not among the functions that
//! `tch` binds, and TorchScript has it: [`TorchScript`]. Images lie channels last on a GPU whose matrix units take them as
//! they are.

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
mod posterior;
mod script;

use std::sync::LazyLock;

use burn::tensor::DType;

use super::Steps;
use super::end::End;
use super::layer::{Gradients, Layer, Wanted};
use super::loss::Loss;
use super::posterior::OfPosterior;
use super::training::constant;

pub(super) use convolution::Convolution;
pub(super) use dense::Dense;
pub(super) use frame::Frame;
pub(super) use likelihood::{Bernoulli, SquaredError};
pub(super) use posterior::{Divergence, Draw};
pub use script::TorchScript;

/// Whether NVIDIA's libraries are told to multiply in full precision alone, without matrix units. Images and weights lie
/// channels first then: images of 256x256 trained 1.1 times as fast so on an H200.
pub fn full_precision() -> bool {
    static TOLD: LazyLock<bool> =
        LazyLock::new(|| std::env::var("NVIDIA_TF32_OVERRIDE").is_ok_and(|tf32| tf32 == "0"));
    *TOLD
}

/// The types that its layers compute in.
fn takes(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::BF16)
}
