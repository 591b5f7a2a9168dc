use std::sync::Arc;

use ndarray::{Array2, ArrayView2, ArrayView3, ArrayView4, ArrayViewD, Axis};

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

/// A distance of two images `[C, H, W]` in a range.
type Distance = fn(ArrayView3<f32>, ArrayView3<f32>, [f32; 2]) -> Result<f64, Error>;

/// A model that scores images by one method.
pub struct Scorer {
    model: Model,
    method: Method,
    draws: usize,
    statistics: Arc<Statistics>,
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
        let (statistics, manifest) = (Arc::new(statistics), bundle.manifest.clone());
        Ok(Self { model, method, draws, statistics, manifest })
    }

    /// Scorers with the models of [`Model::per_thread`].
    pub fn per_thread(&self) -> Vec<Self> {
        let scorer = |model| Self {
            model,
            method: self.method,
            draws: self.draws,
            statistics: Arc::clone(&self.statistics),
            manifest: self.manifest.clone(),
        };
        self.model.per_thread().into_iter().map(scorer).collect()
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
        let mut pass = self.pass(images, seen)?;
        let scores = self.scores(self.method, &mut pass)?;
        let Pass { parts, reconstruction, .. } = pass;
        Ok(Examined { scores, parts, reconstruction })
    }

    /// Scores a batch of images by every method that the bundle can be scored by, in the order of
    /// [`Method::ALL`]; the networks run as often as the dearest of them takes.
    ///
    /// # Shapes
    ///
    /// images: `[B, C, H, W]`, output: `B` scores by each
    ///
    /// # Errors
    ///
    /// As [`Scorer::score`].
    pub fn score_by_all(
        &mut self,
        images: ArrayView4<f32>,
    ) -> Result<Vec<(Method, Vec<f64>)>, Error> {
        let known = |method: &Method| method.check_with(&self.manifest, &self.statistics).is_ok();
        let methods: Vec<Method> = Method::ALL.into_iter().filter(known).collect();
        let mut pass = self.pass(images, None)?;
        let scores = |method| Ok((method, self.scores(method, &mut pass)?));
        methods.into_iter().map(scores).collect()
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

    /// A batch with what every method needs.
    fn pass<'a>(
        &mut self,
        images: ArrayView4<'a, f32>,
        seen: Option<ArrayView3<'a, bool>>,
    ) -> Result<Pass<'a>, Error> {
        let encoding = self.model.encode(images)?;
        let mut reconstruction = self.decode(&encoding)?;
        if let Some(seen) = seen {
            replace_hidden(&mut reconstruction.images, images, seen);
        }
        let parts = self.parts(images, &reconstruction, seen)?;
        Ok(Pass { images, seen, encoding, reconstruction, parts, drawn: None, differences: None })
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

    fn scores(&mut self, method: Method, pass: &mut Pass<'_>) -> Result<Vec<f64>, Error> {
        let missing = || Error::NotFinite { what: format!("a score by `{method}`") };
        let scores: Vec<f64> = match method {
            Method::Mse => pass.parts.iter().map(|part| part.mse).collect(),
            Method::Nll => pass
                .parts
                .iter()
                .map(|part| part.nll.ok_or_else(missing))
                .collect::<Result<_, _>>()?,
            Method::Probability => self.drawn(pass)?.to_vec(),
            Method::Elbo => {
                let kl = pass.encoding.posterior.kl().ok_or_else(missing)?;
                let drawn = self.drawn(pass)?;
                drawn.iter().zip(&kl).map(|(nll, &kl)| nll + f64::from(kl)).collect()
            }
            Method::Mahalanobis => {
                let latent = self.statistics.latent.as_ref().ok_or_else(missing)?;
                let means = pass.encoding.posterior.mean.view();
                fits(latent.mean.len(), means.ncols())?;
                latent.distances(means)
            }
            Method::Path => {
                let statistics = self.statistics.path.as_ref().ok_or_else(missing)?;
                let numbers = path(&pass.parts, &pass.encoding.posterior).ok_or_else(missing)?;
                statistics.distances(&numbers)
            }
            Method::Sap => {
                let [image, other] = [pass.images, pass.reconstruction.images.view()];
                let pixels = differences(&[image.into_dyn()], &[other.into_dyn()]);
                let layers = self.layers(pass)?;
                let both = pixels.outer_iter().zip(layers.outer_iter());
                both.map(|(pixels, layers)| squared(pixels) + squared(layers)).collect()
            }
            Method::Nap => {
                let differences = self.layers(pass)?;
                let layers = self.statistics.layers.as_ref().ok_or_else(missing)?;
                fits(layers.mean.len(), differences.ncols())?;
                layers.distances(differences)
            }
            Method::MsSsim => pass.compared(structural_distance, self.manifest.image.range)?,
            Method::Gradient => pass.compared(gradient_distance, self.manifest.image.range)?,
        };
        match scores.iter().all(|score| score.is_finite()) {
            true => Ok(scores),
            false => Err(missing()),
        }
    }

    /// The mean negative log-likelihood over draws from every image's posterior.
    fn drawn<'a>(&mut self, pass: &'a mut Pass<'_>) -> Result<&'a [f64], Error> {
        let drawn = match pass.drawn.take() {
            Some(drawn) => drawn,
            None => self.draw(pass)?,
        };
        Ok(pass.drawn.insert(drawn))
    }

    fn draw(&mut self, pass: &Pass<'_>) -> Result<Vec<f64>, Error> {
        let Encoding { posterior, skips, .. } = &pass.encoding;
        let (batch, latent) = posterior.mean.dim();
        let mut sums = vec![0.0; batch];
        for draw in 0..self.draws as u64 {
            let epsilon = noise::standard_normal(SEED, draw, 1, latent);
            let epsilon: Array2<f32> =
                epsilon.broadcast((batch, latent)).expect("one row becomes many").to_owned();
            let drawn = self.model.decode(posterior.draw(&epsilon, 1.0)?.view(), skips)?;
            let drawn = Reconstruction { images: drawn, posterior: posterior.clone() };
            let scores = self.parts(pass.images, &drawn, pass.seen)?;
            for (sum, score) in sums.iter_mut().zip(scores) {
                *sum += score.nll.unwrap_or(f64::NAN) / self.draws as f64;
            }
        }
        Ok(sums)
    }

    /// [`Scorer::differences`] of a batch.
    fn layers<'a>(&mut self, pass: &'a mut Pass<'_>) -> Result<ArrayView2<'a, f32>, Error> {
        let differences = match pass.differences.take() {
            Some(differences) => differences,
            None => self.differences(&pass.encoding, &pass.reconstruction)?,
        };
        Ok(pass.differences.insert(differences).view())
    }

    /// h(x̂) − h(x) of all layers of the encoder, side by side: the hidden ones and the posterior mean.
    ///
    /// # Shapes
    ///
    /// output: `[B, D]`
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`](crate::Encoder::encode), and [`Error::Shape`] for a model that does not
    /// show its layers.
    pub fn differences(
        &mut self,
        encoding: &Encoding,
        reconstruction: &Reconstruction,
    ) -> Result<Array2<f32>, Error> {
        let (shown, named) = (encoding.layers.len(), self.manifest.encoder.layers.len());
        if shown != named {
            let (what, expected) = ("the number of the encoder's layers", format!("[{named}]"));
            return Err(Error::Shape { what, got: vec![shown], expected });
        }
        let again = self.model.encode(reconstruction.images.view())?;
        Ok(differences(&layers(encoding), &layers(&again)))
    }
}

/// The hidden layers and the posterior mean of every image.
fn layers(encoding: &Encoding) -> Vec<ArrayViewD<'_, f32>> {
    let hidden = encoding.layers.iter().chain(&encoding.skips).map(|layer| layer.view());
    hidden.chain([encoding.posterior.mean.view().into_dyn()]).collect()
}

/// A batch on its way through the methods. What several of them share is made once, by the first
/// that asks for it.
struct Pass<'a> {
    images: ArrayView4<'a, f32>,
    seen: Option<ArrayView3<'a, bool>>,
    encoding: Encoding,
    reconstruction: Reconstruction,
    parts: Vec<Score>,
    drawn: Option<Vec<f64>>,
    differences: Option<Array2<f32>>,
}

impl Pass<'_> {
    /// A distance of every image from its reconstruction.
    fn compared(&self, distance: Distance, range: [f32; 2]) -> Result<Vec<f64>, Error> {
        let pairs = self.images.outer_iter().zip(self.reconstruction.images.outer_iter());
        pairs.map(|(image, other)| distance(image, other, range)).collect()
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
