//! One pass over images: the terms of the bound, the posteriors and the reconstructions.

use burn::tensor::Device;
use ndarray::Array4;
use vae_models::Vae;

use super::{fidelity, latents};
use crate::batches;
use crate::data::{self, Images};
use crate::draws::{self, Purpose};
use crate::forward::host;
use crate::means::BATCH;
use crate::perceptual::Perceptual;
use crate::progress::Progress;

/// What a pass observes.
pub(super) struct Observed {
    /// -log p(x | z) with one draw of z, for each image.
    pub(super) reconstruction: Vec<f64>,
    /// KL(q(z | x) || p(z)) in closed form, for each image; 0 in a plain autoencoder.
    pub(super) kl: Vec<f64>,
    /// The distance in a feature network with the same draw, for each image; empty without one.
    pub(super) perceptual: Vec<f64>,
    /// The latent dimensions; empty in a plain autoencoder.
    pub(super) latents: latents::Sums,
    /// The reconstructions from the posterior mean.
    pub(super) fidelity: fidelity::Sums,
}

/// Observes a model on images. The batches and their draws are those of the evaluations during
/// training, so that the reconstruction terms agree.
///
/// # Errors
///
/// Where an image can no longer be read.
pub(super) fn observe(
    vae: &Vae,
    perceptual: Option<&Perceptual>,
    images: &Images,
    range: [f32; 2],
    seed: u64,
    device: &Device,
) -> Result<Observed, data::Error> {
    let (count, _, height, width) = images.dim();
    let mut observed = Observed {
        reconstruction: Vec::with_capacity(count),
        kl: Vec::with_capacity(count),
        perceptual: vec![],
        latents: latents::Sums::default(),
        fidelity: fidelity::Sums::new(height, width, range),
    };
    let mut bar = Progress::stderr().work("images", count);
    for (number, targets) in images.chunks(BATCH).enumerate() {
        let targets = targets?;
        let batch = batches::tensor(targets.clone(), device);
        let encoding = vae.encode(batch.clone());
        let [rows, latent] = encoding.posterior.mean.dims();
        let place = draws::seed(seed, Purpose::Evaluation, number as u64);
        let drawn = encoding.posterior.sample(draws::epsilon(place, rows, latent, device));

        let likelihood = vae.likelihood();
        let decoded = vae.decode(drawn, encoding.skips.clone());
        if let Some(network) = perceptual {
            let distances = network.distance(likelihood.mean(decoded.clone()), batch.clone());
            observed.perceptual.extend(host(distances).into_iter().map(f64::from));
        }
        let terms = host(likelihood.negative_log(decoded, batch));
        observed.reconstruction.extend(terms.into_iter().map(f64::from));

        let decoded = vae.decode(encoding.posterior.mean.clone(), encoding.skips);
        let values = host(likelihood.mean(decoded));
        let reconstructions = Array4::from_shape_vec(targets.raw_dim(), values)
            .expect("a reconstruction has its image's shape");
        observed.fidelity.add(targets.view(), reconstructions.view());

        match latents::parameters(encoding.posterior) {
            Some([mean, log_var]) => observed.kl.extend(observed.latents.add(&mean, &log_var)),
            None => observed.kl.extend(vec![0.0; rows]),
        }
        bar.add(rows);
    }
    Ok(observed)
}
