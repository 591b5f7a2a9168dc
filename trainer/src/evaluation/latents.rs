//! How much each latent dimension carries.

use burn::tensor::Device;
use ndarray::{Array2, Array4, ArrayView1, Axis};
use serde::{Deserialize, Serialize};
use vae_models::{Posterior, Vae};

use crate::batches;
use crate::forward::host;
use crate::means::BATCH;

/// How much the latent dimensions carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latents {
    /// Their number `Z`.
    pub size: usize,
    /// Those whose posterior mean has a variance above 0.01 over the images (Burda, Grosse and
    /// Salakhutdinov, arXiv:1509.00519, section 5.2).
    pub active_units: usize,
    /// KL(q(z | x) || p(z)) of each dimension, mean over the images, in nats, the largest first.
    pub kl_per_dimension: Vec<f64>,
    /// The share of dimensions with a mean KL under 0.01 nats.
    pub collapsed_share: f64,
    /// Whether that is more than half: posterior collapse.
    pub collapsed: bool,
}

/// The variance of the posterior mean above which a unit is active.
const ACTIVE: f64 = 0.01;
/// The mean KL, in nats, under which a dimension carries nothing.
const COLLAPSED: f64 = 0.01;

/// Sums over images for each dimension.
#[derive(Debug, Default)]
pub(super) struct Sums {
    images: usize,
    mean: Vec<f64>,
    squared_mean: Vec<f64>,
    kl: Vec<f64>,
}

impl Sums {
    /// Adds the posteriors of images, and gives the KL of each image in nats.
    ///
    /// # Shapes
    ///
    /// mean, log_var: `[B, Z]`
    pub(super) fn add(&mut self, mean: &Array2<f32>, log_var: &Array2<f32>) -> Vec<f64> {
        for sums in [&mut self.mean, &mut self.squared_mean, &mut self.kl] {
            sums.resize(mean.ncols(), 0.0);
        }
        self.images += mean.nrows();
        let image = |(mean, log_var): (ArrayView1<f32>, ArrayView1<f32>)| {
            let mut total = 0.0;
            for (i, (&mean, &log_var)) in mean.iter().zip(log_var).enumerate() {
                let (mean, log_var) = (f64::from(mean), f64::from(log_var));
                let kl = 0.5 * (mean * mean + log_var.exp() - log_var - 1.0);
                self.mean[i] += mean;
                self.squared_mean[i] += mean * mean;
                self.kl[i] += kl;
                total += kl;
            }
            total
        };
        mean.rows().into_iter().zip(log_var.rows()).map(image).collect()
    }

    /// The mean KL of each dimension, in the model's order.
    pub(super) fn mean_kl(&self) -> Vec<f64> {
        let images = self.images.max(1) as f64;
        self.kl.iter().map(|kl| kl / images).collect()
    }

    /// The figures over the images so far.
    pub(super) fn latents(&self) -> Latents {
        let images = self.images.max(1) as f64;
        let sums = self.mean.iter().zip(&self.squared_mean);
        let active =
            sums.filter(|(mean, squared)| *squared / images - (*mean / images).powi(2) > ACTIVE);
        let active_units = active.count();
        let mut kl_per_dimension = self.mean_kl();
        kl_per_dimension.sort_by(|a, b| b.total_cmp(a));
        Latents {
            size: kl_per_dimension.len(),
            active_units,
            collapsed_share: collapsed(&kl_per_dimension) as f64
                / kl_per_dimension.len().max(1) as f64,
            collapsed: collapse(&kl_per_dimension).is_some(),
            kl_per_dimension,
        }
    }
}

/// The mean KL of each latent dimension over images, in nats, in the model's order; nothing for a
/// plain autoencoder.
///
/// # Shapes
///
/// images: `[N, C, H, W]`
pub fn kl_per_dimension(vae: &Vae, images: &Array4<f32>, device: &Device) -> Vec<f64> {
    let mut sums = Sums::default();
    for batch in images.axis_chunks_iter(Axis(0), BATCH) {
        let batch = batches::tensor(batch.to_owned(), device);
        if let Some([mean, log_var]) = parameters(vae.encode(batch).posterior) {
            sums.add(&mean, &log_var);
        }
    }
    sums.mean_kl()
}

/// Mean and log-variance of a posterior, `[B, Z]` each, on the host; none of a point.
pub(super) fn parameters(posterior: Posterior) -> Option<[Array2<f32>; 2]> {
    let log_var = posterior.log_var?;
    Some([posterior.mean, log_var].map(|tensor| {
        let [batch, latent] = tensor.dims();
        Array2::from_shape_vec((batch, latent), host(tensor)).expect("the shape is the tensor's")
    }))
}

fn collapsed(kl: &[f64]) -> usize {
    kl.iter().filter(|&&kl| kl < COLLAPSED).count()
}

/// A warning where the posterior has collapsed onto the prior in most dimensions: where more than
/// half have a mean KL under 0.01 nats.
pub fn collapse(kl_per_dimension: &[f64]) -> Option<String> {
    let (collapsed, all) = (collapsed(kl_per_dimension), kl_per_dimension.len());
    (2 * collapsed > all).then(|| {
        format!(
            "posterior collapse: {collapsed} of {all} latent dimensions have a mean KL under \
             {COLLAPSED} nats (hint: a lower train.beta, a longer train.beta_warmup, or a smaller \
             model.latent)"
        )
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// Four dimensions over two images: one wide, one constant, one prior, one barely moving.
    #[test]
    fn kl_and_active_units_of_known_posteriors() {
        let mut sums = Sums::default();
        let means = [array![[1.0, 2.0, 0.0, 0.1]], array![[-1.0, 2.0, 0.0, -0.05]]];
        let log_var = array![[0.0, 0.0, 0.0, 0.0]];
        let kl: Vec<f64> = means.iter().flat_map(|mean| sums.add(mean, &log_var)).collect();
        assert!((kl[0] - 0.5 * (1.0 + 4.0 + 0.01)).abs() < 1e-6, "{kl:?}");
        let latents = sums.latents();
        assert_eq!((latents.size, latents.active_units), (4, 1));
        let expected = [2.0, 0.5, 0.25 * (0.01 + 0.0025), 0.0];
        let close = |(a, b): (&f64, f64)| (a - b).abs() < 1e-6;
        assert!(latents.kl_per_dimension.iter().zip(expected).all(close), "{latents:?}");
        assert_eq!((latents.collapsed_share, latents.collapsed), (0.5, false));
    }

    #[test]
    fn the_variance_counts_in_the_kl() {
        let mut sums = Sums::default();
        let kl = sums.add(&array![[0.0]], &array![[2.0_f32.ln()]]);
        assert!((kl[0] - 0.5 * (2.0 - 2.0_f64.ln() - 1.0)).abs() < 1e-6);
    }

    #[test]
    fn more_than_half_is_a_collapse() {
        assert_eq!(collapse(&[1.0, 0.009]), None);
        assert_eq!(collapse(&[]), None);
        let warning = collapse(&[0.0, 0.009, 3.0]).expect("two of three");
        assert!(warning.contains("2 of 3"), "{warning}");
    }
}
