//! What becomes of the trainer's verdicts when an engine gives them.

use burn::tensor::{Device, Tensor};
use ndarray::{Array4, ArrayView4, Axis};
use vae_infer::compare::{flips, psnr, rank_correlation, threshold};
use vae_infer::manifest::Verdicts;
use vae_infer::{Error as InferError, ImageSpec, Model};
use vae_models::{Encoding, Vae};

use crate::error::Error;
use crate::precision::Limits;
use crate::tensors::{to_array, to_tensor};

/// The share of held-out images that lies below the threshold of abnormality.
const QUANTILE: f64 = 0.99;
/// The images that go through a network at once.
const BATCH: usize = 64;

/// The trainer's scores of held-out images.
pub(crate) struct HeldOut<'a> {
    images: &'a Array4<f32>,
    peak: f64,
    scores: Vec<f64>,
    pub(crate) threshold: f64,
}

impl<'a> HeldOut<'a> {
    pub(crate) fn new(
        vae: &Vae,
        images: &'a Array4<f32>,
        spec: &ImageSpec,
        device: &Device,
    ) -> Result<Self, Error> {
        let scores = scores(vae, images.view(), device);
        let threshold = threshold(&scores, QUANTILE).ok_or(Error::NoImages)?;
        let [black, white] = spec.range;
        Ok(Self { images, peak: f64::from(white - black), scores, threshold })
    }

    /// The verdicts of an engine that agrees with the trainer.
    pub(crate) fn unchanged(&self) -> Verdicts {
        Verdicts {
            images: self.scores.len(),
            quantile: QUANTILE,
            threshold: self.threshold,
            flips: 0,
            rank_correlation: rank_correlation(&self.scores, &self.scores),
            psnr_lost: 0.0,
            golden_flips: 0,
        }
    }

    /// Scores the same images on an engine.
    ///
    /// # Errors
    ///
    /// Those of running it.
    pub(crate) fn compare(&self, model: &mut Model) -> Result<Verdicts, InferError> {
        let mut scores = Vec::with_capacity(self.scores.len());
        for batch in self.images.axis_chunks_iter(Axis(0), BATCH) {
            scores.extend(model.score(batch)?.iter().map(|score| score.mse));
        }
        let unchanged = self.unchanged();
        let correlation = rank_correlation(&self.scores, &scores);
        Ok(Verdicts {
            flips: flips(&self.scores, &scores, self.threshold),
            // Scores that no longer tell images apart have lost the trainer's order altogether.
            rank_correlation: correlation.or(unchanged.rank_correlation.map(|_| 0.0)),
            psnr_lost: psnr(mean(&self.scores), self.peak) - psnr(mean(&scores), self.peak),
            ..unchanged
        })
    }
}

/// The trainer's mean squared error of every image under the decoded posterior mean.
///
/// # Shapes
///
/// images: `[B, C, H, W]`, output: `B`
pub(crate) fn scores(vae: &Vae, images: ArrayView4<f32>, device: &Device) -> Vec<f64> {
    let mut scores = Vec::with_capacity(images.len_of(Axis(0)));
    for batch in images.axis_chunks_iter(Axis(0), BATCH) {
        let pixels: Tensor<4> = to_tensor(batch, device);
        let Encoding { posterior, skips } = vae.encode(pixels);
        let decoded = to_array(vae.likelihood().mean(vae.decode(posterior.mean, skips)));
        for (image, decoded) in batch.axis_iter(Axis(0)).zip(decoded.axis_iter(Axis(0))) {
            let squares = image.iter().zip(&decoded).map(|(x, p)| f64::from(x - p).powi(2));
            scores.push(squares.sum::<f64>() / image.len() as f64);
        }
    }
    scores
}

/// Holds an engine's verdicts against what the precision may cost.
///
/// # Errors
///
/// [`Error::Verdicts`] for the first limit that is passed.
pub(crate) fn accept(engine: &str, verdicts: &Verdicts, limits: Limits) -> Result<(), Error> {
    let refuse =
        |what: String, limit: String| Err(Error::Verdicts { engine: engine.into(), what, limit });
    let Verdicts { images, quantile, flips, golden_flips, psnr_lost, .. } = *verdicts;
    if psnr_lost.is_nan() || psnr_lost > limits.psnr_lost {
        return refuse(format!("loses {psnr_lost:.3} dB of PSNR"), limits.psnr_lost.to_string());
    }
    if let Some(correlation) = verdicts.rank_correlation
        && correlation < limits.rank_correlation
    {
        let what = format!("has a rank correlation of {correlation:.4} with the trainer's scores");
        return refuse(what, limits.rank_correlation.to_string());
    }
    let abnormal = (1.0 - quantile) * images as f64;
    // One image may lie close to the threshold.
    let accepted = (limits.flips * abnormal).max(1.0);
    if flips as f64 > accepted {
        return refuse(format!("flips {flips} of {images} verdicts"), accepted.floor().to_string());
    }
    if golden_flips > 1 {
        return refuse(format!("flips {golden_flips} of the recorded verdicts"), "1".into());
    }
    Ok(())
}

/// The worst of what several engines gave.
pub(crate) fn worst(a: Verdicts, b: Verdicts) -> Verdicts {
    let correlations = [a.rank_correlation, b.rank_correlation].into_iter().flatten();
    Verdicts {
        flips: a.flips.max(b.flips),
        rank_correlation: correlations.min_by(f64::total_cmp),
        psnr_lost: a.psnr_lost.max(b.psnr_lost),
        golden_flips: a.golden_flips.max(b.golden_flips),
        ..a
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
