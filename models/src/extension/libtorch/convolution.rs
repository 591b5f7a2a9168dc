use std::sync::LazyLock;

use burn::backend::LibTorch;
use burn::backend::libtorch::TchTensor;
use burn::tensor::DType;
use tch::{IValue, Tensor};

use super::{Gradients, Layer, Script, Steps, Wanted, before_relu, takes};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("convolution.py")));

/// A convolution or a transposed one, with its bias and, where it has one, its ReLU.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Convolution {
    pub(in super::super) steps: Steps,
    pub(in super::super) relu: bool,
}

impl Layer<LibTorch> for Convolution {
    fn takes(&self, dtype: DType) -> bool {
        takes(dtype)
    }

    /// # Shapes
    ///
    /// - input: `[B, C, H, W]`
    /// - weight: `[C', C, K, L]`, or `[C, C', K, L]` where it is transposed
    /// - bias: `[C']`
    /// - output: `[B, C', H', W']`
    fn forward(&self, input: &TchTensor, weight: &TchTensor, bias: &TchTensor) -> TchTensor {
        let Steps { stride, padding, transposed } = self.steps;
        let [stride, padding, added] = [stride, padding, transposed.unwrap_or_default()].map(list);
        let weight = channels_last(&weight.tensor);
        let mut output = input.tensor.convolution(
            &weight,
            Some(&bias.tensor),
            stride,
            padding,
            [1_i64; 2],
            transposed.is_some(),
            added,
            1,
        );
        TchTensor::new(if self.relu { output.relu_() } else { output })
    }

    fn backward(
        &self,
        input: &TchTensor,
        weight: &TchTensor,
        output: &TchTensor,
        gradient: TchTensor,
        wanted: Wanted,
    ) -> Gradients<LibTorch> {
        let mut gradient = gradient.tensor;
        if self.relu {
            gradient = before_relu(&gradient, &output.tensor);
        }
        let Steps { stride, padding, transposed } = self.steps;
        let [stride, padding, added] = [stride, padding, transposed.unwrap_or_default()].map(list);
        let [of_input, of_weight, of_bias] = SCRIPT.tensors(
            "gradients",
            &[
                IValue::Tensor(gradient),
                IValue::Tensor(input.tensor.shallow_clone()),
                IValue::Tensor(channels_last(&weight.tensor)),
                IValue::IntList(stride.into()),
                IValue::IntList(padding.into()),
                IValue::Bool(transposed.is_some()),
                IValue::IntList(added.into()),
                IValue::BoolList(vec![wanted.input, wanted.weight, true]),
            ],
        );
        Gradients {
            input: wanted.input.then_some(of_input).map(TchTensor::new),
            weight: wanted.weight.then_some(of_weight).map(TchTensor::new),
            bias: TchTensor::new(of_bias),
        }
    }
}

fn list(numbers: [usize; 2]) -> [i64; 2] {
    numbers.map(|number| number as i64)
}

/// A weight that lies channels last, and with it all that the convolution gives.
fn channels_last(weight: &Tensor) -> Tensor {
    let [lying] = SCRIPT.tensors("channels_last", &[IValue::Tensor(weight.shallow_clone())]);
    lying
}
