use std::sync::LazyLock;

use burn::backend::LibTorch;
use burn::backend::libtorch::TchTensor;
use burn::tensor::DType;
use tch::{IValue, Tensor};

use super::phases::Phases;
use super::{End, Gradients, Layer, Script, Steps, Wanted, takes};

static SCRIPT: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("convolution.torchscript")));

/// A convolution or a transposed one, with its bias and its end.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Convolution {
    pub(in super::super) steps: Steps,
    pub(in super::super) end: Option<End>,
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
        let (input, bias) = (&input.tensor, &bias.tensor);
        let weight = channels_last(&weight.tensor);
        TchTensor::new(match Phases::of(self.steps, input, &weight) {
            Some(phases) => phases.apply(input, &weight, bias, self.end),
            None => with_end(input, &weight, bias, self.steps, self.end),
        })
    }

    fn backward(
        &self,
        input: &TchTensor,
        weight: &TchTensor,
        output: &TchTensor,
        gradient: TchTensor,
        wanted: Wanted,
    ) -> Gradients<LibTorch> {
        let gradient = match self.end {
            Some(end) => end.before(&gradient.tensor, &output.tensor),
            None => gradient.tensor,
        };
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

/// A convolution's output behind its end; cuDNN has bias and ReLU in the convolution itself.
pub(super) fn with_end(
    input: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    Steps { stride, padding, transposed }: Steps,
    end: Option<End>,
) -> Tensor {
    let [stride, padding, added] = [stride, padding, transposed.unwrap_or_default()].map(list);
    if transposed.is_none()
        && matches!(end, Some(End::Relu))
        && input.device().is_cuda()
        && tch::Cuda::cudnn_is_available()
    {
        return input.cudnn_convolution_relu(weight, Some(bias), stride, padding, [1; 2], 1);
    }
    let output = input.convolution(
        weight,
        Some(bias),
        stride,
        padding,
        [1; 2],
        transposed.is_some(),
        added,
        1,
    );
    match end {
        Some(end) => end.apply(output),
        None => output,
    }
}

fn list(numbers: [usize; 2]) -> [i64; 2] {
    numbers.map(|number| number as i64)
}

/// A weight that lies channels last, and with it all that the convolution gives.
fn channels_last(weight: &Tensor) -> Tensor {
    if let (&[_, channels, height, width], [images, 1, rows, columns]) =
        (&weight.size()[..], &weight.stride()[..])
        && [*images, *rows, *columns] == [height * width * channels, width * channels, channels]
    {
        return weight.shallow_clone();
    }
    let [lying] = SCRIPT.tensors("channels_last", &[IValue::Tensor(weight.shallow_clone())]);
    lying
}
