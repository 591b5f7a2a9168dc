//! What all figures of a run are drawn from.

use anyhow::{Result, bail};
use ndarray::{Array1, Axis};

use crate::draws::{self, Purpose};
use crate::figures::HeldOut;
use crate::forward::{Codes, Forward};
use crate::trained::Trained;

/// A run, its held-out images, and their posteriors.
pub(super) struct Subject<'a> {
    pub(super) trained: &'a Trained,
    pub(super) held_out: &'a HeldOut,
    /// The posteriors of the held-out images.
    pub(super) codes: Codes,
    /// Whether the decoder joins images of the encoder.
    pub(super) skips: bool,
}

/// The places of the seeds for figures; 0 is that of the frames.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Samples = 1,
    Posterior = 2,
    Noise = 3,
}

impl<'a> Subject<'a> {
    pub(super) fn new(trained: &'a Trained, held_out: &'a HeldOut) -> Result<Self> {
        if held_out.is_empty() {
            bail!("there is no image to show");
        }
        let skips = !trained.config.model.check(trained.config.image.shape())?.is_empty();
        let codes = forward(trained).encode(held_out.images.view());
        let mut variances = codes.log_var.iter().flatten().map(|log_var| log_var.exp());
        if !codes.mean.iter().all(|v| v.is_finite()) || !variances.all(f32::is_finite) {
            bail!("the encoder gives values that are not finite numbers");
        }
        Ok(Self { trained, held_out, codes, skips })
    }

    pub(super) fn forward(&self) -> Forward<'a> {
        forward(self.trained)
    }

    /// Why decoding a latent vector that is no image's has no meaning.
    pub(super) fn no_prior(&self) -> Option<&'static str> {
        match (self.trained.config.model.variational, self.skips) {
            (false, _) => Some("a plain autoencoder has no prior to draw from"),
            (true, true) => Some("the decoder needs the skips of an image"),
            (true, false) => None,
        }
    }

    /// The name of a held-out image's class; empty where there are no labels.
    pub(super) fn class(&self, place: usize) -> &str {
        let label = self.held_out.labels.get(place);
        label.and_then(|&label| self.trained.info.classes.get(label)).map_or("", String::as_str)
    }

    /// A seed of the run's own for a figure.
    pub(super) fn seed(&self, place: Place) -> u64 {
        draws::seed(self.trained.config.seed, Purpose::Figures, place as u64)
    }

    /// The standard deviation of every dimension of the means over the held-out images, `[Z]`.
    pub(super) fn spread_of_means(&self) -> Array1<f32> {
        self.codes.mean.std_axis(Axis(0), 0.0)
    }
}

fn forward(trained: &Trained) -> Forward<'_> {
    Forward { vae: &trained.vae, device: &trained.device }
}
