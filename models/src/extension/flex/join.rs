use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Tensor};
use rayon::prelude::*;

use super::super::training::{made, training};
use super::numbers::{contiguous, tensor, values};

/// Images whose channels are those of two; nothing where they are not `flex`'s in `f32`. Burn copies them on one thread,
/// and a part of their gradient once more.
pub(in super::super) fn join(images: [&Tensor<4>; 2]) -> Option<Tensor<4>> {
    if images.iter().any(|images| images.dtype() != DType::F32) {
        return None;
    }
    let plain = images.map(|images| images.clone().try_into_primitive::<Flex>().ok());
    if let [Some(left), Some(right)] = &plain {
        return Some(Tensor::from_primitive::<Flex>(joined([left, right])));
    }
    let [left, right] = images.map(training::<Flex, 4>);
    let (left, right) = (left?, right?);
    let output = joined([left.primitive(), right.primitive()]);
    let channels = images.map(|images| images.dims()[1]);
    Some(made(Join, [left.node(), right.node()], channels, output))
}

fn joined(images: [&FlexTensor; 2]) -> FlexTensor {
    let [left, right] = images.map(contiguous);
    let [batch, channels, height, width] = left.layout().shape().dims();
    let [others, more, rows, columns] = right.layout().shape().dims();
    assert_eq!([batch, height, width], [others, rows, columns], "images to join");
    let plane = height * width;
    let mut output = vec![0.0; batch * (channels + more) * plane];
    let lefts = values(&left).par_chunks((channels * plane).max(1));
    let rights = values(&right).par_chunks((more * plane).max(1));
    let outputs = output.par_chunks_mut(((channels + more) * plane).max(1));
    outputs.zip(lefts).zip(rights).for_each(|((output, left), right)| {
        output[..left.len()].copy_from_slice(left);
        output[left.len()..].copy_from_slice(right);
    });
    tensor(output, [batch, channels + more, height, width])
}

/// So many channels of images, from one on.
fn part(images: &FlexTensor, first: usize, count: usize) -> FlexTensor {
    let [batch, channels, height, width] = images.layout().shape().dims();
    let plane = height * width;
    let mut output = vec![0.0; batch * count * plane];
    let outputs = output.par_chunks_mut((count * plane).max(1));
    let images = values(images).par_chunks((channels * plane).max(1));
    outputs.zip(images).for_each(|(output, image)| {
        output.copy_from_slice(&image[first * plane..][..count * plane]);
    });
    tensor(output, [batch, count, height, width])
}

/// A join in a training step.
#[derive(Debug)]
struct Join;

impl Backward<Flex, 2> for Join {
    /// The channels of both.
    type State = [usize; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = contiguous(&gradients.consume::<Flex>(&ops.node));
        let [left, right] = ops.state;
        let parts = [(0, left), (left, right)];
        for (images, (first, count)) in ops.parents.into_iter().zip(parts) {
            if let Some(images) = images {
                gradients.register::<Flex>(images.id, part(&gradient, first, count));
            }
        }
    }
}
