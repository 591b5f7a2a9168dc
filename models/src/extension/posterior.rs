use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DispatchKindConversion, DispatchTensor};
use burn::tensor::Tensor;

use super::training::{Training, alike, made};

/// What a step of training makes of a posterior's mean and log-variance on a backend, in `f32`.
pub(super) trait OfPosterior<B: Backend>: Debug + Send + Sync + 'static {
    /// The output for moments `[B, Z]`, and what the gradients need of it beside the mean.
    fn forward(
        &self,
        mean: &FloatTensor<B>,
        log_var: &FloatTensor<B>,
    ) -> (FloatTensor<B>, FloatTensor<B>);

    /// The gradients of mean and log-variance, `[B, Z]`, given the output's.
    fn backward(
        &self,
        mean: FloatTensor<B>,
        kept: FloatTensor<B>,
        gradient: FloatTensor<B>,
    ) -> [FloatTensor<B>; 2];
}

/// The output; nothing where the moments are not tensors of a step on its backend, alike and in `f32`.
pub(super) fn apply<B: Backend, const D: usize>(
    of: impl OfPosterior<B>,
    mean: &Tensor<2>,
    log_var: &Tensor<2>,
) -> Option<Tensor<D>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Training<B>>,
{
    if !alike(mean, log_var) {
        return None;
    }
    let [mean, log_var] =
        [mean, log_var].map(|moment| moment.clone().try_into_primitive::<Training<B>>().ok());
    let (mean, log_var) = (mean?, log_var?);
    let (output, kept) = of.forward(mean.primitive(), log_var.primitive());
    let parents = [mean.node(), log_var.node()];
    Some(made(InTraining(of), parents, [mean.into_primitive(), kept], output))
}

/// What will be asked for its gradients.
#[derive(Debug)]
struct InTraining<O>(O);

impl<B: Backend, O: OfPosterior<B>> Backward<B, 2> for InTraining<O> {
    /// The mean, and what was kept.
    type State = [FloatTensor<B>; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [mean, kept] = ops.state;
        let found = self.0.backward(mean, kept, gradient);
        for (moment, found) in ops.parents.into_iter().zip(found) {
            if let Some(moment) = moment {
                gradients.register::<B>(moment.id, found);
            }
        }
    }
}
