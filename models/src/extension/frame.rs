use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DispatchKindConversion, DispatchTensor};
use burn::tensor::{DType, Tensor};

use super::training::{Training, made};

/// Zeros around images on a backend.
pub(super) trait Frame<B: Backend>: Debug + Send + Sync + 'static {
    /// Whether it takes images of a type.
    fn takes(&self, dtype: DType) -> bool;

    /// `[B, C, H, W]` with so many rows and columns more at the top, the bottom, the left and the right.
    fn framed(&self, images: &FloatTensor<B>, sides: [i64; 4]) -> FloatTensor<B>;
}

/// Framed images; nothing where they are not the backend's, or of a type that it does not take.
pub(super) fn apply<B: Backend>(
    frame: impl Frame<B>,
    images: &Tensor<4>,
    sides: [i64; 4],
) -> Option<Tensor<4>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Training<B>>,
{
    if !frame.takes(images.dtype()) {
        return None;
    }
    let Ok(images) = images.clone().try_into_primitive::<Training<B>>() else {
        let images = images.clone().try_into_primitive::<B>().ok()?;
        return Some(Tensor::from_primitive::<B>(frame.framed(&images, sides)));
    };
    let output = frame.framed(images.primitive(), sides);
    Some(made(InTraining(frame), [images.node()], sides, output))
}

/// A frame in a training step: the way back takes away what the way there adds.
#[derive(Debug)]
struct InTraining<F>(F);

impl<B: Backend, F: Frame<B>> Backward<B, 1> for InTraining<F> {
    /// What was added at every side.
    type State = [i64; 4];

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [Some(images)] = ops.parents else { return };
        let gradient = self.0.framed(&gradient, ops.state.map(|side| -side));
        gradients.register::<B>(images.id, gradient);
    }
}
