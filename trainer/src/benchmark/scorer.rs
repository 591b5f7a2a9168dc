//! All scores of images, by a bundle and by what needs no network.

use anyhow::Result;
use ndarray::ArrayView4;
use vae_infer::{Bundle, EngineOptions};

use super::held_out::Mirror;
use crate::anomaly::{self, Baselines};
use crate::data::Images;

/// The images that are decoded at once: whole batches, so that scores are those of all together.
const IMAGES: usize = 16 * anomaly::BATCH;

/// What scores images.
pub(super) struct Scorer<'a> {
    bundle: &'a Bundle,
    baselines: Option<Baselines>,
    draws: usize,
}

impl<'a> Scorer<'a> {
    /// Scores by a bundle, with `draws` where a method draws, and by baselines fitted to its training
    /// images, `[N, C, H, W]`.
    pub(super) fn new(bundle: &'a Bundle, train: ArrayView4<f32>, draws: usize) -> Self {
        Self { bundle, baselines: Baselines::fit(train), draws }
    }

    /// As [`Scorer::scores`] of images that are mirrored first, and decoded by and by.
    ///
    /// # Errors
    ///
    /// Where one can no longer be read, and those of running the model.
    pub(super) fn scores_of(
        &self,
        images: &Images,
        mirror: Mirror,
    ) -> Result<Vec<(String, Vec<f64>)>> {
        let mut chunks = images.chunks(IMAGES);
        let scores = |chunk| self.scores(mirror.apply(chunk).view());
        let mut all = scores(chunks.next().unwrap_or_else(|| images.read(&[]))?)?;
        for chunk in chunks {
            for ((_, all), (_, more)) in all.iter_mut().zip(scores(chunk?)?) {
                all.extend(more);
            }
        }
        Ok(all)
    }

    /// The scores of images by name.
    ///
    /// # Shapes
    ///
    /// images: `[N, C, H, W]`, output: `N` by each
    ///
    /// # Errors
    ///
    /// Those of running the model.
    pub(super) fn scores(&self, images: ArrayView4<f32>) -> Result<Vec<(String, Vec<f64>)>> {
        let engine = EngineOptions::default();
        let methods = anomaly::scores(self.bundle, &engine, images, self.draws)?;
        let methods = methods.into_iter().map(|(method, scores)| (method.to_string(), scores));
        let others = self.baselines.as_ref().map_or(vec![], |fitted| fitted.scores(images));
        Ok(methods.chain(others.into_iter().map(|(name, s)| (name.to_owned(), s))).collect())
    }
}
