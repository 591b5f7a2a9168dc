//! Images on their way through a scorer.

use anyhow::{Context, Result};
use ndarray::{Array2, Array4, ArrayView4, Axis, Slice};
use vae_infer::anomaly::{Examined, Scorer, Tile, Tiled, Tiling};
use vae_infer::maps::Mask;
use vae_infer::maps::error_map::{SIGMA, error_map};
use vae_infer::tuning::Goal;
use vae_infer::{Bundle, Error, ImageSpec, Score};

use super::inputs::Item;
use super::measure::Measured;
use super::options::{Options, Ready};
use super::pipeline::tensor_bytes;
use super::source::Batch;
use super::workers::Workers;

/// An image that was scored.
pub(super) struct Scored {
    pub(super) item: Item,
    pub(super) score: f64,
    /// Of the image, or of the tile with the highest score.
    pub(super) parts: Score,
    /// That tile and the number of tiles, where the image was cut.
    pub(super) worst: Option<(Tile, usize)>,
    /// The error map, where it was asked for.
    pub(super) map: Option<Array2<f32>>,
}

/// What scores images, as wholes or by tiles.
pub(super) struct Examiner {
    pub(super) scorer: Scorer,
    /// The most images that go through the model at once.
    pub(super) batch: usize,
    spec: ImageSpec,
    tiling: Option<Tiling>,
    mask: Option<Mask>,
    mapped: bool,
}

impl Examiner {
    /// Loads a model to score by what was settled on, for a goal, which for tiles is that of many images;
    /// with `mapped`, images get their error map.
    pub(super) fn load(
        bundle: &Bundle,
        measured: &Measured,
        goal: Goal,
        mapped: bool,
        options: &Options,
    ) -> Result<Self> {
        let Measured { method, draws, ref image, ref mask, tiling } = *measured;
        let goal = if tiling.is_some() { Goal::Throughput } else { goal };
        let Ready { model: scorer, batch } = options.scorer(bundle, goal, method, draws)?;
        Ok(Self { scorer, batch, spec: image.clone(), tiling, mask: mask.clone(), mapped })
    }

    /// Workers for about so many images.
    pub(super) fn workers(self, images: usize) -> Workers<Self> {
        let (batch, bytes) = (self.batch, tensor_bytes(&self.spec));
        Workers::new(self, Self::per_thread, batch, images, bytes)
    }

    /// Examiners of one thread each, as many as this one has threads. None where one image is shared out, by
    /// its tiles, or the engine cannot be.
    fn per_thread(&self) -> Vec<Self> {
        let Self { scorer, batch, spec, tiling, mask, mapped } = self;
        let scorers = if tiling.is_some() { vec![] } else { scorer.per_thread() };
        let examiner = |scorer| Self {
            scorer,
            batch: *batch,
            spec: spec.clone(),
            tiling: *tiling,
            mask: mask.clone(),
            mapped: *mapped,
        };
        scorers.into_iter().map(examiner).collect()
    }

    /// What runs the model.
    pub(super) fn engine(&self) -> String {
        self.scorer.model().backends().to_string()
    }

    /// Scores a batch, with what is wrong in the place of an image that cannot be scored.
    pub(super) fn examine(&mut self, batch: Batch) -> Vec<Result<Scored>> {
        match self.tiling {
            Some(tiling) => batch.into_iter().map(|item| self.tiled(tiling, item?)).collect(),
            None => self.whole(batch),
        }
    }

    fn tiled(&mut self, tiling: Tiling, item: Item) -> Result<Scored> {
        let Self { ref mut scorer, ref spec, ref mask, mapped, .. } = *self;
        let tiled = tiling.score(scorer, spec, &item.picture, mask.as_ref(), mapped);
        let Tiled { score, tiles, worst, parts, map } = match tiled {
            // They have the name already.
            Err(error @ (Error::Image { .. } | Error::ImageSize { .. })) => {
                return Err(error.into());
            }
            tiled => tiled.with_context(|| format!("`{}`", item.picture.name))?,
        };
        Ok(Scored { item, score, parts, worst: Some((worst, tiles)), map })
    }

    /// Scores images as wholes, together, and one after the other where they cannot be.
    fn whole(&mut self, batch: Batch) -> Vec<Result<Scored>> {
        let [channels, height, width] = self.spec.shape();
        let mut images = Array4::zeros((batch.len(), channels, height, width));
        let mut count = 0;
        let mut prepare = |item: Result<Item>| {
            let item = item?;
            self.spec.write(&item.picture, images.index_axis_mut(Axis(0), count))?;
            count += 1;
            Ok(item)
        };
        let prepared: Vec<Result<Item>> = batch.into_iter().map(&mut prepare).collect();
        let images = images.slice_axis(Axis(0), Slice::from(..count));
        let together = self.score(images).ok();
        let mut places = 0..;
        let scored = prepared.into_iter().map(|item| {
            let item = item?;
            let place = places.next().unwrap_or_default();
            let image = images.slice_axis(Axis(0), Slice::from(place..place + 1));
            match &together {
                Some(examined) => self.scored(item, image, examined, place),
                None => {
                    let examined = self.score(image);
                    let examined = examined.with_context(|| format!("`{}`", item.picture.name))?;
                    self.scored(item, image, &examined, 0)
                }
            }
        });
        scored.collect()
    }

    /// Scores what the mask leaves of images.
    fn score(&mut self, images: ArrayView4<f32>) -> Result<Examined, Error> {
        let Some(mask) = &self.mask else { return self.scorer.score(images) };
        let (batch, _, height, width) = images.dim();
        let seen = mask.seen();
        let seen = seen.broadcast((batch, height, width)).expect("it has the model's size");
        self.scorer.score_seen(images, seen)
    }

    fn scored(
        &self,
        item: Item,
        image: ArrayView4<f32>,
        examined: &Examined,
        place: usize,
    ) -> Result<Scored> {
        let reconstruction = examined.reconstruction.images.index_axis(Axis(0), place);
        let image = image.index_axis_move(Axis(0), 0);
        let map = self.mapped.then(|| error_map(image, reconstruction, SIGMA)).transpose()?;
        let (score, parts) = (examined.scores[place], examined.parts[place]);
        Ok(Scored { item, score, parts, worst: None, map })
    }
}
