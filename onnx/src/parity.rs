//! Tensors: every output of an engine beside the trainer's.

use burn::tensor::Device;
use ndarray::{Array4, Axis, Slice};
use vae_infer::manifest::{Manifest, Parity, Precision};
use vae_infer::verify::replay;
use vae_infer::{Bundle, Model};
use vae_models::Vae;

use crate::error::Error;
use crate::golden::{LATENT_SEED, Latent, noise_images, record};
use crate::precision::Limits;

/// The batch sizes on which engines are compared.
const BATCHES: [usize; 3] = [1, 3, 64];

/// Compares an engine with Burn's forward pass on real and on random images, at every batch size:
/// real images are decoded from their posterior mean, random ones from draws of the prior. In eight
/// bits the images are real ones: noise lies outside of every range that was calibrated.
///
/// # Errors
///
/// [`Error::Parity`] for the first output that differs by more than the precision may, and the
/// errors of running the engine.
pub(crate) fn compare(
    vae: &Vae,
    bundle: &Bundle,
    probe: &Array4<f32>,
    model: &mut Model,
    device: &Device,
) -> Result<Vec<Parity>, Error> {
    let engine = model.encoder.backend().engine;
    let Manifest { image, precision, .. } = &bundle.manifest;
    let tolerance = Limits::of(*precision).tensor;
    let mut rows = vec![];
    for batch in BATCHES {
        let random = match precision {
            Precision::Int8 => None,
            _ => Some((noise_images(image, batch), "random", Latent::Prior { seed: LATENT_SEED })),
        };
        let real = (cycle(probe, batch), "real", Latent::Mean);
        for (images, kind, latent) in std::iter::once(real).chain(random) {
            let expected = record(vae, images.view(), latent, device);
            for (output, difference) in replay(model, bundle, &expected)? {
                let engine = engine.to_string();
                let row = Parity { engine, output, batch, images: kind.into(), difference };
                rows.push(accept(row, tolerance)?);
            }
        }
    }
    Ok(rows)
}

fn accept(row: Parity, tolerance: f64) -> Result<Parity, Error> {
    if row.difference <= tolerance {
        return Ok(row);
    }
    let Parity { engine, output, batch, images, difference } = row;
    Err(Error::Parity { engine, output, batch, images, difference, tolerance })
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
