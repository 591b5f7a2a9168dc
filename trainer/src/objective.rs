//! What training minimises: reconstruction + beta KL + weight x perceptual.

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use vae_models::{Cost, Likelihood, Vae};

use crate::config::RunConfig;
use crate::perceptual::Perceptual;
use crate::precision::{Layers, Precision};

/// How KL(q(z | x) || p(z)) is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimate {
    /// In closed form.
    #[default]
    Analytic,
    /// log q(z | x) - log p(z) at the draw that is decoded: with it the evidence lower bound is the
    /// one-sample Monte-Carlo estimate log p(x | z) + log p(z) - log q(z | x).
    Sampled,
}

impl KlEstimate {
    /// Whether it is what is taken where nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The weights of the terms beside the reconstruction's 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TermWeights {
    /// Of the KL term.
    pub beta: f64,
    /// Of the perceptual term.
    pub perceptual: f64,
}

/// How the terms of the loss are found: made once for a run.
#[derive(Debug)]
pub struct Objective {
    kl: KlEstimate,
    precision: Precision,
    /// With it, whether it is trained on or only measured.
    perceptual: Option<(Perceptual, bool)>,
}

/// The terms of the loss for every image of a batch, in nats where the likelihood has them.
pub struct Terms {
    /// -log p(x | z) with one draw of z, `[B]`.
    pub reconstruction: Tensor<1>,
    /// KL(q(z | x) || p(z)), `[B]`.
    pub kl: Tensor<1>,
    /// The distance between the likelihood's mean and the image in a feature network, `[B]`.
    pub perceptual: Option<Tensor<1>>,
}

impl Objective {
    /// The objective of a configuration, with its feature network on a device.
    ///
    /// # Errors
    ///
    /// Where the feature network cannot be loaded.
    pub fn new(config: &RunConfig, device: &Device) -> Result<Self> {
        let train = &config.train;
        let load = |perceptual| Perceptual::load(perceptual, &config.image, device);
        let network = train.perceptual.as_ref().map(load).transpose();
        let network = network.context("in [train.perceptual]")?;
        let trained = config.weights().perceptual > 0.0;
        let perceptual = network.map(|network| (network, trained));
        Ok(Self { kl: train.kl, precision: train.precision, perceptual })
    }

    /// SHA-256 of the feature network, where there is one.
    pub fn features_sha256(&self) -> Option<&str> {
        self.perceptual.as_ref().map(|(network, _)| network.sha256())
    }

    /// The feature network, where there is one.
    pub fn perceptual(&self) -> Option<&Perceptual> {
        self.perceptual.as_ref().map(|(network, _)| network)
    }

    /// What the feature network adds to a training step of one image: a forward pass of the image and
    /// one of its reconstruction, and the way back where it is trained on. Its weights are not trained.
    pub fn features_cost(&self) -> Cost {
        let Some((network, trained)) = &self.perceptual else { return Cost::default() };
        let passes = if *trained { 3 } else { 2 };
        let Cost { flops, values, .. } = network.cost();
        Cost { parameters: 0, flops: passes * flops, values: passes * values }
    }

    /// The terms for a batch.
    ///
    /// # Shapes
    ///
    /// - images: `[B, C, H, W]`
    /// - epsilon: `[B, Z]`, drawn from N(0, 1)
    pub fn terms(&self, vae: &Vae, images: Tensor<4>, epsilon: Tensor<2>) -> Terms {
        self.of(vae.likelihood(), &Precision::F32.layers(vae), images, epsilon)
    }

    /// The terms for a batch to train on: as [`Objective::terms`], by layers in the precision of training.
    ///
    /// # Shapes
    ///
    /// As [`Objective::terms`].
    pub fn training_terms(&self, vae: &Vae, images: Tensor<4>, epsilon: Tensor<2>) -> Terms {
        self.of(vae.likelihood(), &self.precision.layers(vae), images, epsilon)
    }

    fn of(
        &self,
        likelihood: Likelihood,
        layers: &Layers,
        images: Tensor<4>,
        epsilon: Tensor<2>,
    ) -> Terms {
        let encoding = layers.encode(images.clone());
        let latent = encoding.posterior.sample(epsilon);
        let drawn = (self.kl == KlEstimate::Sampled).then(|| latent.clone());
        let decoded = layers.decode(latent, encoding.skips);
        let perceptual = self.perceptual.as_ref().map(|(network, trained)| {
            let mean = likelihood.mean(decoded.clone());
            let mean = if *trained { mean } else { mean.inner() };
            network.distance(mean, images.clone())
        });
        Terms {
            reconstruction: likelihood.negative_log(decoded, images),
            kl: match drawn {
                Some(latent) => encoding.posterior.log_ratio(latent),
                None => encoding.posterior.kl(),
            },
            perceptual,
        }
    }
}

impl Terms {
    /// What is minimised: the batch's mean of reconstruction + beta KL + weight x perceptual.
    pub fn loss(&self, weights: TermWeights) -> Tensor<1> {
        let loss = self.reconstruction.clone() + self.kl.clone() * weights.beta;
        let loss = match &self.perceptual {
            Some(perceptual) if weights.perceptual > 0.0 => {
                loss + perceptual.clone() * weights.perceptual
            }
            _ => loss,
        };
        loss.mean()
    }

    /// The sum of every term over the batch, `[2]` or with the perceptual term `[3]`, without
    /// gradients and still on the device.
    pub fn sums(&self) -> Tensor<1> {
        let terms = [Some(&self.reconstruction), Some(&self.kl), self.perceptual.as_ref()];
        let sums = terms.into_iter().flatten().map(|term| term.clone().inner().sum());
        Tensor::cat(sums.collect(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws;
    use crate::means::Sums;

    fn objective(settings: &[&str]) -> (RunConfig, Objective) {
        let settings: Vec<_> = settings.iter().map(|&s| s.to_owned()).collect();
        let config = RunConfig::load("mnist-mlp", &settings).expect("known keys");
        let objective = Objective::new(&config, &Device::flex()).expect("it is built in");
        (config, objective)
    }

    /// The terms' sums and the loss of one batch under fixed weights and draws.
    fn run(settings: &[&str], vae: &Vae) -> (Sums, f32) {
        let (config, objective) = objective(settings);
        let device = Device::flex();
        let pixels: Vec<f32> = (0..4 * 784).map(|i| (i % 97) as f32 / 96.0).collect();
        let images = Tensor::<1>::from_floats(&pixels[..], &device).reshape([4, 1, 28, 28]);
        let epsilon = Tensor::full([4, config.model.latent], 0.5, &device);
        let terms = objective.terms(vae, images, epsilon);
        let mut sums = Sums::default();
        sums.add(vec![(terms.sums(), 4), (terms.sums(), 4)]).expect("they are finite");
        let loss = terms.loss(config.weights()).into_scalar::<f32>();
        let from_sums = sums.means().loss(config.weights());
        assert!((f64::from(loss) / from_sums - 1.0).abs() < 1e-5, "{loss} is not {from_sums}");
        (sums, loss)
    }

    #[test]
    fn without_a_weight_the_perceptual_term_changes_nothing() {
        let (config, _) = objective(&[]);
        let device = Device::flex();
        let vae = config.model.init([1, 28, 28], &device).expect("it fits");
        vae.encode(Tensor::zeros([1, 1, 28, 28], &device));
        let (plain, loss) = run(&[], &vae);
        let (measured, same) = run(&["train.perceptual.weight=0"], &vae);
        let (trained, more) = run(&["train.perceptual.weight=2.5"], &vae);

        assert_eq!(loss, same);
        assert_eq!(plain.means().perceptual, None);
        let perceptual = measured.means().perceptual.expect("it is measured");
        assert!(perceptual > 0.0, "{perceptual}");
        assert_eq!(measured, trained);
        let [plain, measured] = [plain, measured].map(|sums| sums.means());
        assert_eq!((plain.reconstruction, plain.kl), (measured.reconstruction, measured.kl));
        assert_eq!(plain.elbo(), measured.elbo());
        let difference = f64::from(more - loss) / (2.5 * perceptual);
        assert!((difference - 1.0).abs() < 1e-2, "{more} - {loss} is not 2.5 x {perceptual}");
    }

    #[test]
    fn a_sampled_kl_is_the_log_ratio_at_the_draw() {
        let (config, _) = objective(&[]);
        let device = Device::flex();
        let vae = config.model.init([1, 28, 28], &device).expect("it fits");
        let (_, objective) = objective(&["train.kl=sampled"]);
        let images = Tensor::ones([3, 1, 28, 28], &device);
        let epsilon = draws::epsilon(2, 3, config.model.latent, &device);
        let posterior = vae.encode(images.clone()).posterior;
        let expected = posterior.log_ratio(posterior.sample(epsilon.clone()));
        let got = objective.terms(&vae, images, epsilon).kl;
        got.into_data().assert_eq(&expected.into_data(), true);
    }

    #[test]
    fn means_of_older_runs_are_read() {
        let line = r#"{"reconstruction":1.5,"kl":0.25}"#;
        let means: crate::means::Means = serde_json::from_str(line).expect("it has both terms");
        assert_eq!(means.loss(TermWeights { beta: 2.0, perceptual: 9.0 }), 2.0);
        assert_eq!(serde_json::to_string(&means).expect("plain numbers"), line);
    }
}
