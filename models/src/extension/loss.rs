use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DispatchKindConversion, DispatchTensor};
use burn::tensor::Tensor;

use super::training::{Training, alike, constant, made};

/// The negative logarithm of a likelihood on a backend, in `f32`, whose gradient is found beside it.
pub(super) trait Loss<B: Backend>: Debug + Send + Sync + 'static {
    /// The losses, `[B]`, and of what [`Loss::scaled`] makes their derivatives by what was decoded, `[B, C, H, W]`.
    fn of(
        &self,
        decoded: &FloatTensor<B>,
        image: &FloatTensor<B>,
    ) -> (FloatTensor<B>, FloatTensor<B>);

    /// The derivatives by what was decoded, those of every image times its factor, `[B]`.
    fn scaled(&self, slopes: FloatTensor<B>, factors: FloatTensor<B>) -> FloatTensor<B>;
}

/// The losses of images, `[B, C, H, W]` to `[B]`; nothing where the tensors are not those of the loss's backend in
/// `f32`.
pub(super) fn apply<B: Backend>(
    loss: impl Loss<B>,
    decoded: &Tensor<4>,
    image: &Tensor<4>,
) -> Option<Tensor<1>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Training<B>>,
{
    if !alike(decoded, image) {
        return None;
    }
    let Ok(decoded) = decoded.clone().try_into_primitive::<Training<B>>() else {
        let [decoded, image] = [decoded, image].map(|t| t.clone().try_into_primitive::<B>().ok());
        return Some(Tensor::from_primitive::<B>(loss.of(&decoded?, &image?).0));
    };
    let (losses, slopes) = loss.of(decoded.primitive(), &constant(image)?);
    Some(made(InTraining(loss), [decoded.node()], slopes, losses))
}

/// A loss whose gradient will be asked for.
#[derive(Debug)]
struct InTraining<L>(L);

impl<B: Backend, L: Loss<B>> Backward<B, 1> for InTraining<L> {
    /// What the derivatives of the losses are made of.
    type State = FloatTensor<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let factors = gradients.consume::<B>(&ops.node);
        let [Some(decoded)] = ops.parents else { return };
        gradients.register::<B>(decoded.id, self.0.scaled(ops.state, factors));
    }
}
