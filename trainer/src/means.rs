//! The terms of the loss over a data set.

use std::fmt;

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

/// Sums over images, kept on the host in double precision. They are finite numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    reconstruction: f64,
    kl: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    perceptual: Option<f64>,
    images: usize,
}

/// The first of some batches in which a term is not a finite number. The step that it is of breaks the weights, and
/// from then on every term is broken: what is to blame is said by this batch alone.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct Broken {
    /// Its place among them, counted from 0.
    pub batch: usize,
    sums: Vec<f32>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms = ["reconstruction", "KL", "perceptual"].into_iter().zip(&self.sums);
        let (sound, broken): (Vec<_>, Vec<_>) = terms.partition(|(_, sum)| sum.is_finite());
        let values: Vec<_> = broken.iter().map(|(name, sum)| format!("{name} {sum}")).collect();
        let values = values.join(", ");
        if let [reconstruction, f32::INFINITY, ..] = self.sums[..]
            && reconstruction.is_nan()
        {
            let why = "the posterior overflowed, and with it what is made of its draws";
            return write!(f, "the KL term is not a finite number ({values}): {why}");
        }
        if sound.is_empty() {
            let why = "the weights are broken already, or too large";
            return write!(f, "no term of the loss is a finite number ({values}): {why}");
        }
        match broken[..] {
            [(name, sum)] => write!(f, "the {name} term is not a finite number ({sum})"),
            _ => write!(f, "{} terms of the loss are not finite numbers ({values})", broken.len()),
        }
    }
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
}

impl Sums {
    /// Adds the sums of batches in their order, each from [`Terms::sums`](crate::objective::Terms::sums) and with
    /// the number of its images.
    ///
    /// # Errors
    ///
    /// Where a sum is not a finite number: the batches before its own are added.
    pub fn add(&mut self, batches: Vec<(Tensor<1>, usize)>) -> Result<(), Broken> {
        let (batches, images): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
        let Some([terms]) = batches.first().map(Tensor::dims) else { return Ok(()) };
        let sums = host(Tensor::cat(batches, 0));
        for (batch, (sums, images)) in sums.chunks_exact(terms).zip(images).enumerate() {
            if !sums.iter().all(|sum| sum.is_finite()) {
                return Err(Broken { batch, sums: sums.to_vec() });
            }
            self.reconstruction += f64::from(sums[0]);
            self.kl += f64::from(sums[1]);
            if let Some(perceptual) = sums.get(2) {
                *self.perceptual.get_or_insert_default() += f64::from(*perceptual);
            }
            self.images += images;
        }
        Ok(())
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

/// Batches between two looks at their sums, each of which waits for the device.
pub(crate) const BETWEEN_READS: usize = 50;

/// Images in a batch of an evaluation. The draws go by batches, so every evaluation has the same.
pub(crate) const BATCH: usize = 256;

/// The mean terms over a data set, with one draw an image that the seed decides.
///
/// # Errors
///
/// Where an image can no longer be read, or where a term is not a finite number ([`Broken`]).
pub fn evaluate(
    vae: &Vae,
    objective: &Objective,
    data: &Batches,
    latent: usize,
    seed: u64,
    device: &Device,
) -> Result<Means> {
    let (mut sums, mut unread) = (Sums::default(), vec![]);
    for (number, images) in data.in_order(BATCH).enumerate() {
        let images = images?;
        let [count, ..] = images.dims();
        let place = draws::seed(seed, Purpose::Evaluation, number as u64);
        let epsilon = draws::epsilon(place, count, latent, device);
        unread.push((objective.terms(vae, images, epsilon).sums(), count));
        if unread.len() == BETWEEN_READS {
            sums.add(std::mem::take(&mut unread))?;
        }
    }
    sums.add(unread)?;
    Ok(sums.means())
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    /// Adds batches of two images, each with these sums of its terms.
    fn add<const T: usize>(batches: &[[f32; T]]) -> (Sums, Option<Broken>) {
        let batches = batches.iter().map(|&sums| (Tensor::from_floats(sums, &Device::flex()), 2));
        let mut sums = Sums::default();
        let broken = sums.add(batches.collect()).err();
        (sums, broken)
    }

    const NAN: f32 = f32::NAN;
    const INF: f32 = f32::INFINITY;

    #[test]
    fn the_first_broken_batch_is_found_and_those_before_it_count() {
        let later = [[NAN, NAN], [8.0, 8.0], [INF, NAN]];
        for first in 0..3 {
            let sound = &[[2.0, 4.0], [6.0, 8.0]][..first];
            let (sums, broken) = add(&[sound, &[[6.0, INF]], &later].concat());
            let broken = broken.expect("a term is infinite");
            assert_eq!((broken.batch, &sums), (first, &add(sound).0));
            assert_eq!(broken.to_string(), "the KL term is not a finite number (inf)");
        }
        let (sums, broken) = add(&[[2.0, 4.0], [6.0, 8.0]]);
        let means = Means { reconstruction: 2.0, kl: 3.0, perceptual: None };
        assert_eq!((sums.means(), broken), (means, None));
    }

    #[test]
    fn sums_are_read_as_they_were_written() {
        for number in 1..1000 {
            let part = |by: f64| 1e3 / by;
            let (n, images) = (f64::from(number), 3);
            let sums = Sums {
                reconstruction: part(n),
                kl: part(-7.0 * n),
                perceptual: Some(part(3.0 * n)),
                images,
            };
            let text = serde_json::to_string(&sums).expect("JSON");
            assert_eq!(serde_json::from_str::<Sums>(&text).expect("whole"), sums, "{text}");
        }
    }

    #[test]
    fn a_term_alone_is_blamed_and_all_at_once_are_not() {
        let said = |sums: [f32; 3]| add(&[sums]).1.expect("one is broken").to_string();
        assert_eq!(said([NAN, 1.0, 2.0]), "the reconstruction term is not a finite number (NaN)");
        assert_eq!(said([1.0, 0.0, -INF]), "the perceptual term is not a finite number (-inf)");
        assert_eq!(
            said([INF, 1.0, NAN]),
            "2 terms of the loss are not finite numbers (reconstruction inf, perceptual NaN)"
        );
        let all = said([NAN, NAN, NAN]);
        assert!(all.starts_with("no term of the loss is a finite number"), "{all}");
        assert!(all.contains("(reconstruction NaN, KL NaN, perceptual NaN): the weights"), "{all}");
        let first = said([NAN, INF, NAN]);
        assert!(first.starts_with("the KL term is not a finite number"), "{first}");
        assert!(first.contains("KL inf, perceptual NaN): the posterior overflowed"), "{first}");
        let plain = add(&[[NAN, 0.0]]).1.expect("one is broken").to_string();
        assert_eq!(plain, "the reconstruction term is not a finite number (NaN)");
    }
}
