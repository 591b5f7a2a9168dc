//! Tensors of a training step.

use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::ops::{Backward, NodeGuard, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
use burn::tensor::{DType, Tensor};

/// A backend in a training step.
pub(super) type Training<B> = Autodiff<B, NoCheckpointing>;

/// A tensor of a training step, or a constant in one.
pub(super) fn training<B: Backend, const D: usize>(
    tensor: &Tensor<D>,
) -> Option<FloatTensor<Training<B>>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Training<B>>,
{
    let constant =
        |_| tensor.clone().try_into_primitive::<B>().map(FloatTensor::<Training<B>>::new);
    tensor.clone().try_into_primitive::<Training<B>>().or_else(constant).ok()
}

/// The values of a tensor of a training step that has no gradient.
pub(super) fn constant<B: Backend, const D: usize>(tensor: &Tensor<D>) -> Option<FloatTensor<B>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Training<B>>,
{
    let tensor = training(tensor)?;
    (!tensor.is_tracked()).then(|| tensor.into_primitive())
}

/// Whether two tensors have one shape, in `f32`.
pub(super) fn alike<const D: usize>(one: &Tensor<D>, other: &Tensor<D>) -> bool {
    [one, other].iter().all(|tensor| tensor.dtype() == DType::F32) && one.dims() == other.dims()
}

/// What a step makes of its parents, with a way back from it where one of them has a gradient, which needs `state`.
pub(super) fn made<B: Backend, S: Backward<B, N>, const N: usize, const D: usize>(
    step: S,
    parents: [NodeGuard; N],
    state: S::State,
    output: FloatTensor<B>,
) -> Tensor<D>
where
    DispatchTensor: DispatchKindConversion<Training<B>>,
{
    let prepared = step.prepare::<NoCheckpointing>(parents);
    Tensor::from_primitive::<Training<B>>(match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    })
}
