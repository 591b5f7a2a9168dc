use ndarray::{Array1, Array2, Axis};

use crate::Error;

/// The approximate posterior q(z | x) of a batch of images: a diagonal Gaussian, or a point where
/// the model is a plain autoencoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// Mean, `[B, Z]`.
    pub mean: Array2<f32>,
    /// Logarithm of the variance, `[B, Z]`; absent in a plain autoencoder.
    pub log_var: Option<Array2<f32>>,
}

impl Posterior {
    /// z = mean + sigma exp(log_var / 2) ε, the reparameterised draw of Kingma and Welling
    /// (arXiv:1312.6114, section 2.4); `sigma` 1 draws from the posterior itself.
    ///
    /// A plain autoencoder has no spread of its own: there z = mean + sigma ε.
    ///
    /// # Shapes
    ///
    /// epsilon: `[B, Z]`, output: `[B, Z]`
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where ε has another shape than the mean.
    pub fn draw(&self, epsilon: &Array2<f32>, sigma: f32) -> Result<Array2<f32>, Error> {
        if epsilon.dim() != self.mean.dim() {
            let (got, expected) = (epsilon.shape().to_vec(), format!("{:?}", self.mean.shape()));
            return Err(Error::Shape { what: "epsilon", got, expected });
        }
        let noise = match &self.log_var {
            Some(log_var) => log_var.mapv(|v| sigma * (0.5 * v).exp()) * epsilon,
            None => epsilon * sigma,
        };
        Ok(&self.mean + &noise)
    }

    /// KL(q(z | x) || N(0, I)) of every image, in nats; absent in a plain autoencoder.
    ///
    /// # Shapes
    ///
    /// output: `[B]`
    pub fn kl(&self) -> Option<Array1<f32>> {
        let log_var = self.log_var.as_ref()?;
        let terms = 0.5 * (&self.mean * &self.mean + log_var.mapv(f32::exp) - log_var - 1.0);
        Some(terms.sum_axis(Axis(1)))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn kl_is_the_closed_form() {
        let posterior = Posterior {
            mean: array![[0.0, 0.0], [1.0, -2.0]],
            log_var: Some(array![[0.0, 0.0], [0.0, 1.0]]),
        };
        let kl = posterior.kl().expect("a Gaussian has one");
        assert_eq!(kl[0], 0.0);
        let expected = 0.5 * (1.0 + 4.0 + 1.0_f32.exp() - 1.0 - 1.0);
        assert!((kl[1] - expected).abs() < 1e-6);
    }

    #[test]
    fn a_point_has_no_kl_and_takes_the_noise_as_it_is() {
        let point = Posterior { mean: array![[1.0, 2.0]], log_var: None };
        assert_eq!(point.kl(), None);
        let drawn = point.draw(&array![[1.0, -1.0]], 0.5).expect("the shapes agree");
        assert_eq!(drawn, array![[1.5, 1.5]]);
    }
}
