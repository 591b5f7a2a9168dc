#![allow(
    deprecated,
    reason = "Burn names its way to libtorch deprecated, which is the fastest on an NVIDIA GPU"
)]

use std::cell::RefCell;
use std::sync::LazyLock;

use burn::backend::libtorch::TchTensor;
use burn::backend::{DispatchDevice, LibTorch};
use burn::optim::{AdamWState, AdaptiveMomentumState, LearningRate};
use burn::tensor::{DType, Tensor};
use tch::{Device, IValue, Kind};
use vae_models::Script;

use super::{BETAS, EPSILON};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("libtorch.py")));

thread_local! {
    /// The number of a step where its weights are: one for all of them.
    static TIME: RefCell<Option<(usize, tch::Tensor)>> = const { RefCell::new(None) };
}

pub(super) fn has<const D: usize>(weights: &Tensor<D>) -> bool {
    let here = matches!(weights.device().as_dispatch(), DispatchDevice::LibTorch(_));
    here && weights.dtype() == DType::F32
}

/// A step whose updated weights, and moments, lie as the gradient does: a convolution's, channels last.
pub(super) fn step<const D: usize>(
    learning_rate: LearningRate,
    weight_decay: f32,
    weights: Tensor<D>,
    gradient: Tensor<D>,
    state: AdamWState<D>,
) -> (Tensor<D>, AdamWState<D>) {
    let AdaptiveMomentumState { time, moment_1, moment_2, .. } = state.momentum;
    let time = time + 1;
    let [weights, gradient, moment_1, moment_2] =
        [weights, gradient, moment_1, moment_2].map(primitive);
    let mut updated = gradient.tensor.empty_like();
    let lies = updated.stride();
    updated.copy_(&weights.tensor);
    let lying = |tensor: TchTensor| match tensor.tensor.stride() == lies {
        true => tensor,
        false => copy(&tensor, &updated),
    };
    let gradient = lying(gradient);
    // these are changed in place, and others may have them
    let own = |tensor: TchTensor| match tensor.can_mut() {
        true => tensor,
        false => copy(&tensor, &updated),
    };
    let [moment_1, moment_2] = [moment_1, moment_2].map(|moment| own(lying(moment)));
    let list = |tensor: &tch::Tensor| IValue::TensorList(vec![tensor.shallow_clone()]);
    let number = |value: f32| IValue::Double(value.into());
    let [] = SCRIPT.tensors(
        "step",
        &[
            list(&updated),
            list(&gradient.tensor),
            list(&moment_1.tensor),
            list(&moment_2.tensor),
            list(&number_of(time, updated.device())),
            IValue::Double(learning_rate),
            number(BETAS[0]),
            number(BETAS[1]),
            number(weight_decay),
            number(EPSILON),
        ],
    );
    let [updated, moment_1, moment_2] =
        [TchTensor::new(updated), moment_1, moment_2].map(Tensor::from_primitive::<LibTorch>);
    let momentum = AdaptiveMomentumState::new(time, moment_1, moment_2);
    (updated, AdamWState { momentum })
}

fn primitive<const D: usize>(tensor: Tensor<D>) -> TchTensor {
    tensor.try_into_primitive::<LibTorch>().expect("its device is libtorch's")
}

/// A copy that lies as another tensor.
fn copy(tensor: &TchTensor, like: &tch::Tensor) -> TchTensor {
    let mut copy = like.empty_like();
    copy.copy_(&tensor.tensor);
    TchTensor::new(copy)
}

fn number_of(time: usize, device: Device) -> tch::Tensor {
    TIME.with_borrow_mut(|known| match known {
        Some((of, tensor)) if *of == time && tensor.device() == device => tensor.shallow_clone(),
        _ => {
            let tensor = tch::Tensor::full(&[] as &[i64], time as f64, (Kind::Float, device));
            known.insert((time, tensor)).1.shallow_clone()
        }
    })
}
