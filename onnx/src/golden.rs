//! Recorded inputs and outputs, which a machine replays to see whether it gives the same.
//!
//! The images in them are made by the model or of noise: a bundle travels, and no image of the
//! training data should travel with it.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use ndarray::{Array1, Array4, ArrayD, ArrayView4};
use safetensors::tensor::{Dtype, TensorView};
use vae_infer::manifest::Manifest;
use vae_infer::verdicts::{SCORE, graded};
use vae_infer::{ImageSpec, Model, noise};
use vae_models::{Encoding, Skips, Vae};

use crate::graph::skip_name;
use crate::tensors::{to_array, to_tensor};

/// Images in the golden vectors.
pub(crate) const COUNT: usize = 3;
/// The seeds of noise images, of the latent vectors decoded beside them, and of the samples that
/// serve as golden images.
const IMAGE_SEED: u64 = 1;
pub(crate) const LATENT_SEED: u64 = 2;
pub(crate) const SAMPLE_SEED: u64 = 3;

/// Tensors by their names in the graphs.
pub(crate) type Tensors = BTreeMap<String, ArrayD<f32>>;

/// Runs Burn's forward pass on images and on a latent vector for each of them, and gives every
/// input and output of both graphs: `image`, `mean`, `log_var`, skips, `latent` and
/// `reconstruction`.
///
/// # Shapes
///
/// images: `[B, C, H, W]`
pub(crate) fn record(
    vae: &Vae,
    images: ArrayView4<f32>,
    latent: Latent,
    device: &Device,
) -> Tensors {
    let Encoding { posterior, skips } = vae.encode(to_tensor(images, device));
    let drawn: Tensor<2> = match latent {
        Latent::Mean => posterior.mean.clone(),
        Latent::Prior { seed } => {
            let [batch, latent] = posterior.mean.dims();
            to_tensor(noise::standard_normal(seed, 0, batch, latent).view(), device)
        }
    };
    let decoded = vae.decode(drawn.clone(), skips.clone());
    let mut tensors = Tensors::from([
        ("image".to_owned(), images.to_owned().into_dyn()),
        ("mean".to_owned(), to_array(posterior.mean)),
        ("latent".to_owned(), to_array(drawn)),
        ("reconstruction".to_owned(), to_array(vae.likelihood().mean(decoded))),
    ]);
    if let Some(log_var) = posterior.log_var {
        tensors.insert("log_var".to_owned(), to_array(log_var));
    }
    tensors.extend(skips.into_iter().map(|(skip, tensor)| (skip_name(&skip), to_array(tensor))));
    tensors
}

/// The same inputs with the outputs and scores that an engine gives, for a precision whose distance
/// from the trainer would hide what another machine does differently.
///
/// # Errors
///
/// Those of running the engine.
pub(crate) fn record_engine(
    model: &mut Model,
    manifest: &Manifest,
    trainer: &Tensors,
) -> Result<Tensors, vae_infer::Error> {
    let images = trainer["image"].view().into_dimensionality().expect("images have four axes");
    let latent = trainer["latent"].view().into_dimensionality().expect("vectors have two axes");
    let encoding = model.encode(images)?;
    let decoded = model.decode(latent, &encoding.skips)?;
    let mut scores = vec![];
    for images in graded(images, &manifest.image) {
        scores.extend(model.score(images.view())?.iter().map(|score| score.mse as f32));
    }

    let mut tensors = trainer.clone();
    for (spec, output) in manifest.encoder.outputs.iter().zip(encoding.into_outputs()) {
        tensors.insert(spec.name.clone(), output);
    }
    tensors.insert("reconstruction".to_owned(), decoded.into_dyn());
    tensors.insert(SCORE.to_owned(), Array1::from_vec(scores).into_dyn());
    Ok(tensors)
}

/// Images drawn by the model itself, `[COUNT, C, H, W]`.
pub(crate) fn samples(vae: &Vae, latent: usize, device: &Device) -> Array4<f32> {
    let drawn = noise::standard_normal(SAMPLE_SEED, 0, COUNT, latent);
    let decoded = vae.decode(to_tensor(drawn.view(), device), Skips::new());
    let images = to_array(vae.likelihood().mean(decoded));
    images.into_dimensionality().expect("images have four axes")
}

/// What a model that cannot draw images makes of noise, `[COUNT, C, H, W]`: closer to its kind of image
/// than the noise itself.
pub(crate) fn decoded_noise(vae: &Vae, image: &ImageSpec, device: &Device) -> Array4<f32> {
    let noise = noise_images(image, COUNT);
    let recorded = record(vae, noise.view(), Latent::Mean, device);
    let images = recorded["reconstruction"].clone();
    images.into_dimensionality().expect("images have four axes")
}

/// Images of noise that fills the range, `[count, C, H, W]`.
pub(crate) fn noise_images(image: &ImageSpec, count: usize) -> Array4<f32> {
    let [channels, height, width] = image.shape();
    let [black, white] = image.range;
    let normal = noise::standard_normal(IMAGE_SEED, 0, count, channels * height * width);
    let values = normal.mapv(|v| black + (white - black) / (1.0 + (-1.7 * v).exp()));
    let shape = (count, channels, height, width);
    values.into_shape_with_order(shape).expect("as many values as pixels")
}

/// Which latent vector is decoded for an image.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Latent {
    /// The posterior's mean.
    Mean,
    /// A draw from N(0, I).
    Prior { seed: u64 },
}

/// The content of a golden file: tensors in the safetensors format.
pub(crate) fn to_bytes(tensors: &Tensors) -> Vec<u8> {
    let bytes: Vec<(&String, &ArrayD<f32>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, array)| (name, array, array.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, array, bytes)| {
        let view = TensorView::new(Dtype::F32, array.shape().to_vec(), bytes);
        (*name, view.expect("four bytes for every value"))
    });
    safetensors::serialize(views, None).expect("names are distinct and short")
}
