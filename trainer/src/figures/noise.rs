//! Reconstructions from latent vectors with noise, for one run or for several under the same noise.
//!
//! A latent vector is the posterior mean plus `s` σ ε, with ε ~ N(0, 1) drawn once for all runs and σ the
//! standard deviation of each dimension of the means over the held-out images. In that unit the
//! noise is as large for the wide codes of a plain autoencoder as for those of a variational one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use image::DynamicImage;
use ndarray::Array4;
use vae_infer::{ImageSpec, Resize, noise, write};

use super::rows::{self, Row};
use super::subject::Place;
use super::theme::short;
use super::{Figure, HeldOut, Subject, png};
use crate::draws::{self, Purpose};
use crate::trained::Trained;

const IMAGES: usize = 10;
/// The values of `s`.
const SCALES: [f32; 4] = [0.0, 0.5, 1.0, 2.0];

pub(super) fn draw(subject: &Subject) -> Result<Figure> {
    Figure::picture(&picture(&[("", subject)])?)
}

/// Draws several runs over the same held-out images under the same noise, as
/// `noise-comparison.png` in a folder.
///
/// # Errors
///
/// Where a run takes other images than the first, or where the file cannot be written.
pub fn compare(runs: &[(&str, &Trained)], held_out: &HeldOut, folder: &Path) -> Result<PathBuf> {
    let mut subjects = vec![];
    for (name, trained) in runs {
        // The images that they drew were compared: how files of other sizes became those is no matter.
        let spec = |trained: &Trained| ImageSpec {
            resize: Resize::Refuse,
            ..trained.config.image.clone()
        };
        if spec(trained) != spec(runs[0].1) {
            bail!("`{name}` takes other images than `{}`", runs[0].0);
        }
        subjects.push((*name, Subject::new(trained, held_out)?));
    }
    let subjects: Vec<_> = subjects.iter().map(|(name, subject)| (*name, subject)).collect();
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create `{}`", folder.display()))?;
    let path = folder.join("noise-comparison.png");
    write::atomically(&path, &png(&picture(&subjects)?)?)?;
    Ok(path)
}

fn picture(subjects: &[(&str, &Subject)]) -> Result<DynamicImage> {
    let Some((_, first)) = subjects.first() else { bail!("there is no run to draw") };
    let places = first.held_out.spread(IMAGES);
    let images = first.held_out.select(&places);
    let mut rows = vec![Row::new(first.held_out.part, images.clone())];
    for (name, subject) in subjects {
        for scale in SCALES {
            let what = match scale {
                0.0 => "mean".to_owned(),
                scale => format!("mean + {scale} σ ε"),
            };
            let name = [short(name, 24), what].into_iter().filter(|part| !part.is_empty());
            let decoded = noisy(subject, &places, &images, scale);
            let apart = scale == 0.0 && subjects.len() > 1;
            let name = name.collect::<Vec<_>>().join(": ");
            rows.push(Row { apart, ..Row::new(name, decoded) });
        }
    }
    rows::draw(&first.trained.config.image, &rows, &[])
}

/// The images decoded from their means with noise of a scale, `[N, C, H, W]`.
fn noisy(subject: &Subject, places: &[usize], images: &Array4<f32>, scale: f32) -> Array4<f32> {
    let mean = subject.codes.mean.select(ndarray::Axis(0), places);
    let seed = draws::seed(0, Purpose::Figures, Place::Noise as u64);
    let epsilon = noise::standard_normal(seed, 0, places.len(), mean.ncols());
    let latents = mean + epsilon * subject.spread_of_means() * scale;
    subject.forward().decode_for(latents.view(), images.view())
}
