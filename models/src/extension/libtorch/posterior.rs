use burn::backend::LibTorch;
use burn::backend::libtorch::TchTensor;
use burn::tensor::Tensor;
use tch::Kind;

use super::{OfPosterior, constant};

/// The reparameterised draw with a noise, `[B, Z]`.
#[derive(Debug)]
pub(in super::super) struct Draw(TchTensor);

/// The divergence from N(0, I) of every image, `[B]`.
#[derive(Debug)]
pub(in super::super) struct Divergence;

impl Draw {
    /// With the noise of a step, `[B, Z]`; nothing where it has a gradient.
    pub(in super::super) fn with(epsilon: &Tensor<2>) -> Option<Self> {
        constant::<LibTorch, 2>(epsilon).map(Self)
    }
}

impl OfPosterior<LibTorch> for Draw {
    /// Beside the draw what it is off the mean by.
    fn forward(&self, mean: &TchTensor, log_var: &TchTensor) -> (TchTensor, TchTensor) {
        let off = (&log_var.tensor * 0.5).exp_() * &self.0.tensor;
        (TchTensor::new(&mean.tensor + &off), TchTensor::new(off))
    }

    fn backward(&self, _: TchTensor, off: TchTensor, gradient: TchTensor) -> [TchTensor; 2] {
        let of_log_var = &gradient.tensor * off.tensor * 0.5;
        [gradient, TchTensor::new(of_log_var)]
    }
}

impl OfPosterior<LibTorch> for Divergence {
    /// Beside the divergence the variance less 1.
    fn forward(&self, mean: &TchTensor, log_var: &TchTensor) -> (TchTensor, TchTensor) {
        let (mean, log_var) = (&mean.tensor, &log_var.tensor);
        let excess = log_var.expm1();
        let terms = (&excess - log_var).addcmul_(mean, mean);
        let divergence = terms.sum_dim_intlist(1_i64, false, None::<Kind>) * 0.5;
        (TchTensor::new(divergence), TchTensor::new(excess))
    }

    fn backward(&self, mean: TchTensor, excess: TchTensor, gradient: TchTensor) -> [TchTensor; 2] {
        let of_image = gradient.tensor.reshape([-1, 1]);
        let of_log_var = excess.tensor * (&of_image * 0.5);
        [mean.tensor * of_image, of_log_var].map(TchTensor::new)
    }
}
