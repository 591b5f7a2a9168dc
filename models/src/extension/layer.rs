use std::fmt::Debug;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DispatchKindConversion, DispatchTensor, autodiff};
use burn::tensor::{DType, Tensor};

use super::training::{Training, training};

/// An affine layer on a backend, with the activation that may be part of it.
pub(super) trait Layer<B: Backend>: Debug + Clone + Send + Sync + 'static {
    /// Whether it computes in a type.
    fn takes(&self, dtype: DType) -> bool;

    /// The layer's output.
    fn forward(
        &self,
        input: &FloatTensor<B>,
        weight: &FloatTensor<B>,
        bias: &FloatTensor<B>,
    ) -> FloatTensor<B>;

    /// The gradients, given the output's.
    fn backward(
        &self,
        input: &FloatTensor<B>,
        weight: &FloatTensor<B>,
        output: &FloatTensor<B>,
        gradient: FloatTensor<B>,
        wanted: Wanted,
    ) -> Gradients<B>;
}

/// Which gradients are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) input: bool,
    pub(super) weight: bool,
    pub(super) bias: bool,
}

/// Gradients of a layer's input, weight and bias, those that are wanted at least.
pub(super) struct Gradients<B: Backend> {
    pub(super) input: Option<FloatTensor<B>>,
    pub(super) weight: Option<FloatTensor<B>>,
    pub(super) bias: Option<FloatTensor<B>>,
}

/// A layer's output, in a training step where one of the tensors is part of it, or out of one; nothing where they are
/// not those of its backend, or of a type that it does not take.
pub(super) fn apply<B: Backend, const D: usize>(
    layer: impl Layer<B>,
    input: &Tensor<D>,
    weight: &Tensor<D>,
    bias: &Tensor<1>,
) -> Option<Tensor<D>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Training<B>>,
{
    if !layer.takes(input.dtype()) || weight.dtype() != input.dtype() {
        return None;
    }
    let plain = |tensor: &Tensor<D>| tensor.clone().try_into_primitive::<B>().ok();
    let plain_bias = || bias.clone().try_into_primitive::<B>().ok();
    if let (Some(input), Some(weight), Some(bias)) = (plain(input), plain(weight), plain_bias()) {
        return Some(Tensor::from_primitive::<B>(layer.forward(&input, &weight, &bias)));
    }
    let (input, weight, bias) = (training(input)?, training(weight)?, training(bias)?);
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
    Some(Tensor::from_primitive::<Training<B>>(output))
}

/// A layer whose gradients will be asked for.
#[derive(Debug, Clone)]
struct InTraining<L>(L);

impl<B: Backend, L: Layer<B>> Backward<B, 3> for InTraining<L> {
    /// Where input and weight are remembered, and the output.
    type State = ([NodeId; 2], FloatTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut autodiff::grads::Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (inputs, output) = ops.state;
        let [input, weight]: [FloatTensor<B>; 2] =
            inputs.map(|node| checkpointer.retrieve_node_output(node));
        let [input_wanted, weight_wanted, bias_wanted] =
            [0, 1, 2].map(|parent| ops.parents[parent].is_some());
        let wanted = Wanted { input: input_wanted, weight: weight_wanted, bias: bias_wanted };
        let found = self.0.backward(&input, &weight, &output, gradient, wanted);
        let found = [found.input, found.weight, found.bias];
        for (node, found) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(found)) = (node, found) {
                gradients.register::<B>(node.id, found);
            }
        }
    }
}
