//! The gate: every engine gives the trainer's answers, or nothing is written.

use std::path::Path;

use burn::tensor::Device;
use ndarray::{Array4, ArrayD, Ix2, Ix4};
use vae_infer::engine::ort_version;
use vae_infer::manifest::Parity;
use vae_infer::verify::difference;
use vae_infer::{Bundle, Encoding, Engine, EngineOptions, Model, Provider};
use vae_models::Vae;

use crate::error::Error;
use crate::golden::{LATENT_SEED, Latent, Tensors, cycle, noise_images, record};

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
            let got = run(&mut model, bundle, &expected)?;
            for (output, got) in got {
                let difference = difference(got.view(), expected[&output].view());
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

/// Every output of both graphs on recorded inputs.
fn run(
    model: &mut Model,
    bundle: &Bundle,
    recorded: &Tensors,
) -> Result<Vec<(String, ArrayD<f32>)>, Error> {
    let input = |name: &str| recorded[name].clone();
    let images = input("image").into_dimensionality::<Ix4>().expect("images have four axes");
    let Encoding { posterior, skips } = model.encode(images.view())?;
    let mut outputs = vec![posterior.mean.into_dyn()];
    outputs.extend(posterior.log_var.map(|log_var| log_var.into_dyn()));
    outputs.extend(skips);
    let names = bundle.manifest.encoder.outputs.iter().map(|spec| spec.name.clone());
    let mut named: Vec<_> = names.zip(outputs).collect();

    let latent = input("latent").into_dimensionality::<Ix2>().expect("latent has two axes");
    let skips: Vec<_> = bundle.manifest.skips().iter().map(|spec| input(&spec.name)).collect();
    let reconstruction = model.decode(latent.view(), &skips)?;
    named.push(("reconstruction".to_owned(), reconstruction.into_dyn()));
    Ok(named)
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
