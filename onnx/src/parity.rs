//! The gate: every engine gives the trainer's answers, or nothing is written.

use std::path::Path;

use burn::tensor::Device;
use ndarray::{Array4, Axis, Slice};
use vae_infer::engine::ort_version;
use vae_infer::manifest::Parity;
use vae_infer::verify::replay;
use vae_infer::{Bundle, Engine, EngineOptions, Model, Provider};
use vae_models::Vae;

use crate::error::Error;
use crate::golden::{LATENT_SEED, Latent, noise_images, record};

/// The largest accepted difference between an engine and Burn, over an output's range.
pub const TOLERANCE: f64 = vae_infer::verify::TOLERANCE;

/// The batch sizes on which engines are compared.
const BATCHES: [usize; 3] = [1, 3, 64];

/// Compares an engine with Burn's forward pass on real and on random images, at every batch size:
/// real images are decoded from their posterior mean, random ones from draws of the prior.
///
/// # Errors
///
/// [`Error::Parity`] for the first output that differs by more than [`TOLERANCE`], and the errors
/// of loading and running the engine.
pub(crate) fn compare(
    vae: &Vae,
    bundle: &Bundle,
    probe: &Array4<f32>,
    options: &EngineOptions,
    device: &Device,
) -> Result<Vec<Parity>, Error> {
    let mut model = Model::load(bundle, options)?;
    let engine = options.resolved();
    let mut rows = vec![];
    for batch in BATCHES {
        let random = noise_images(&bundle.manifest.image, batch);
        for (images, kind, latent) in [
            (cycle(probe, batch), "real", Latent::Mean),
            (random, "random", Latent::Prior { seed: LATENT_SEED }),
        ] {
            let expected = record(vae, images.view(), latent, device);
            for (output, difference) in replay(&mut model, bundle, &expected)? {
                let engine = engine.to_string();
                let row = Parity { engine, output, batch, images: kind.into(), difference };
                rows.push(accept(row)?);
            }
        }
    }
    Ok(rows)
}

fn accept(row: Parity) -> Result<Parity, Error> {
    if row.difference <= TOLERANCE {
        return Ok(row);
    }
    let Parity { engine, output, batch, images, difference } = row;
    Err(Error::Parity { engine, output, batch, images, difference, tolerance: TOLERANCE })
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
