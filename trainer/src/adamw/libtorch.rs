#![allow(deprecated, reason = "Burn deprecates its way to libtorch")]

use std::cell::RefCell;
use std::mem::take;
use std::sync::LazyLock;

use burn::backend::libtorch::TchTensor;
use burn::backend::{DispatchDevice, LibTorch};
use burn::optim::{AdamWState, AdaptiveMomentumState, LearningRate};
use burn::tensor::{DType, Tensor};
use tch::{IValue, Kind};
use vae_models::Script;

use super::{BETAS, EPSILON};

static SCRIPT: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("libtorch.torchscript")));

thread_local! {
    /// What a step has yet to do, while [`together`] gathers it.
    static GATHERED: RefCell<Option<Vec<Update>>> = const { RefCell::new(None) };
}

/// A tensor's part of a step. Whoever has its tensors has them before it is done, and their values after.
struct Update {
    of: Step,
    weights: tch::Tensor,
    updated: tch::Tensor,
    gradient: tch::Tensor,
    moments: [tch::Tensor; 2],
}

/// What is the same for all tensors of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    time: usize,
    learning_rate: f64,
    weight_decay: f64,
}

/// Does in one go what `steps` asks of every tensor, so that a GPU has one kernel to begin.
pub(super) fn together<T>(steps: impl FnOnce() -> T) -> T {
    GATHERED.set(Some(vec![]));
    let stepped = steps();
    let mut updates = GATHERED.take().unwrap_or_default();
    while let Some(first) = updates.first() {
        let of = first.of;
        let alike;
        (alike, updates) = updates.into_iter().partition(|update| update.of == of);
        update(of, alike);
    }
    stepped
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
    let of = Step { time: time + 1, learning_rate, weight_decay: weight_decay.into() };
    let [weights, gradient, moment_1, moment_2] =
        [weights, gradient, moment_1, moment_2].map(primitive);
    let updated = TchTensor::new(gradient.tensor.empty_like());
    let lies = updated.tensor.stride();
    let lying = |tensor: TchTensor| match tensor.tensor.stride() == lies {
        true => tensor,
        false => copy(&tensor, &updated),
    };
    // these are changed in place, and others may have them
    let own = |tensor: TchTensor| match tensor.can_mut() {
        true => tensor,
        false => copy(&tensor, &updated),
    };
    let [moment_1, moment_2] = [moment_1, moment_2].map(|moment| own(lying(moment)));
    let asked = Update {
        of,
        weights: weights.tensor,
        updated: updated.tensor.shallow_clone(),
        gradient: lying(gradient).tensor,
        moments: [&moment_1, &moment_2].map(|moment| moment.tensor.shallow_clone()),
    };
    GATHERED.with_borrow_mut(|gathered| match gathered {
        Some(gathered) => gathered.push(asked),
        None => update(of, vec![asked]),
    });
    let [updated, moment_1, moment_2] =
        [updated, moment_1, moment_2].map(Tensor::from_primitive::<LibTorch>);
    let momentum = AdaptiveMomentumState::new(of.time, moment_1, moment_2);
    (updated, AdamWState { momentum })
}

fn primitive<const D: usize>(tensor: Tensor<D>) -> TchTensor {
    tensor.try_into_primitive::<LibTorch>().expect("its device is libtorch's")
}

/// A copy that lies as another tensor.
fn copy(tensor: &TchTensor, like: &TchTensor) -> TchTensor {
    let mut copy = like.tensor.empty_like();
    copy.copy_(&tensor.tensor);
    TchTensor::new(copy)
}

fn update(of: Step, updates: Vec<Update>) {
    let Some(first) = updates.first() else { return };
    let time = (Kind::Float, first.updated.device());
    let time = tch::Tensor::full(&[] as &[i64], of.time as f64, time);
    let mut lists: [Vec<tch::Tensor>; 6] = Default::default();
    for Update { weights, updated, gradient, moments: [moment_1, moment_2], .. } in updates {
        let tensors = [updated, weights, gradient, moment_1, moment_2, time.shallow_clone()];
        lists.iter_mut().zip(tensors).for_each(|(list, tensor)| list.push(tensor));
    }
    let lists = lists.each_mut().map(|list| IValue::TensorList(take(list)));
    let numbers =
        [of.learning_rate, BETAS[0].into(), BETAS[1].into(), of.weight_decay, EPSILON.into()];
    let given: Vec<_> = lists.into_iter().chain(numbers.map(IValue::Double)).collect();
    let [] = SCRIPT.tensors("step", &given);
}
