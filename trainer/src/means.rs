//! The terms of the loss over a data set.

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use vae_models::Vae;

use crate::batches::Batches;
use crate::draws::{self, Purpose};
use crate::forward::host;
use crate::objective::{Objective, TermWeights};

/// Mean terms of the loss over images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Means {
    /// Mean of -log p(x | z), one draw of z an image.
    pub reconstruction: f64,
    /// Mean of KL(q(z | x) || p(z)), or of its estimate.
    pub kl: f64,
    /// Mean distance of the reconstruction in a feature network, without its weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perceptual: Option<f64>,
}

/// Sums over images, kept on the host in double precision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    reconstruction: f64,
    kl: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    perceptual: Option<f64>,
    images: usize,
}

impl Means {
    /// The loss under the weights of its terms.
    pub fn loss(&self, weights: TermWeights) -> f64 {
        let loss = self.reconstruction + weights.beta * self.kl;
        self.perceptual.map_or(loss, |perceptual| loss + weights.perceptual * perceptual)
    }

    /// The evidence lower bound.
    pub fn elbo(&self) -> f64 {
        -(self.reconstruction + self.kl)
    }

    /// The first term that is not a finite number.
    pub fn broken_term(&self) -> Option<&'static str> {
        let perceptual = self.perceptual.unwrap_or_default();
        let terms =
            [("reconstruction", self.reconstruction), ("kl", self.kl), ("perceptual", perceptual)];
        terms.into_iter().find(|(_, value)| !value.is_finite()).map(|(name, _)| name)
    }
}

impl Sums {
    /// Adds the sums of batches, each from [`Terms::sums`](crate::objective::Terms::sums), in
    /// their order.
    pub fn add(&mut self, batches: Vec<Tensor<1>>, images: usize) {
        let Some([terms]) = batches.first().map(Tensor::dims) else { return };
        for sums in host(Tensor::cat(batches, 0)).chunks_exact(terms) {
            self.reconstruction += f64::from(sums[0]);
            self.kl += f64::from(sums[1]);
            if let Some(perceptual) = sums.get(2) {
                *self.perceptual.get_or_insert_default() += f64::from(*perceptual);
            }
        }
        self.images += images;
    }

    /// The means over the images so far.
    pub fn means(&self) -> Means {
        let images = self.images.max(1) as f64;
        Means {
            reconstruction: self.reconstruction / images,
            kl: self.kl / images,
            perceptual: self.perceptual.map(|perceptual| perceptual / images),
        }
    }
}

/// Images in a batch of an evaluation. The draws go by batches, so every evaluation has the same.
pub(crate) const BATCH: usize = 256;

/// The mean terms over a data set, with one draw an image that the seed decides.
///
/// # Errors
///
/// Where an image can no longer be read.
pub fn evaluate(
    vae: &Vae,
    objective: &Objective,
    data: &Batches,
    latent: usize,
    seed: u64,
    device: &Device,
) -> Result<Means> {
    let mut sums = Sums::default();
    for (number, images) in data.in_order(BATCH).enumerate() {
        let images = images?;
        let [count, ..] = images.dims();
        let place = draws::seed(seed, Purpose::Evaluation, number as u64);
        let epsilon = draws::epsilon(place, count, latent, device);
        sums.add(vec![objective.terms(vae, images, epsilon).sums()], count);
    }
    Ok(sums.means())
}
