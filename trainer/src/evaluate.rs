//! The terms of the loss over a data set.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use vae_models::Vae;

use crate::batches::{Batches, Pass};
use crate::draws::{self, Purpose};

/// The two terms of the loss for every image of a batch, in nats where the likelihood has them.
pub struct Terms {
    /// -log p(x | z) with one draw of z, `[B]`.
    pub reconstruction: Tensor<1>,
    /// KL(q(z | x) || p(z)), in closed form, `[B]`.
    pub kl: Tensor<1>,
}

/// Mean terms of the loss over images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Means {
    /// Mean of -log p(x | z), one draw of z an image.
    pub reconstruction: f64,
    /// Mean of KL(q(z | x) || p(z)).
    pub kl: f64,
}

/// Sums over images, kept on the host in double precision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    reconstruction: f64,
    kl: f64,
    images: usize,
}

impl Terms {
    /// Both terms for a batch.
    ///
    /// # Shapes
    ///
    /// - images: `[B, C, H, W]`
    /// - epsilon: `[B, Z]`, drawn from N(0, 1)
    pub fn of(vae: &Vae, images: Tensor<4>, epsilon: Tensor<2>) -> Self {
        let encoding = vae.encode(images.clone());
        let latent = encoding.posterior.sample(epsilon);
        let decoded = vae.decode(latent, encoding.skips);
        Self {
            reconstruction: vae.likelihood().negative_log(decoded, images),
            kl: encoding.posterior.kl(),
        }
    }

    /// The objective: the batch's mean of reconstruction + beta KL.
    pub fn objective(&self, beta: f64) -> Tensor<1> {
        self.reconstruction.clone().mean() + self.kl.clone().mean() * beta
    }

    /// Both sums over the batch, `[2]`, still on the device.
    pub fn sums(&self) -> Tensor<1> {
        Tensor::cat(vec![self.reconstruction.clone().sum(), self.kl.clone().sum()], 0)
    }
}

impl Means {
    /// The loss under a weight of the KL term.
    pub fn loss(&self, beta: f64) -> f64 {
        self.reconstruction + beta * self.kl
    }

    /// The evidence lower bound.
    pub fn elbo(&self) -> f64 {
        -self.loss(1.0)
    }

    /// The first term that is not a finite number.
    pub fn broken_term(&self) -> Option<&'static str> {
        let terms = [("reconstruction", self.reconstruction), ("kl", self.kl)];
        terms.into_iter().find(|(_, value)| !value.is_finite()).map(|(name, _)| name)
    }
}

impl Sums {
    /// Adds the sums of batches, `[2]` each, in their order.
    pub fn add(&mut self, batches: Vec<Tensor<1>>, images: usize) {
        if batches.is_empty() {
            return;
        }
        let read = Tensor::cat(batches, 0).into_data_as::<f32>();
        let values: Vec<f32> = read.try_into_vec().expect("the data was asked for as f32");
        let (pairs, _) = values.as_chunks::<2>();
        for [reconstruction, kl] in pairs {
            self.reconstruction += f64::from(*reconstruction);
            self.kl += f64::from(*kl);
        }
        self.images += images;
    }

    /// The means over the images so far.
    pub fn means(&self) -> Means {
        let images = self.images.max(1) as f64;
        Means { reconstruction: self.reconstruction / images, kl: self.kl / images }
    }
}

/// Images in a batch of an evaluation.
const BATCH: usize = 256;

/// The mean terms over a data set, with one draw an image that the seed decides.
pub fn evaluate(vae: &Vae, data: &Batches, latent: usize, seed: u64, device: &Device) -> Means {
    let pass: Pass<'_> = data.in_order(BATCH);
    let mut sums = Sums::default();
    for number in 0..pass.len() {
        let images = pass.batch(number);
        let [count, ..] = images.dims();
        let place = draws::seed(seed, Purpose::Evaluation, number as u64);
        let epsilon = draws::epsilon(place, count, latent, device);
        sums.add(vec![Terms::of(vae, images, epsilon).sums()], count);
    }
    sums.means()
}
