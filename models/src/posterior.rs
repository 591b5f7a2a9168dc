use burn::tensor::Tensor;

#[cfg(feature = "libtorch")]
use crate::extension;

/// The approximate posterior q(z | x) of a batch: a diagonal Gaussian, or a point in a plain autoencoder.
#[derive(Debug, Clone)]
pub struct Posterior {
    /// Mean, `[B, Z]`.
    pub mean: Tensor<2>,
    /// Logarithm of the variance, `[B, Z]`; absent in a plain autoencoder.
    pub log_var: Option<Tensor<2>>,
}

impl Posterior {
    /// z = mean + exp(log_var / 2) ε, the reparameterised draw of Kingma and Welling
    /// (arXiv:1312.6114, section 2.4); the mean itself in a plain autoencoder.
    ///
    /// # Shapes
    ///
    /// - epsilon: `[B, Z]`, drawn from N(0, 1)
    /// - output: `[B, Z]`
    pub fn sample(&self, epsilon: Tensor<2>) -> Tensor<2> {
        let Some(log_var) = &self.log_var else { return self.mean.clone() };
        #[cfg(feature = "libtorch")]
        if let Some(latent) = extension::draw(&self.mean, log_var, &epsilon) {
            return latent;
        }
        self.mean.clone() + (log_var.clone() * 0.5).exp() * epsilon
    }

    /// KL(q(z | x) || N(0, I)) of every image, in nats; zero in a plain autoencoder.
    ///
    /// # Shapes
    ///
    /// output: `[B]`
    pub fn kl(&self) -> Tensor<1> {
        let Some(log_var) = &self.log_var else {
            let [batch, _] = self.mean.dims();
            return Tensor::zeros([batch], &self.mean.device());
        };
        #[cfg(feature = "libtorch")]
        if let Some(divergence) = extension::divergence(&self.mean, log_var) {
            return divergence;
        }
        let terms = self.mean.clone().square() + log_var.clone().exp() - log_var.clone() - 1.0;
        terms.sum_dim(1).squeeze_dim(1) * 0.5
    }

    /// log q(z | x) - log p(z) at a draw of every image: an estimate of [`Posterior::kl`] without
    /// bias, in nats; zero in a plain autoencoder.
    ///
    /// # Shapes
    ///
    /// - latent: `[B, Z]`, from [`Posterior::sample`]
    /// - output: `[B]`
    pub fn log_ratio(&self, latent: Tensor<2>) -> Tensor<1> {
        let Some(log_var) = &self.log_var else { return self.kl() };
        let squared = (latent.clone() - self.mean.clone()).square();
        let terms = latent.square() - log_var.clone() - squared * log_var.clone().neg().exp();
        terms.sum_dim(1).squeeze_dim(1) * 0.5
    }
}
