#![allow(deprecated, reason = "Burn deprecates its way to libtorch")]

use std::cell::RefCell;
use std::sync::LazyLock;

use burn::backend::libtorch::TchTensor;
use burn::backend::{DispatchDevice, LibTorch};
use burn::optim::{AdamWState, AdaptiveMomentumState, LearningRate};
use burn::tensor::{DType, Tensor};
use tch::{IValue, Kind};
use vae_models::TorchScript;

use super::{BETAS, EPSILON};

static SCRIPT: LazyLock<TorchScript> =
    LazyLock::new(|| TorchScript::new(include_str!("libtorch.torchscript")));

thread_local! {
    /// What a step has yet to do, while [`at_once`] gathers it.
    static GATHERED: RefCell<Option<Vec<Update>>> = const { RefCell::new(None) };
}

/// A tensor's part of a step. The updated tensor and the moments have been given out already, and get their values
/// when it is done.
struct Update {
    of: Step,
    weights: TchTensor,
    updated: TchTensor,
    gradient: TchTensor,
    moments: [TchTensor; 2],
}

/// What is the same for all tensors of an optimiser's step.
#[derive(Debug, Clone, Copy)]
struct Step {
    time: usize,
    learning_rate: f64,
    weight_decay: f64,
}

/// Does in one call what `steps` of one optimiser ask of every tensor.
pub(super) fn at_once<T>(steps: impl FnOnce() -> T) -> T {
    /// Ends the gathering, however `steps` end.
    struct Gathering;

    impl Drop for Gathering {
        fn drop(&mut self) {
            GATHERED.take();
        }
    }

    GATHERED.set(Some(vec![]));
    let gathering = Gathering;
    let stepped = steps();
    let mut updates = GATHERED.take().unwrap_or_default();
    drop(gathering);
    while let Some(Update { of, .. }) = updates.first() {
        let (of, alike) = (*of, updates.iter().filter(|other| other.of.time == of.time));
        update(of, alike);
        updates.retain(|other| other.of.time != of.time);
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
        weights,
        updated: updated.clone(),
        gradient: lying(gradient),
        moments: [moment_1.clone(), moment_2.clone()],
    };
    GATHERED.with_borrow_mut(|gathered| match gathered {
        Some(gathered) => gathered.push(asked),
        None => update(of, [&asked].into_iter()),
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

fn update<'a>(of: Step, updates: impl Iterator<Item = &'a Update>) {
    let mut lists: [Vec<tch::Tensor>; 6] = Default::default();
    let mut time = None;
    for Update { weights, updated, gradient, moments: [moment_1, moment_2], .. } in updates {
        let device = updated.tensor.device();
        let time = time.get_or_insert_with(|| {
            tch::Tensor::full(&[] as &[i64], of.time as f64, (Kind::Float, device))
        });
        let tensors = [updated, weights, gradient, moment_1, moment_2].map(|given| &given.tensor);
        let tensors = tensors.into_iter().chain([&*time]).map(tch::Tensor::shallow_clone);
        lists.iter_mut().zip(tensors).for_each(|(list, tensor)| list.push(tensor));
    }
    let numbers =
        [of.learning_rate, BETAS[0].into(), BETAS[1].into(), of.weight_decay, EPSILON.into()];
    let lists = lists.into_iter().map(IValue::TensorList);
    let given: Vec<_> = lists.chain(numbers.map(IValue::Double)).collect();
    let [] = SCRIPT.tensors("step", &given);
}
