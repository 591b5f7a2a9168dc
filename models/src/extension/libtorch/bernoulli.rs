use std::sync::LazyLock;

use burn::backend::LibTorch;
use burn::backend::libtorch::TchTensor;
use tch::IValue;

use super::{Loss, Script};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("bernoulli.py")));

/// Independent Bernoulli pixels.
#[derive(Debug)]
pub(in super::super) struct Bernoulli;

impl Loss<LibTorch> for Bernoulli {
    fn of(&self, logits: &TchTensor, image: &TchTensor) -> (TchTensor, TchTensor) {
        let given = [logits, image].map(|given| IValue::Tensor(given.tensor.shallow_clone()));
        let [losses, slopes] = SCRIPT.tensors("negative_log", &given);
        (TchTensor::new(losses), TchTensor::new(slopes))
    }

    fn scaled(&self, slopes: TchTensor, factors: TchTensor) -> TchTensor {
        let factors = factors.tensor.reshape([-1, 1, 1, 1]);
        TchTensor::new(slopes.tensor * factors)
    }
}
