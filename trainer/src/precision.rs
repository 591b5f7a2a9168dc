//! The arithmetic of a training step's layers: in `f32`, or in `bf16` with weights that stay in `f32` (mixed
//! precision, Micikevicius et al., arXiv:1710.03740; for bfloat16 Kalamkar et al., arXiv:1905.12322).

use anyhow::{Result, bail};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};
use vae_models::{Encoding, Posterior, Skips, Vae};

use crate::device::Chosen;

/// What the layers of a network compute in, forward and backward. Weights, the posterior and its draw, the terms of
/// the loss and the optimiser are in `f32` whatever it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 24 bits of precision; a GPU may multiply in TF32, which has 11.
    #[default]
    F32,
    /// 8 bits of precision, and the range of `f32`: no loss has to be scaled for it.
    Bf16,
}

impl Precision {
    /// Whether it is what is taken where nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that a device computes in it.
    ///
    /// # Errors
    ///
    /// Where it does not.
    pub fn check(self, chosen: &Chosen) -> Result<()> {
        let Chosen { device, others, name, .. } = chosen;
        let mut devices = std::iter::once(device).chain(others);
        if devices.all(|device| device.supports_dtype(self.dtype())) {
            return Ok(());
        }
        bail!("{name} does not compute in bf16 (hint: --set train.precision=f32)")
    }

    /// The layers of a network in it, through which gradients flow to the network's own weights.
    pub fn layers(self, vae: &Vae) -> Layers {
        let vae = match self {
            Self::F32 => vae.clone(),
            Self::Bf16 => vae.clone().map(&mut Cast(self.dtype())),
        };
        Layers { vae, dtype: self.dtype() }
    }

    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
        }
    }
}

/// The layers of a network in a precision. What goes in and comes out is `f32`.
pub struct Layers {
    vae: Vae,
    dtype: FloatDType,
}

impl Layers {
    /// As [`Vae::encode`]; the skips stay in the precision.
    ///
    /// # Shapes
    ///
    /// images: `[B, C, H, W]`
    pub fn encode(&self, images: Tensor<4>) -> Encoding {
        let Encoding { posterior: Posterior { mean, log_var }, skips } =
            self.vae.encode(images.cast(self.dtype));
        let log_var = log_var.map(|log_var| log_var.cast(FloatDType::F32));
        Encoding { posterior: Posterior { mean: mean.cast(FloatDType::F32), log_var }, skips }
    }

    /// As [`Vae::decode`].
    ///
    /// # Shapes
    ///
    /// - latent: `[B, Z]`
    /// - output: `[B, C, H, W]`
    pub fn decode(&self, latent: Tensor<2>, skips: Skips) -> Tensor<4> {
        self.vae.decode(latent.cast(self.dtype), skips).cast(FloatDType::F32)
    }
}

struct Cast(FloatDType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, weight: Param<Tensor<D>>) -> Param<Tensor<D>> {
        weight.map(|weight| weight.cast(self.0))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::optim::GradientsParams;
    use burn::tensor::{DType, Device, Distribution};

    use super::*;
    use crate::config::RunConfig;
    use crate::forward::host;
    use crate::objective::Objective;

    /// The loss of images, and the gradient of the first layer's weights with what they are made of.
    fn found(settings: &[&str], vae: &Vae, images: &Tensor<4>) -> (f32, Vec<f32>) {
        let settings: Vec<_> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let config = RunConfig::load("emnist-perceptual", &settings).expect("known keys");
        let objective = Objective::new(&config, &Device::flex()).expect("it is built in");
        let [count, ..] = images.dims();
        let epsilon = Tensor::full([count, config.model.latent], 0.5, &vae.devices()[0]);
        let terms = objective.training_terms(vae, images.clone(), epsilon);
        assert_eq!(terms.reconstruction.dtype(), DType::F32);
        let loss = terms.loss(config.weights());
        let gradients = GradientsParams::from_grads(loss.backward(), vae);
        let mut found = FirstGradient { gradients, values: None };
        vae.visit(&mut found);
        (loss.into_scalar(), found.values.expect("there is a first layer"))
    }

    struct FirstGradient {
        gradients: GradientsParams,
        values: Option<Vec<f32>>,
    }

    impl burn::module::ModuleVisitor for FirstGradient {
        fn visit_float<const D: usize>(&mut self, weight: &Param<Tensor<D>>) {
            assert_eq!(weight.val().dtype(), DType::F32);
            let gradient = self.gradients.get::<D>(weight.id).expect("every weight has one");
            assert_eq!(gradient.dtype(), DType::F32);
            self.values.get_or_insert_with(|| host(gradient));
        }
    }

    #[test]
    fn layers_in_bf16_give_nearly_the_gradients_of_f32_to_weights_in_f32() {
        let config = RunConfig::load("emnist-perceptual", &[]).expect("a preset");
        let device = Device::flex().autodiff();
        let vae = config.model.init(config.image.shape(), &device).expect("it fits");
        let [channels, height, width] = config.image.shape();
        let uniform = Distribution::Uniform(0.0, 1.0);
        let images = Tensor::<4>::random([3, channels, height, width], uniform, &device);
        let (loss, gradient) = found(&[], &vae, &images);
        let (near, gradient_near) = found(&["train.precision=bf16"], &vae, &images);
        assert!(near != loss && (near / loss - 1.0).abs() < 0.01, "{near} for {loss}");
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let norms = (dot(&gradient, &gradient) * dot(&gradient_near, &gradient_near)).sqrt();
        let cosine = dot(&gradient, &gradient_near) / norms;
        assert!((0.97..0.999_999).contains(&cosine), "{cosine}");
    }
}
