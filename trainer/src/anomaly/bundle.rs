use anyhow::{Context, Result};
use vae_infer::anomaly::Method;
use vae_infer::{Bundle, EngineOptions};
use vae_onnx::Anomaly;

use crate::data::spread;
use crate::split::Split;
use crate::statistics::{self, TRAINING_IMAGES};
use crate::trained::Trained;

/// The most validation images that the engines are compared on.
const HELD_OUT: usize = 256;

/// A bundle of a trained model, as `vae-train export --score nap` makes it, in memory alone: with
/// the statistics of training images for every method that its networks allow. Its engines have
/// passed the gate on validation images.
///
/// # Errors
///
/// As [`vae_onnx::export`].
pub fn bundle(trained: &Trained, split: &Split) -> Result<Bundle> {
    let some = |images: usize, most| spread(images, most);
    let train = split.train.images.read(&some(split.train.len(), TRAINING_IMAGES))?;
    let held_out = split.validation.images.read(&some(split.validation.len(), HELD_OUT))?;
    let probe = trained.run.probe()?;
    // The statistics are those of the method that takes most of them; a model without layers, which
    // that method refuses, is refused none of the others.
    let fit = |bundle: &Bundle, engine: &EngineOptions| {
        statistics::fit(bundle, engine, train.view(), Method::Nap)
    };
    let model = vae_onnx::Export {
        anomaly: Some(Anomaly { method: Method::Mse, fit: &fit }),
        ..trained.to_export(&probe, &held_out)
    };
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let path = folder.path().join("bundle");
    vae_onnx::export(model, &path, false, None, &trained.device)?;
    Ok(Bundle::open(&path)?)
}
