use burn::backend::LibTorch;
use burn::backend::libtorch::TchTensor;
use burn::tensor::DType;
use tch::Kind;

use super::{End, Gradients, Layer, Wanted, takes};

/// A dense layer and its end.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Dense(pub(in super::super) End);

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
        TchTensor::new(self.0.apply(bias.addmm(input, weight)))
    }

    fn backward(
        &self,
        input: &TchTensor,
        weight: &TchTensor,
        output: &TchTensor,
        gradient: TchTensor,
        wanted: Wanted,
    ) -> Gradients<LibTorch> {
        let gradient = self.0.before(gradient.tensor, &output.tensor);
        let of_input = || gradient.mm(&weight.tensor.tr());
        let of_weight = || input.tensor.tr().mm(&gradient);
        let of_bias = || gradient.sum_dim_intlist(0_i64, false, None::<Kind>);
        Gradients {
            input: wanted.input.then(of_input).map(TchTensor::new),
            weight: wanted.weight.then(of_weight).map(TchTensor::new),
            bias: wanted.bias.then(of_bias).map(TchTensor::new),
        }
    }
}
