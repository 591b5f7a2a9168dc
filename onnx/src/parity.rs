//! Tensors: every output of an engine beside the trainer's, or beside that of imported files.

use burn::tensor::Device;
use ndarray::{Array4, ArrayView4, Axis, Slice};
use vae_infer::manifest::{Manifest, Parity, Precision};
use vae_infer::verify::replay;
use vae_infer::{Bundle, Model};
use vae_models::Vae;

use crate::error::Error;
use crate::golden::{LATENT_SEED, Latent, Tensors, noise_images, record};
use crate::precision::Limits;

/// The batch sizes on which engines are compared.
const BATCHES: [usize; 3] = [1, 3, 64];

/// Whose answers the engines must give.
pub(crate) trait Reference {
    /// What an engine then differs from, for people.
    fn name(&self) -> &'static str;

    /// Every input and output of both graphs for images `[B, C, H, W]` and a latent vector of each.
    ///
    /// # Errors
    ///
    /// Where it cannot run.
    fn record(&mut self, images: ArrayView4<f32>, latent: Latent) -> Result<Tensors, Error>;
}

/// Burn's forward pass.
pub(crate) struct Trainer<'a> {
    pub(crate) vae: &'a Vae,
    pub(crate) device: &'a Device,
}

impl Reference for Trainer<'_> {
    fn name(&self) -> &'static str {
        "the trainer"
    }

    fn record(&mut self, images: ArrayView4<f32>, latent: Latent) -> Result<Tensors, Error> {
        Ok(record(self.vae, images, latent, self.device))
    }
}

/// Compares an engine with a reference on real images, where there are some, and on random ones, at
/// every batch size: real images are decoded from their posterior mean, random ones from draws of
/// the prior.
/// In eight bits there are no random images: noise lies outside of every range that was calibrated.
///
/// # Errors
///
/// [`Error::Parity`] for the first output that differs by more than the precision may, and the
/// errors of running the engine.
pub(crate) fn compare(
    reference: &mut dyn Reference,
    bundle: &Bundle,
    probe: Option<&Array4<f32>>,
    model: &mut Model,
) -> Result<Vec<Parity>, Error> {
    let engine = model.encoder.backend().engine;
    let Manifest { image, precision, .. } = &bundle.manifest;
    let tolerance = Limits::of(*precision).tensor;
    let mut rows = vec![];
    for batch in BATCHES {
        let real = probe.map(|probe| (cycle(probe, batch), "real", Latent::Mean));
        let random = match precision {
            Precision::Int8 => None,
            _ => Some((noise_images(image, batch), "random", Latent::Prior { seed: LATENT_SEED })),
        };
        for (images, kind, latent) in real.into_iter().chain(random) {
            let expected = reference.record(images.view(), latent)?;
            for (output, difference) in replay(model, bundle, &expected)? {
                let engine = engine.to_string();
                let row = Parity { engine, output, batch, images: kind.into(), difference };
                rows.push(accept(row, tolerance, reference.name())?);
            }
        }
    }
    Ok(rows)
}

/// Checks that an engine gives the bundle's own record as well as `verify` will ask for.
///
/// # Errors
///
/// As [`compare`].
pub(crate) fn replays(bundle: &Bundle, golden: &Tensors, model: &mut Model) -> Result<(), Error> {
    let (engine, batch) = (model.encoder.backend().engine.to_string(), golden["image"].shape()[0]);
    for (output, difference) in replay(model, bundle, golden)? {
        let (engine, images) = (engine.clone(), "recorded".to_owned());
        let row = Parity { engine, output, batch, images, difference };
        accept(row, bundle.manifest.tolerance, "the record")?;
    }
    Ok(())
}

fn accept(row: Parity, tolerance: f64, reference: &'static str) -> Result<Parity, Error> {
    if row.difference <= tolerance {
        return Ok(row);
    }
    let graph = if row.output == "reconstruction" { "decoder" } else { "encoder" };
    Err(Error::Parity { graph, reference, row: Box::new(row), tolerance })
}

/// The first `count` images, over and over where there are fewer.
fn cycle(images: &Array4<f32>, count: usize) -> Array4<f32> {
    let available = images.len_of(Axis(0));
    if count <= available {
        return images.slice_axis(Axis(0), Slice::from(..count)).to_owned();
    }
    let indices: Vec<usize> = (0..count).map(|i| i % available).collect();
    images.select(Axis(0), &indices)
}
