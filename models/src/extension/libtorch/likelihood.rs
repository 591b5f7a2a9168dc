use std::sync::LazyLock;

use burn::backend::LibTorch;
use burn::backend::libtorch::TchTensor;
use tch::IValue;

use super::{Loss, TorchScript};

static SCRIPT: LazyLock<TorchScript> =
    LazyLock::new(|| TorchScript::new(include_str!("likelihood.torchscript")));

/// Independent Bernoulli pixels, by their logits.
#[derive(Debug)]
pub(in super::super) struct Bernoulli;

/// The squared error.
#[derive(Debug)]
pub(in super::super) struct SquaredError;

impl Loss<LibTorch> for Bernoulli {
    fn of(&self, logits: &TchTensor, image: &TchTensor) -> (TchTensor, TchTensor) {
        found("bernoulli", logits, image)
    }

    fn scaled(&self, slopes: TchTensor, factors: TchTensor) -> TchTensor {
        TchTensor::new(slopes.tensor * factors.tensor.reshape([-1, 1, 1, 1]))
    }
}

impl Loss<LibTorch> for SquaredError {
    /// Beside the losses half of their derivatives.
    fn of(&self, decoded: &TchTensor, image: &TchTensor) -> (TchTensor, TchTensor) {
        found("squared_error", decoded, image)
    }

    fn scaled(&self, halves: TchTensor, factors: TchTensor) -> TchTensor {
        TchTensor::new(halves.tensor * (factors.tensor.reshape([-1, 1, 1, 1]) * 2.0))
    }
}

fn found(loss: &str, decoded: &TchTensor, image: &TchTensor) -> (TchTensor, TchTensor) {
    let given = [decoded, image].map(|given| IValue::Tensor(given.tensor.shallow_clone()));
    let [losses, slopes] = SCRIPT.tensors(loss, &given);
    (TchTensor::new(losses), TchTensor::new(slopes))
}
