use std::sync::LazyLock;

use burn::backend::LibTorch;
use burn::backend::libtorch::TchTensor;
use burn::tensor::DType;
use tch::{IValue, Kind, Tensor};

use super::phases::Phases;
use super::{End, Gradients, Layer, Steps, TorchScript, Wanted, full_precision, takes};

static SCRIPT: LazyLock<TorchScript> = LazyLock::new(|| {
    // cuDNN chooses among its ways to a convolution by trying them
    tch::Cuda::cudnn_set_benchmark(true);
    TorchScript::new(include_str!("convolution.torchscript"))
});

/// Values of a tensor up to which cuDNN counts them.
const MOST: usize = i32::MAX as usize;

/// A convolution or a transposed one, with its bias and its end.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Convolution {
    pub(in super::super) steps: Steps,
    pub(in super::super) end: End,
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
        LazyLock::force(&SCRIPT);
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
        let gradient = self.end.before(gradient.tensor, &output.tensor);
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
                IValue::BoolList(vec![wanted.input, wanted.weight, wanted.bias]),
            ],
        );
        Gradients {
            input: wanted.input.then_some(of_input).map(TchTensor::new),
            weight: wanted.weight.then_some(of_weight).map(TchTensor::new),
            bias: wanted.bias.then_some(of_bias).map(TchTensor::new),
        }
    }
}

/// A convolution's output behind its end. cuDNN has bias and ReLU in the convolution itself, which leaves a NaN what it
/// is (seen on an H200, with PyTorch 2.11).
pub(super) fn with_end(
    input: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    Steps { stride, padding, transposed }: Steps,
    end: End,
) -> Tensor {
    let [stride, padding, added] = [stride, padding, transposed.unwrap_or_default()].map(list);
    if transposed.is_none()
        && end == End::Relu
        && input.device().is_cuda()
        && tch::Cuda::cudnn_is_available()
        && values(input, weight) <= MOST
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
    end.apply(output)
}

fn list(numbers: [usize; 2]) -> [i64; 2] {
    numbers.map(|number| number as i64)
}

/// The values of a convolution's input, or of an output as large as it, whichever are more.
fn values(input: &Tensor, weight: &Tensor) -> usize {
    let channels = weight.size()[0].max(weight.size()[1]) as usize;
    input.numel() / (input.size()[1] as usize).max(1) * channels
}

/// A weight that lies channels last where that is another order, and with it all that the convolution gives; in full
/// precision as it is.
fn channels_last(weight: &Tensor) -> Tensor {
    if full_precision() && weight.kind() == Kind::Float {
        return weight.shallow_clone();
    }
    let lies = match (&weight.size()[..], &weight.stride()[..]) {
        (&[_, channels, height, width], _) if channels == 1 || height * width == 1 => true,
        (&[_, channels, height, width], strides) => {
            strides == [height * width * channels, 1, width * channels, channels]
        }
        _ => true,
    };
    if lies {
        return weight.shallow_clone();
    }
    let [lying] = SCRIPT.tensors("channels_last", &[IValue::Tensor(weight.shallow_clone())]);
    lying
}
