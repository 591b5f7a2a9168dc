//! One picture an epoch of the same latent vectors, of which the figures make an animation.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::module::Module as _;
use burn::tensor::{Device, Tensor};
use ndarray::{Array2, Array4, Axis, Slice};
use vae_infer::{noise, write};
use vae_models::Vae;

use crate::config::RunConfig;
use crate::draws::{self, Purpose};
use crate::figures::png;
use crate::forward::Forward;
use crate::run::Run;

/// Images on a frame, and those in a row of it.
const IMAGES: usize = 16;
const COLUMNS: usize = 4;

/// What every frame of a run shows.
pub struct Frames<'a> {
    config: &'a RunConfig,
    device: &'a Device,
    folder: PathBuf,
    subject: Subject,
}

enum Subject {
    /// Draws from the prior, `[N, Z]`, which are decoded.
    Prior(Array2<f32>),
    /// Held-out images, `[N, C, H, W]`, which a model that cannot be sampled reconstructs.
    Images(Array4<f32>),
}

impl<'a> Frames<'a> {
    /// Chooses what the frames of a run show: always the same for the same seed.
    ///
    /// # Errors
    ///
    /// Where the folder of the frames cannot be made, or where the run's probe cannot be read.
    pub fn new(config: &'a RunConfig, run: &Run, device: &'a Device) -> Result<Self> {
        let folder = run.frames();
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        let skips = config.model.check(config.image.shape())?;
        let subject = if config.model.variational && skips.is_empty() {
            let seed = draws::seed(config.seed, Purpose::Figures, 0);
            Subject::Prior(noise::standard_normal(seed, 0, IMAGES, config.model.latent))
        } else {
            let probe = run.probe()?;
            let count = probe.len_of(Axis(0)).min(IMAGES);
            Subject::Images(probe.slice_axis(Axis(0), Slice::from(..count)).to_owned())
        };
        Ok(Self { config, device, folder, subject })
    }

    /// Writes the frame of an epoch, counted from 1; 0 is before the first step.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn draw(&self, vae: &Vae, epoch: usize) -> Result<()> {
        let forward = Forward { vae, device: self.device };
        let images = match &self.subject {
            Subject::Prior(latents) => forward.decode(latents.view()),
            Subject::Images(images) => forward.reconstruct(images.view()),
        };
        let sheet = self.config.image.sheet(images.view(), COLUMNS);
        let path = self.folder.join(format!("{PREFIX}{epoch:04}{SUFFIX}"));
        Ok(write::atomically(&path, &png(&sheet)?)?)
    }
}

/// What the names of frames begin and end with.
const PREFIX: &str = "epoch-";
const SUFFIX: &str = ".png";

/// The frames in a folder with their epochs, in order; none where there is no folder.
///
/// # Errors
///
/// Where the folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<(usize, PathBuf)>> {
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let reading = || format!("cannot read `{}`", folder.display());
    let mut frames = vec![];
    for entry in std::fs::read_dir(folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let epoch = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(SUFFIX));
        frames.extend(epoch.and_then(|epoch| epoch.parse().ok()).map(|epoch| (epoch, path)));
    }
    frames.sort();
    Ok(frames)
}

/// The weights that a run begins with, in a model of their own.
///
/// Burn draws weights when they are first used: in the first step, right after that step's noise.
/// Here the same draws are made in the same order. The step sets the generator again and finds
/// it as if nothing had been drawn, since the device has done everything by then.
///
/// # Errors
///
/// Where the configuration does not fit together, or where the device fails.
pub fn fresh(config: &RunConfig, first_batch: usize, device: &Device) -> Result<Vae> {
    let [channels, height, width] = config.image.shape();
    let latent = config.model.latent;
    let training = device.clone().autodiff();
    let vae = config.model.init(config.image.shape(), &training)?;
    let place = draws::seed(config.seed, Purpose::Training, 0);
    let epsilon = draws::epsilon(place, first_batch, latent, device);
    let encoding = vae.encode(Tensor::zeros([1, channels, height, width], &training));
    let first = epsilon.narrow(0, 0, 1).to_device(&training);
    let decoded = vae.decode(encoding.posterior.sample(first), encoding.skips);
    drop(decoded.into_data());
    device.sync().context("the device fails")?;
    Ok(vae.valid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_listed_by_their_epochs() {
        let folder = tempfile::TempDir::new().expect("a folder");
        for name in ["epoch-10000.png", "epoch-0002.png", "epoch-x.png", ".vae-1", "epoch-9999.png"]
        {
            std::fs::write(folder.path().join(name), "").expect("it is writable");
        }
        let epochs =
            list(folder.path()).expect("it is readable").into_iter().map(|(epoch, _)| epoch);
        assert_eq!(epochs.collect::<Vec<_>>(), [2, 9999, 10000]);
        assert!(list(&folder.path().join("none")).expect("nothing there").is_empty());
    }
}
