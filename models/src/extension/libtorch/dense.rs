use burn::backend::LibTorch;
use burn::backend::libtorch::TchTensor;
use burn::tensor::DType;
use tch::Kind;

use super::{Gradients, Layer, Wanted, before_relu, takes};

/// A dense layer and, where it has one, its ReLU.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Dense {
    pub(in super::super) relu: bool,
}

impl Layer<LibTorch> for Dense {
    fn takes(&self, dtype: DType) -> bool {
        takes(dtype)
    }

    /// # Shapes
    ///
    /// - input: `[B, F]`
    /// - weight: `[F, F']`
    /// - bias: `[F']`
    /// - output: `[B, F']`
    fn forward(&self, input: &TchTensor, weight: &TchTensor, bias: &TchTensor) -> TchTensor {
        let (input, weight, bias) = (&input.tensor, &weight.tensor, &bias.tensor);
        let mut output = bias.addmm(input, weight);
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
        let of_input = || gradient.mm(&weight.tensor.tr());
        let of_weight = || input.tensor.tr().mm(&gradient);
        Gradients {
            input: wanted.input.then(of_input).map(TchTensor::new),
            weight: wanted.weight.then(of_weight).map(TchTensor::new),
            bias: TchTensor::new(gradient.sum_dim_intlist(0_i64, false, None::<Kind>)),
        }
    }
}
