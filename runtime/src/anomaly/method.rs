use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Statistics;
use crate::manifest::{Likelihood, Manifest, PosteriorKind};
use crate::{Bundle, Error};

/// What makes one number of an image: the higher, the more abnormal.
///
/// x is the image, x̂ its reconstruction from the posterior mean μ, q = N(μ, σ²) the posterior.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// mean squared error of a pixel
    Mse,
    /// negative log-likelihood of the reconstruction from the posterior mean, in nats
    Nll,
    /// negative evidence lower bound: the mean of the negative log-likelihood over draws from the
    /// posterior, and its divergence from the prior, in nats
    Elbo,
    /// reconstruction probability (An and Cho 2015): the mean of the negative log-likelihood over
    /// draws from the posterior, in nats
    Probability,
    /// squared Mahalanobis distance of the posterior mean from those of the training images
    Mahalanobis,
    /// likelihood path: reconstruction error, norm of the mean and norm of the standard deviation, each
    /// as a quantile of the training images, and their squared Mahalanobis distance
    Path,
    /// simple aggregation along the pathway (RaPP): squared difference of the pixels and the encoder's
    /// layers on the image and on its reconstruction
    Sap,
    /// normalised aggregation along the pathway (RaPP): the difference of the layers in units of its
    /// spread over the training images, along principal axes
    Nap,
    /// one minus the multi-scale structural similarity of the image and its reconstruction
    MsSsim,
    /// mean difference of the gradients' magnitudes of the image and its reconstruction
    Gradient,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 10] = [
        Self::Mse,
        Self::Nll,
        Self::Elbo,
        Self::Probability,
        Self::Mahalanobis,
        Self::Path,
        Self::Sap,
        Self::Nap,
        Self::MsSsim,
        Self::Gradient,
    ];

    /// Whether it draws from the posterior.
    pub fn draws(self) -> bool {
        matches!(self, Self::Elbo | Self::Probability)
    }

    /// Whether it looks at the encoder's hidden layers.
    pub fn looks_inside(self) -> bool {
        matches!(self, Self::Sap | Self::Nap)
    }

    /// Whether it takes statistics of the training images.
    pub fn takes_statistics(self) -> bool {
        matches!(self, Self::Mahalanobis | Self::Path | Self::Nap)
    }

    /// Says why a model cannot be scored by it.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`].
    pub fn check(self, bundle: &Bundle) -> Result<(), Error> {
        self.check_with(&bundle.manifest, &bundle.statistics()?)
    }

    /// [`Method::check`], where the statistics were read already.
    pub(super) fn check_with(
        self,
        manifest: &Manifest,
        statistics: &Statistics,
    ) -> Result<(), Error> {
        let Manifest { name, likelihood, posterior, encoder, .. } = manifest;
        let gaussian = *posterior == PosteriorKind::Gaussian;
        let likely = *likelihood != Likelihood::SquaredError;
        let fitted = |there: bool| match there {
            true => None,
            false => {
                Some("its bundle holds no statistics for it (hint: `vae-train export` fits them)")
            }
        };
        let lacking = match self {
            Self::Mse | Self::MsSsim | Self::Gradient => None,
            Self::Nll | Self::Elbo | Self::Probability if !likely => {
                Some("it takes a likelihood, and a squared error is none")
            }
            Self::Elbo | Self::Probability if !gaussian => {
                Some("its encoder gives a point, and there is nothing to draw from")
            }
            Self::Nll | Self::Elbo | Self::Probability => None,
            Self::Mahalanobis => fitted(statistics.latent.is_some()),
            Self::Path if !gaussian => {
                Some("its encoder gives a point without a standard deviation")
            }
            Self::Path => fitted(statistics.path.is_some()),
            Self::Sap | Self::Nap if encoder.layers.is_empty() => {
                Some("its manifest names no layers of the encoder")
            }
            Self::Sap => None,
            Self::Nap => fitted(statistics.layers.is_some()),
        };
        match lacking {
            None => Ok(()),
            Some(reason) => Err(Error::Unsupported {
                model: name.clone(),
                operation: "be scored by this method",
                reason: format!("for `{self}` {reason}"),
            }),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mse => "mse",
            Self::Nll => "nll",
            Self::Elbo => "elbo",
            Self::Probability => "probability",
            Self::Mahalanobis => "mahalanobis",
            Self::Path => "path",
            Self::Sap => "sap",
            Self::Nap => "nap",
            Self::MsSsim => "ms-ssim",
            Self::Gradient => "gradient",
        })
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(|method| method.to_string());
        let place = names.iter().position(|known| known == name);
        place
            .map(|place| Self::ALL[place])
            .ok_or_else(|| format!("it is one of {}", names.join(", ")))
    }
}
