//! Convolutions on the CPU, where Burn's `flex` backend spends most of a training step.
//!
//! `flex` finds a weight's gradient as a convolution whose kernel is as large as the image, and goes
//! over every image several times to turn it round. Here a convolution and its transpose, forward and
//! backward, are the same three products of matrices, of `flex`'s own, with the ReLU on the way.
//! Other backends never come here.

mod bernoulli;
mod convolution;
mod matrix;
mod phases;
mod window;
mod work;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor};

use convolution::Convolution;
use window::Window;

pub(crate) use bernoulli::negative_log;

/// The backend of a training step on the CPU.
type Training = Autodiff<Flex, NoCheckpointing>;

/// How a layer's kernel goes over an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    /// Rows and columns added to the output of a transposed convolution; none where it is a plain one.
    pub(crate) transposed: Option<[usize; 2]>,
}

/// A convolution or a transposed one, and a ReLU where there is one; nothing where the tensors are not
/// those of `flex` in `f32`.
pub(crate) fn convolution(
    input: &Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    steps: Steps,
    relu: bool,
) -> Option<Tensor<4>> {
    if input.dtype() != DType::F32 || weight.dtype() != DType::F32 {
        return None;
    }
    let of = steps.convolution(input.dims(), weight.dims(), relu);
    let Ok(weight) = weight.clone().try_into_primitive::<Training>() else {
        let [input, weight] = [input.clone(), weight].map(|t| t.try_into_primitive::<Flex>().ok());
        let bias = bias.try_into_primitive::<Flex>().ok()?;
        let output = of.forward(&input?, &weight?, &bias);
        return Some(Tensor::from_primitive::<Flex>(output));
    };
    let (input, bias) = (training(input)?, training(&bias)?);
    let prepared = of.prepare::<NoCheckpointing>([input.node(), weight.node(), bias.node()]);
    let output = of.forward(input.primitive(), weight.primitive(), bias.primitive());
    let output = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(mut prepared) => {
            let inputs = [prepared.checkpoint(&input), prepared.checkpoint(&weight)];
            prepared.finish((inputs, output.clone()), output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    Some(Tensor::from_primitive::<Training>(output))
}

/// A tensor of a training step, or a constant in one.
fn training<const D: usize>(tensor: &Tensor<D>) -> Option<FloatTensor<Training>> {
    let constant =
        |_| tensor.clone().try_into_primitive::<Flex>().map(FloatTensor::<Training>::new);
    tensor.clone().try_into_primitive::<Training>().or_else(constant).ok()
}

impl Steps {
    fn convolution(self, input: [usize; 4], weight: [usize; 4], relu: bool) -> Convolution {
        let Self { stride, padding, transposed } = self;
        let ([_, _, height, width], [small_channels, channels, rows, columns]) = (input, weight);
        let (image, kernel) = ([height, width], [rows, columns]);
        let other = |axis: usize| match transposed {
            Some(added) => {
                let whole = (image[axis] - 1) * stride[axis] + kernel[axis] + added[axis];
                whole - 2 * padding[axis]
            }
            None => (image[axis] + 2 * padding[axis] - kernel[axis]) / stride[axis] + 1,
        };
        let other = [other(0), other(1)];
        let (large, small) = if transposed.is_some() { (other, image) } else { (image, other) };
        let window = Window { channels, large, small_channels, small, kernel, stride, padding };
        Convolution { window, transposed: transposed.is_some(), relu }
    }
}

impl Backward<Flex, 3> for Convolution {
    /// Where input and weight are remembered, and the output.
    type State = ([NodeId; 2], FlexTensor);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let (inputs, output) = ops.state;
        let [input, weight]: [FlexTensor; 2] =
            inputs.map(|node| checkpointer.retrieve_node_output(node));
        let wants_input = ops.parents[0].is_some();
        let found = Convolution::backward(&self, &input, &weight, &output, &gradient, wants_input);
        let found = [found.input, Some(found.weight), Some(found.bias)];
        for (node, found) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(found)) = (node, found) {
                gradients.register::<Flex>(node.id, found);
            }
        }
    }
}
