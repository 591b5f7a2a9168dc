use std::fmt::Debug;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, autodiff};
use burn::tensor::{DType, Tensor};

/// The backend of a training step on the CPU.
pub(super) type Training = Autodiff<Flex, NoCheckpointing>;

/// An affine layer with the ReLU that may follow it.
pub(super) trait Layer: Debug + Clone + Send + Sync + 'static {
    /// The layer's output.
    fn forward(&self, input: &FlexTensor, weight: &FlexTensor, bias: &FlexTensor) -> FlexTensor;

    /// The gradients, given the output's.
    fn backward(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        output: &FlexTensor,
        gradient: FlexTensor,
        wanted: Wanted,
    ) -> Gradients;
}

/// Which gradients are wanted beside the bias's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) input: bool,
    pub(super) weight: bool,
}

/// Gradients of a layer's input and weight, where they are wanted, and bias.
pub(super) struct Gradients {
    pub(super) input: Option<FlexTensor>,
    pub(super) weight: Option<FlexTensor>,
    pub(super) bias: FlexTensor,
}

/// A layer's output, in a training step or out of one; nothing where the tensors are not those of `flex` in
/// `f32`.
pub(super) fn apply<const D: usize>(
    layer: impl Layer,
    input: &Tensor<D>,
    weight: Tensor<D>,
    bias: Tensor<1>,
) -> Option<Tensor<D>> {
    if input.dtype() != DType::F32 || weight.dtype() != DType::F32 {
        return None;
    }
    let Ok(weight) = weight.clone().try_into_primitive::<Training>() else {
        let [input, weight] = [input.clone(), weight].map(|t| t.try_into_primitive::<Flex>().ok());
        let bias = bias.try_into_primitive::<Flex>().ok()?;
        let output = layer.forward(&input?, &weight?, &bias);
        return Some(Tensor::from_primitive::<Flex>(output));
    };
    let (input, bias) = (training(input)?, training(&bias)?);
    let output = layer.forward(input.primitive(), weight.primitive(), bias.primitive());
    let step = InTraining(layer);
    let prepared = step.prepare::<NoCheckpointing>([input.node(), weight.node(), bias.node()]);
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
pub(super) fn training<const D: usize>(tensor: &Tensor<D>) -> Option<FloatTensor<Training>> {
    let constant =
        |_| tensor.clone().try_into_primitive::<Flex>().map(FloatTensor::<Training>::new);
    tensor.clone().try_into_primitive::<Training>().or_else(constant).ok()
}

/// A layer whose gradients will be asked for.
#[derive(Debug, Clone)]
struct InTraining<L>(L);

impl<L: Layer> Backward<Flex, 3> for InTraining<L> {
    /// Where input and weight are remembered, and the output.
    type State = ([NodeId; 2], FlexTensor);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut autodiff::grads::Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let (inputs, output) = ops.state;
        let [input, weight]: [FlexTensor; 2] =
            inputs.map(|node| checkpointer.retrieve_node_output(node));
        let wanted = Wanted { input: ops.parents[0].is_some(), weight: ops.parents[1].is_some() };
        let found = self.0.backward(&input, &weight, &output, gradient, wanted);
        let found = [found.input, found.weight, Some(found.bias)];
        for (node, found) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(found)) = (node, found) {
                gradients.register::<Flex>(node.id, found);
            }
        }
    }
}
