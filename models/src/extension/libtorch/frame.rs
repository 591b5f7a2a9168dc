use burn::backend::LibTorch;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::libtorch::TchTensor;
use burn::tensor::Tensor;

use super::{Training, made};

/// Zeros around images, or rows and columns taken away, in the order in which the images lie; nothing where they are
/// not libtorch's. Burn fills an image of zeros that lies channel by channel.
pub(in super::super) fn frame(images: &Tensor<4>, sides: [i64; 4]) -> Option<Tensor<4>> {
    let Ok(images) = images.clone().try_into_primitive::<Training<LibTorch>>() else {
        let images = images.clone().try_into_primitive::<LibTorch>().ok()?;
        return Some(Tensor::from_primitive::<LibTorch>(framed(&images, sides)));
    };
    let output = framed(images.primitive(), sides);
    Some(made(Frame, [images.node()], sides, output))
}

fn framed(images: &TchTensor, [top, bottom, left, right]: [i64; 4]) -> TchTensor {
    TchTensor::new(images.tensor.constant_pad_nd([left, right, top, bottom]))
}

/// A frame in a training step: the way back takes away what the way there adds.
#[derive(Debug)]
struct Frame;

impl Backward<LibTorch, 1> for Frame {
    /// What was added at every side.
    type State = [i64; 4];

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<LibTorch>(&ops.node);
        let [Some(images)] = ops.parents else { return };
        let gradient = framed(&gradient, ops.state.map(|side| -side));
        gradients.register::<LibTorch>(images.id, gradient);
    }
}
