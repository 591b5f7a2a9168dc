//! Images on their way through a scorer.

use anyhow::{Context, Result};
use ndarray::{Array3, Array4, ArrayView4, Axis, concatenate};
use vae_infer::anomaly::{Examined, Scorer};
use vae_infer::{ImageSpec, Score};

use super::inputs::{Inputs, Item};
use super::options::BATCH;

/// An image that was scored.
pub(super) struct Scored {
    pub(super) item: Item,
    pub(super) score: f64,
    pub(super) parts: Score,
    /// As the model saw it, `[C, H, W]`.
    pub(super) image: Array3<f32>,
    /// `[C, H, W]`
    pub(super) reconstruction: Array3<f32>,
}

/// Scores images in batches and hands on one after the other, with what is wrong in the place of one
/// that cannot be scored. Ends early where `take` gives an error.
pub(super) fn examine(
    inputs: &Inputs,
    spec: &ImageSpec,
    scorer: &mut Scorer,
    mut take: impl FnMut(Result<Scored>) -> Result<()>,
) -> Result<()> {
    let mut items = inputs.items();
    loop {
        let mut batch = vec![];
        let mut read = 0;
        for item in items.by_ref().take(BATCH) {
            read += 1;
            let prepared = item.and_then(|item| {
                let image = spec.batch(std::slice::from_ref(&item.picture))?;
                Ok((item, image))
            });
            match prepared {
                Ok(prepared) => batch.push(prepared),
                Err(error) => take(Err(error))?,
            }
        }
        if read == 0 {
            return Ok(());
        }
        score(batch, scorer, &mut take)?;
    }
}

/// Scores a batch, and one image after the other where it cannot be scored as a whole.
fn score(
    batch: Vec<(Item, Array4<f32>)>,
    scorer: &mut Scorer,
    take: &mut impl FnMut(Result<Scored>) -> Result<()>,
) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let views: Vec<ArrayView4<f32>> = batch.iter().map(|(_, image)| image.view()).collect();
    let images = concatenate(Axis(0), &views)?;
    match scorer.score(images.view()) {
        Ok(examined) => {
            for (place, (item, image)) in batch.into_iter().enumerate() {
                take(Ok(scored(item, image, &examined, place)))?;
            }
        }
        Err(_) => {
            for (item, image) in batch {
                let examined = scorer.score(image.view());
                let examined = examined.with_context(|| format!("`{}`", item.picture.name));
                take(examined.map(|examined| scored(item, image, &examined, 0)))?;
            }
        }
    }
    Ok(())
}

fn scored(item: Item, image: Array4<f32>, examined: &Examined, place: usize) -> Scored {
    Scored {
        item,
        score: examined.scores[place],
        parts: examined.parts[place],
        image: image.index_axis_move(Axis(0), 0),
        reconstruction: examined.reconstruction.images.index_axis(Axis(0), place).to_owned(),
    }
}
