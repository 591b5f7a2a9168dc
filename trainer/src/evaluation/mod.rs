//! Evaluation of a trained model: the bound and the likelihood, the latent dimensions, and the
//! reconstructions beside a PCA of the same size, each with its protocol.

mod baseline;
mod fidelity;
mod importance;
mod latents;
mod protocol;
mod statistic;
mod terms;
mod text;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use vae_models::Likelihood;

pub use baseline::Baseline;
pub use fidelity::Fidelity;
pub use latents::{Latents, collapse, kl_per_dimension};
pub use protocol::{PartName, Protocol, Targets};
pub use statistic::{Measured, Statistic};

use crate::config::RunConfig;
use crate::data::spread;
use crate::objective::Objective;
use crate::pca;
use crate::split::Split;
use crate::trained::Trained;

/// What is evaluated.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The part; without a wish the test images, or the validation images where there are none.
    pub part: Option<PartName>,
    /// Draws an image of the importance-sampled likelihood; 0 leaves it out.
    pub samples: usize,
    /// The most images, spread evenly over the part.
    pub limit: Option<usize>,
}

/// A trained model's figures. Terms are sums over pixels and latent dimensions, in nats where the
/// likelihood has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// What they were measured on, and how.
    pub protocol: Protocol,
    /// `reconstruction` + beta `kl` + weight x `perceptual`.
    pub loss: Statistic,
    /// -log p(x | z) with one draw of z; for [`Likelihood::SquaredError`] the summed squared error.
    pub reconstruction: Statistic,
    /// KL(q(z | x) || p(z)) in closed form; 0 in a plain autoencoder.
    pub kl: Statistic,
    /// The distance in the feature network of the loss, with the same draw and without its weight.
    pub perceptual: Measured<Statistic>,
    /// The evidence lower bound, -(`reconstruction` + `kl`).
    pub elbo: Measured<Statistic>,
    /// The importance-sampled upper bound of -log p(x), with the protocol's number of draws.
    pub nll: Measured<Statistic>,
    /// The latent dimensions.
    pub latents: Measured<Latents>,
    /// The reconstructions from the posterior mean.
    pub fidelity: Fidelity,
    /// Those of a PCA of the model's latent size, fitted on the training images.
    pub pca: Measured<Baseline>,
}

/// Evaluates a trained model on a part of its images.
///
/// # Errors
///
/// Where the part has no image, or where a term is not a finite number.
pub fn evaluate(trained: &Trained, split: &Split, options: &Options) -> Result<Evaluation> {
    let Trained { config, vae, device, .. } = trained;
    let part = PartName::choose(options.part, split)?;
    let all = part.of(split);
    let limit = options.limit.unwrap_or(usize::MAX).max(1);
    let images = all.images.select(&spread(all.len(), limit));
    let protocol = Protocol::new(trained, split, options, part, &images)?;

    let range = config.image.range;
    let objective = Objective::new(config, device)?;
    if objective.features_sha256() != trained.info.features_sha256.as_deref() {
        bail!("the feature network is not the one that the run was trained with");
    }
    let network = objective.perceptual();
    let observed = terms::observe(vae, network, &images, range, config.seed, device)?;
    let (reconstruction, kl) = (&observed.reconstruction, &observed.kl);
    let perceptual = &observed.perceptual;
    for (name, term) in [("reconstruction", reconstruction), ("kl", kl), ("perceptual", perceptual)]
    {
        if term.iter().any(|value| !value.is_finite()) {
            bail!("the {name} term of the {part} images is not a finite number");
        }
    }
    let fidelity = observed.fidelity.fidelity();
    if !fidelity.mse.is_finite() {
        bail!("a reconstruction of the {part} images holds what is not a finite number");
    }
    let weighted = |weight: f64| -> Vec<f64> {
        reconstruction.iter().zip(kl).map(|(r, kl)| r + weight * kl).collect()
    };
    let mut loss = weighted(protocol.beta);
    for (loss, distance) in loss.iter_mut().zip(perceptual) {
        *loss += config.weights().perceptual * distance;
    }
    let (elbo, nll) = match no_bound(config)? {
        Some(reason) => (Measured::absent(reason), Measured::absent(reason)),
        None => {
            let elbo: Vec<f64> = weighted(1.0).iter().map(|value| -value).collect();
            let nll = match options.samples {
                0 => Measured::absent("not asked for (--samples K)"),
                samples => Measured::Value(Statistic::of(&importance::negative_log_likelihood(
                    vae,
                    &images,
                    samples,
                    config.seed,
                    device,
                )?)),
            };
            (Measured::Value(Statistic::of(&elbo)), nll)
        }
    };
    if nll.value().is_some_and(|nll: &Statistic| !nll.mean.is_finite()) {
        bail!("the importance-sampled likelihood of the {part} images is not a finite number");
    }
    let latents = match config.model.variational {
        true => Measured::Value(observed.latents.latents()),
        false => Measured::absent(POINT),
    };
    Ok(Evaluation {
        loss: Statistic::of(&loss),
        reconstruction: Statistic::of(reconstruction),
        kl: Statistic::of(kl),
        perceptual: match perceptual.is_empty() {
            true => Measured::absent("the loss has no perceptual term"),
            false => Measured::Value(Statistic::of(perceptual)),
        },
        elbo,
        nll,
        latents,
        fidelity,
        pca: baseline::baseline(
            &pca::fitted_on(&split.train.images)?,
            &images,
            protocol.latent,
            range,
        )?,
        protocol,
    })
}

const POINT: &str = "a plain autoencoder has no posterior";

/// Why a model has no bound of log p(x), where it has none.
pub(crate) fn no_bound(config: &RunConfig) -> Result<Option<&'static str>> {
    let joined = config.model.check(config.image.shape())?;
    Ok(if !config.model.variational {
        Some(POINT)
    } else if config.model.likelihood == Likelihood::SquaredError {
        Some("a squared error is no normalised density (the Gaussian likelihood is one)")
    } else if !joined.is_empty() {
        Some("the decoder sees the image through its skips, so it gives no p(x | z)")
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_bound_is_named() {
        let cases: [(&str, &[&str], Option<&str>); 4] = [
            ("patterns", &[], None),
            ("patterns", &["model.variational=false"], Some("plain")),
            ("patterns", &["model.likelihood={ kind = \"squared_error\" }"], Some("squared")),
            ("patterns", &["model.likelihood={ kind = \"gaussian\", sigma = 0.1 }"], None),
        ];
        for (preset, settings, word) in cases {
            let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
            let config = RunConfig::load(preset, &settings).expect("known keys");
            let reason = no_bound(&config).expect("the blocks fit");
            assert_eq!(reason.is_some(), word.is_some(), "{settings:?}");
            assert!(reason.unwrap_or_default().contains(word.unwrap_or_default()), "{reason:?}");
        }
    }
}
