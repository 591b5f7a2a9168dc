//! The importance-sampled likelihood of Burda, Grosse and Salakhutdinov (arXiv:1509.00519):
//! log p(x) >= E[log 1/K Σ p(x | z) p(z) / q(z | x)], with K draws of z from q(z | x).

use burn::tensor::{Device, Tensor};
use vae_models::{Encoding, Posterior, Vae};

use crate::batches;
use crate::data::{self, Images};
use crate::draws::{self, Purpose};
use crate::forward::host;
use crate::progress::Progress;

/// The most rows, images times draws, that are decoded at once.
const MAX_ROWS: usize = 512;
/// The most pixel values of those rows.
const MAX_VALUES: usize = 1 << 22;

/// -log of the mean weight, from logarithms of weights, in double precision.
pub(super) fn negative_log_mean(log_weights: &[f64]) -> f64 {
    let largest = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = log_weights.iter().map(|weight| (weight - largest).exp()).sum();
    (log_weights.len() as f64).ln() - largest - sum.ln()
}

/// An upper bound of -log p(x) of every image in nats, which falls to it with the number of draws.
///
/// Images and draws, of which there is at least one an image, are decoded together, as many as the
/// bounds of memory allow.
///
/// # Errors
///
/// Where an image can no longer be read.
pub(super) fn negative_log_likelihood(
    vae: &Vae,
    images: &Images,
    samples: usize,
    seed: u64,
    device: &Device,
) -> Result<Vec<f64>, data::Error> {
    let (count, c, h, w) = images.dim();
    let rows = (MAX_VALUES / (c * h * w)).clamp(1, MAX_ROWS);
    let mut bar = Progress::stderr().work("draws", count * samples);
    let mut bounds = Vec::with_capacity(count);
    let mut chunks = 0;
    for images in images.chunks((rows / samples).max(1)) {
        let images = batches::tensor(images?, device);
        let [batch, ..] = images.dims();
        let encoding = vae.encode(images.clone());
        let mut weights = vec![Vec::with_capacity(samples); batch];
        let mut drawn = 0;
        while drawn < samples {
            let repeats = (rows / batch).min(samples - drawn);
            let place = draws::seed(seed, Purpose::Importance, chunks);
            let chunk = log_weights(vae, &images, &encoding, repeats, place);
            for (row, weight) in chunk.into_iter().enumerate() {
                weights[row % batch].push(weight);
            }
            drawn += repeats;
            chunks += 1;
            bar.add(repeats * batch);
        }
        bounds.extend(weights.iter().map(|weights| negative_log_mean(weights)));
    }
    Ok(bounds)
}

/// log p(x | z) + log p(z) - log q(z | x) of several draws for every image: those of the first draw,
/// then those of the second.
fn log_weights(
    vae: &Vae,
    images: &Tensor<4>,
    encoding: &Encoding,
    repeats: usize,
    seed: u64,
) -> Vec<f64> {
    let repeat = |tensor: &Tensor<2>| tensor.clone().repeat_dim(0, repeats);
    let Encoding { posterior, skips } = encoding;
    let posterior = Posterior {
        mean: repeat(&posterior.mean),
        log_var: posterior.log_var.as_ref().map(repeat),
    };
    let [rows, latent] = posterior.mean.dims();
    let drawn = posterior.sample(draws::epsilon(seed, rows, latent, &images.device()));
    let skips =
        skips.iter().map(|(name, skip)| (name.clone(), skip.clone().repeat_dim(0, repeats)));
    let decoded = vae.decode(drawn.clone(), skips.collect());
    let targets = images.clone().repeat_dim(0, repeats);
    let cost = host(vae.likelihood().negative_log(decoded, targets));
    let ratio = host(posterior.log_ratio(drawn));
    cost.into_iter().zip(ratio).map(|(cost, ratio)| -f64::from(cost) - f64::from(ratio)).collect()
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleMapper, Param};
    use burn::tensor::TensorData;
    use nalgebra::{DMatrix, DVector};
    use ndarray::Array4;
    use vae_models::VaeConfig;

    use super::*;
    use crate::evaluation::statistic::Statistic;
    use crate::evaluation::terms::observe;

    #[test]
    fn the_mean_of_weights_of_any_size() {
        assert!((negative_log_mean(&[0.0, 3.0_f64.ln()]) + 2.0_f64.ln()).abs() < 1e-12);
        assert!((negative_log_mean(&[-1e5, -1e5]) - 1e5).abs() < 1e-9);
        assert!((negative_log_mean(&[-1e5, 0.0]) - 2.0_f64.ln()).abs() < 1e-12);
        assert_eq!(negative_log_mean(&[-7.5]), 7.5);
    }

    const LINEAR: &str = r#"
        latent = 2
        likelihood = { kind = "gaussian", sigma = SIGMA }
        encoder = [{ block = "flatten" }]
        decoder = [
          { block = "dense", units = 4 },
          { block = "unflatten", channels = 1, height = 2, width = 2 },
        ]
    "#;

    fn images(count: usize) -> Array4<f32> {
        Array4::from_shape_fn((count, 1, 2, 2), |(n, _, h, w)| {
            ((n + h * 2 + w * 3) as f32).sin().abs()
        })
    }

    fn linear(sigma: &str, device: &Device) -> Vae {
        let config = LINEAR.replace("SIGMA", sigma);
        let config: VaeConfig = toml::from_str(&config).expect("a configuration");
        config.init([1, 2, 2], device).expect("the blocks fit").map(&mut Waves(0))
    }

    /// Weights of a wave: far enough from the posterior, and the same in every run.
    struct Waves(usize);

    impl ModuleMapper for Waves {
        fn map_float<const D: usize>(&mut self, weights: Param<Tensor<D>>) -> Param<Tensor<D>> {
            weights.map(|weights| {
                let shape = weights.dims();
                let places = self.0..self.0 + shape.iter().product::<usize>();
                self.0 = places.end;
                let values: Vec<f32> = places.map(|i| 0.4 * (i as f32 * 1.7).sin()).collect();
                Tensor::from_data(TensorData::new(values, shape), &weights.device())
            })
        }
    }

    /// A linear decoder with Gaussian pixels has a Gaussian marginal: N(b, W Wᵀ + σ² I), with the
    /// columns of W read off the decoder.
    #[test]
    fn the_marginal_of_a_linear_gaussian_model() {
        let device = Device::flex();
        let vae = linear("1.0", &device);
        let decode = |latent: [f32; 2]| {
            let latent = Tensor::<2>::from_floats([latent], &device);
            let values = host(vae.decode(latent, Default::default()));
            DVector::from_iterator(4, values.into_iter().map(f64::from))
        };
        let bias = decode([0.0, 0.0]);
        let columns = [decode([1.0, 0.0]) - &bias, decode([0.0, 1.0]) - &bias];
        let weight = DMatrix::from_columns(&columns);
        let covariance = &weight * weight.transpose() + DMatrix::identity(4, 4);
        let inverse = covariance.clone().try_inverse().expect("it is positive");
        let images = images(6);
        let exact = images.outer_iter().map(|image| {
            let x = DVector::from_iterator(4, image.iter().map(|&v| f64::from(v))) - &bias;
            let squared = (x.transpose() * &inverse * &x)[0];
            0.5 * (squared + covariance.determinant().ln() + 4.0 * std::f64::consts::TAU.ln())
        });
        let bounds = negative_log_likelihood(&vae, &images.clone().into(), 8_000, 0, &device);
        let bounds = bounds.expect("they are in memory");
        for (bound, exact) in bounds.into_iter().zip(exact) {
            assert!((bound - exact).abs() < 0.05, "{bound}, not {exact}");
        }
    }

    /// With little noise in the pixels the posterior of these weights is far off, and so is the ELBO.
    #[test]
    fn the_bound_tightens_with_the_draws() {
        let device = Device::flex();
        let vae = linear("0.2", &device);
        let images = images(64).into();
        let observed = observe(&vae, None, &images, [0.0, 1.0], 0, &device);
        let observed = observed.expect("they are in memory");
        let terms = observed.reconstruction.iter().zip(&observed.kl);
        let mut last = terms.map(|(reconstruction, kl)| reconstruction + kl).sum::<f64>() / 64.0;
        for samples in [8, 1_000] {
            let bounds = negative_log_likelihood(&vae, &images, samples, 0, &device);
            let bounds = bounds.expect("they are in memory");
            assert_eq!(bounds.len(), 64);
            let Statistic { mean, .. } = Statistic::of(&bounds);
            assert!(mean < last - 0.05, "{mean} with {samples} draws, {last} with fewer");
            last = mean;
        }
    }
}
