//! The gate: every engine gives the trainer's answers, or those of imported files, or nothing is
//! written.

use std::path::Path;

use burn::tensor::Device;
use ndarray::{Array4, ArrayView4, Axis, Slice};
use vae_infer::engine::ort_version;
use vae_infer::manifest::Parity;
use vae_infer::verify::replay;
use vae_infer::{Bundle, Engine, EngineOptions, Model, Provider};
use vae_models::Vae;

use crate::error::Error;
use crate::golden::{LATENT_SEED, Latent, Tensors, noise_images, record};

/// The largest accepted difference between an engine and its reference, over an output's range.
pub const TOLERANCE: f64 = vae_infer::verify::TOLERANCE;

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
///
/// # Errors
///
/// [`Error::Parity`] for the first output that differs by more than [`TOLERANCE`], and the errors
/// of loading and running the engine.
pub(crate) fn compare(
    reference: &mut dyn Reference,
    bundle: &Bundle,
    probe: Option<&Array4<f32>>,
    options: &EngineOptions,
) -> Result<Vec<Parity>, Error> {
    let mut model = Model::load(bundle, options)?;
    let engine = options.resolved();
    let mut rows = vec![];
    for batch in BATCHES {
        let real = probe.map(|probe| (cycle(probe, batch), "real", Latent::Mean));
        let random = noise_images(&bundle.manifest.image, batch);
        let random = (random, "random", Latent::Prior { seed: LATENT_SEED });
        for (images, kind, latent) in real.into_iter().chain([random]) {
            let expected = reference.record(images.view(), latent)?;
            for (output, difference) in replay(&mut model, bundle, &expected)? {
                let engine = engine.to_string();
                let row = Parity { engine, output, batch, images: kind.into(), difference };
                rows.push(accept(row, reference.name())?);
            }
        }
    }
    Ok(rows)
}

fn accept(row: Parity, reference: &'static str) -> Result<Parity, Error> {
    if row.difference <= TOLERANCE {
        return Ok(row);
    }
    let Parity { engine, output, batch, images, difference } = row;
    let tolerance = TOLERANCE;
    Err(Error::Parity { engine, reference, output, batch, images, difference, tolerance })
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

/// ONNX Runtime on the processor, or why it cannot be compared here.
///
/// # Errors
///
/// Where its library is named by the caller or by `ORT_DYLIB_PATH` and cannot be used.
pub(crate) fn onnx_runtime(library: Option<&Path>) -> Result<Result<EngineOptions, String>, Error> {
    let options = EngineOptions {
        ort_library: library.map(Into::into),
        provider: Provider::Cpu,
        ..EngineOptions::new(Engine::Ort)
    };
    match ort_version(&options) {
        Ok(_) => Ok(Ok(options)),
        Err(error) if library.is_some() || std::env::var_os("ORT_DYLIB_PATH").is_some() => {
            Err(error.into())
        }
        Err(error) => Ok(Err(error.to_string())),
    }
}
