use ndarray::{Array2, ArrayD, ArrayView3, ArrayView4, Axis};

use super::layers::{differences, squared};
use super::{Method, Statistics};
use crate::manifest::Manifest;
use crate::maps::{gradient::gradient_distance, structure::structural_distance};
use crate::model::{Encoding, Model, Reconstruction};
use crate::{Bundle, Error, Posterior, Score, noise, score};

mod hidden;

use hidden::replace_hidden;

/// The seed of the draws from a posterior. Every image gets the same ones, so that its score depends
/// on nothing but the image.
const SEED: u64 = 6;

/// A model that scores images by one method.
pub struct Scorer {
    model: Model,
    method: Method,
    draws: usize,
    statistics: Statistics,
    manifest: Manifest,
}

/// A batch of images that was scored.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// The method's score of every image: the higher, the more abnormal.
    pub scores: Vec<f64>,
    /// What every image has whatever the method, at the posterior mean.
    pub parts: Vec<Score>,
    /// The images, encoded and decoded again.
    pub reconstruction: Reconstruction,
}

impl Scorer {
    /// Makes a model score images by a method, which takes `draws` from the posterior where it draws.
    ///
    /// A method that looks inside needs a model of [`Model::load_with_layers`].
    ///
    /// # Errors
    ///
    /// Those of [`Method::check`], and [`Error::Setting`] for no draws.
    pub fn new(bundle: &Bundle, model: Model, method: Method, draws: usize) -> Result<Self, Error> {
        let statistics = bundle.statistics()?;
        method.check_with(&bundle.manifest, &statistics)?;
        if draws == 0 {
            let (what, expected) = ("the number of draws", "at least 1".into());
            return Err(Error::Setting { what, got: "0".into(), expected });
        }
        Ok(Self { model, method, draws, statistics, manifest: bundle.manifest.clone() })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What its bundle knows of the training images.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Scores a batch of images.
    ///
    /// # Shapes
    ///
    /// images: `[B, C, H, W]`, output: `B` scores
    ///
    /// # Errors
    ///
    /// As [`Model::reconstruct`], and [`Error::NotFinite`] for a score that is not a number.
    pub fn score(&mut self, images: ArrayView4<f32>) -> Result<Examined, Error> {
        self.examined(images, None)
    }

    /// Scores images of which only what is seen counts, with nothing hidden left in them.
    fn examined(
        &mut self,
        images: ArrayView4<f32>,
        seen: Option<ArrayView3<bool>>,
    ) -> Result<Examined, Error> {
        let encoding = self.model.encode(images)?;
        let mut reconstruction = self.decode(&encoding)?;
        if let Some(seen) = seen {
            replace_hidden(&mut reconstruction.images, images, seen);
        }
        let parts = self.parts(images, &reconstruction, seen)?;
        let scores = self.scores(images, &encoding, &reconstruction, &parts, seen)?;
        if scores.iter().any(|score| !score.is_finite()) {
            return Err(Error::NotFinite { what: format!("a score by `{}`", self.method) });
        }
        Ok(Examined { scores, parts, reconstruction })
    }

    /// The scores at a reconstruction, of what is seen.
    fn parts(
        &self,
        images: ArrayView4<f32>,
        reconstruction: &Reconstruction,
        seen: Option<ArrayView3<bool>>,
    ) -> Result<Vec<Score>, Error> {
        let likelihood = self.manifest.likelihood;
        let Some(seen) = seen else { return score(likelihood, images, reconstruction) };
        // A grey pixel that is its own reconstruction has a likelihood of its own, a black one has none.
        let images = self.blackened(images, seen);
        let decoded = self.blackened(reconstruction.images.view(), seen);
        let posterior = reconstruction.posterior.clone();
        score(likelihood, images.view(), &Reconstruction { images: decoded, posterior })
    }

    /// Encodes a batch of images.
    ///
    /// # Errors
    ///
    /// As [`Model::encode`].
    pub fn encode(&mut self, images: ArrayView4<f32>) -> Result<Encoding, Error> {
        self.model.encode(images)
    }

    /// Decodes the posterior means.
    ///
    /// # Errors
    ///
    /// As [`Model::decode`].
    pub fn decode(&mut self, encoding: &Encoding) -> Result<Reconstruction, Error> {
        let images = self.model.decode(encoding.posterior.mean.view(), &encoding.skips)?;
        Ok(Reconstruction { images, posterior: encoding.posterior.clone() })
    }

    fn scores(
        &mut self,
        images: ArrayView4<f32>,
        encoding: &Encoding,
        reconstruction: &Reconstruction,
        parts: &[Score],
        seen: Option<ArrayView3<bool>>,
    ) -> Result<Vec<f64>, Error> {
        let method = self.method;
        let missing = || Error::NotFinite { what: format!("a score by `{method}`") };
        let means = encoding.posterior.mean.outer_iter();
        let range = self.manifest.image.range;
        let pairs = || images.outer_iter().zip(reconstruction.images.outer_iter());
        match method {
            Method::Mse => Ok(parts.iter().map(|part| part.mse).collect()),
            Method::Nll => parts.iter().map(|part| part.nll.ok_or_else(missing)).collect(),
            Method::Probability => self.drawn(images, encoding, seen),
            Method::Elbo => {
                let kl = encoding.posterior.kl().ok_or_else(missing)?;
                let drawn = self.drawn(images, encoding, seen)?;
                Ok(drawn.iter().zip(&kl).map(|(nll, &kl)| nll + f64::from(kl)).collect())
            }
            Method::Mahalanobis => {
                let latent = self.statistics.latent.as_ref().ok_or_else(missing)?;
                fits(latent.mean.len(), encoding.posterior.mean.ncols())?;
                Ok(means.map(|mean| latent.distance(mean)).collect())
            }
            Method::Path => {
                let statistics = self.statistics.path.as_ref().ok_or_else(missing)?;
                let numbers = path(parts, &encoding.posterior).ok_or_else(missing)?;
                Ok(numbers.into_iter().map(|numbers| statistics.distance(numbers)).collect())
            }
            Method::Sap => {
                let differences = self.differences(images, encoding, reconstruction)?;
                Ok(differences.outer_iter().map(squared).collect())
            }
            Method::Nap => {
                let differences = self.differences(images, encoding, reconstruction)?;
                let layers = self.statistics.layers.as_ref().ok_or_else(missing)?;
                fits(layers.mean.len(), differences.ncols())?;
                Ok(differences.outer_iter().map(|row| layers.distance(row)).collect())
            }
            Method::MsSsim => pairs().map(|(x, y)| structural_distance(x, y, range)).collect(),
            Method::Gradient => pairs().map(|(x, y)| gradient_distance(x, y, range)).collect(),
        }
    }

    /// The mean negative log-likelihood over draws from every image's posterior.
    fn drawn(
        &mut self,
        images: ArrayView4<f32>,
        encoding: &Encoding,
        seen: Option<ArrayView3<bool>>,
    ) -> Result<Vec<f64>, Error> {
        let Encoding { posterior, skips, .. } = encoding;
        let (batch, latent) = posterior.mean.dim();
        let mut sums = vec![0.0; batch];
        for draw in 0..self.draws as u64 {
            let epsilon = noise::standard_normal(SEED, draw, 1, latent);
            let epsilon: Array2<f32> =
                epsilon.broadcast((batch, latent)).expect("one row becomes many").to_owned();
            let drawn = self.model.decode(posterior.draw(&epsilon, 1.0)?.view(), skips)?;
            let drawn = Reconstruction { images: drawn, posterior: posterior.clone() };
            let scores = self.parts(images, &drawn, seen)?;
            for (sum, score) in sums.iter_mut().zip(scores) {
                *sum += score.nll.unwrap_or(f64::NAN) / self.draws as f64;
            }
        }
        Ok(sums)
    }

    /// [`differences`] of every layer: the pixels, the hidden ones and the posterior mean.
    ///
    /// # Shapes
    ///
    /// images: `[B, C, H, W]`, output: `[B, D]`
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`](crate::Encoder::encode).
    pub fn differences(
        &mut self,
        images: ArrayView4<f32>,
        encoding: &Encoding,
        reconstruction: &Reconstruction,
    ) -> Result<Array2<f32>, Error> {
        let again = self.model.encode(reconstruction.images.view())?;
        let layers = |pixels: ArrayView4<f32>, encoding: &Encoding| {
            let mut layers = vec![pixels.to_owned().into_dyn()];
            layers.extend(encoding.layers.iter().chain(&encoding.skips).cloned());
            layers.push(encoding.posterior.mean.clone().into_dyn());
            layers
        };
        let image: Vec<ArrayD<f32>> = layers(images, encoding);
        Ok(differences(&image, &layers(reconstruction.images.view(), &again)))
    }
}

/// The three numbers of the likelihood path of every image: reconstruction error (the negative
/// log-likelihood, or the mean squared error where there is none), ‖μ‖ and ‖σ‖. Nothing for a
/// posterior that is a point.
pub fn path(parts: &[Score], posterior: &Posterior) -> Option<Vec<[f64; 3]>> {
    let deviations = posterior.log_var.as_ref()?.mapv(|log_var| (0.5 * log_var).exp());
    let norms = |vectors: &Array2<f32>| -> Vec<f64> {
        vectors.axis_iter(Axis(0)).map(|row| squared(row).sqrt()).collect()
    };
    let (means, deviations) = (norms(&posterior.mean), norms(&deviations));
    let errors = parts.iter().map(|part| part.nll.unwrap_or(part.mse));
    Some(errors.zip(means).zip(deviations).map(|((e, m), d)| [e, m, d]).collect())
}

/// Refuses statistics of another model.
fn fits(statistics: usize, model: usize) -> Result<(), Error> {
    if statistics == model {
        return Ok(());
    }
    let (what, got) = ("the vector that statistics were fitted to", vec![statistics]);
    Err(Error::Shape { what, got, expected: format!("[{model}]") })
}
