//! How far an image is from its reconstruction: the higher, the more abnormal.

use std::f64::consts::TAU;

use ndarray::{ArrayView3, ArrayView4, Axis, Zip};

use crate::Error;
use crate::manifest::Likelihood;
use crate::model::Reconstruction;

/// The scores of one image.
///
/// All are evaluated at z = the posterior mean, without a draw: `nll` is one term of the
/// expectation in the ELBO, and a lower `nll` than the expectation as a rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Mean squared error of a pixel, in squared pixel units.
    pub mse: f64,
    /// Negative log-likelihood −ln p(x | z), summed over pixels, in nats; absent under
    /// [`Likelihood::SquaredError`], which is no likelihood.
    pub nll: Option<f64>,
    /// KL(q(z | x) || N(0, I)), in nats; absent in a plain autoencoder.
    pub kl: Option<f64>,
    /// −(`nll` + `kl`); absent where one of them is.
    pub elbo: Option<f64>,
}

/// Probabilities are kept this far from 0 and from 1, so that their logarithm exists.
const SMALLEST_PROBABILITY: f64 = 1e-7;

/// Scores a batch of images against their reconstruction.
///
/// # Shapes
///
/// images: `[B, C, H, W]`, output: `B` scores
///
/// # Errors
///
/// [`Error::Shape`] where the reconstruction has another shape, [`Error::NotFinite`] for a score
/// that is not a number.
pub fn score(
    likelihood: Likelihood,
    images: ArrayView4<f32>,
    reconstruction: &Reconstruction,
) -> Result<Vec<Score>, Error> {
    if images.dim() != reconstruction.images.dim() {
        return Err(Error::Shape {
            what: "the reconstruction",
            got: reconstruction.images.shape().to_vec(),
            expected: format!("{:?}", images.shape()),
        });
    }
    let kl = reconstruction.posterior.kl();
    let pairs = images.axis_iter(Axis(0)).zip(reconstruction.images.axis_iter(Axis(0)));
    pairs
        .enumerate()
        .map(|(i, (image, decoded))| {
            let kl = kl.as_ref().map(|kl| f64::from(kl[i]));
            let score = score_one(likelihood, image, decoded, kl);
            let parts = [Some(score.mse), score.nll, kl];
            let finite = parts.iter().flatten().all(|value| value.is_finite());
            if finite { Ok(score) } else { Err(Error::NotFinite { what: "a score".into() }) }
        })
        .collect()
}

fn score_one(
    likelihood: Likelihood,
    image: ArrayView3<f32>,
    decoded: ArrayView3<f32>,
    kl: Option<f64>,
) -> Score {
    let pixels = image.len() as f64;
    let squared = squared(image, decoded);
    let nll = match likelihood {
        Likelihood::Bernoulli => Some(surprise(image, decoded)),
        Likelihood::SquaredError => None,
        Likelihood::Gaussian { sigma } => {
            let variance = f64::from(sigma).powi(2);
            Some(0.5 * (squared / variance + pixels * (TAU * variance).ln()))
        }
    };
    let elbo = nll.zip(kl).map(|(nll, kl)| -(nll + kl));
    Score { mse: squared / pixels, nll, kl, elbo }
}

/// The sum of the squared differences between pixels and what was decoded of them.
fn squared(image: ArrayView3<f32>, decoded: ArrayView3<f32>) -> f64 {
    let square = |x: f32, p: f32| (f64::from(x) - f64::from(p)).powi(2);
    let (Some(image), Some(decoded)) = (image.as_slice(), decoded.as_slice()) else {
        return Zip::from(image).and(decoded).fold(0.0, |sum, &x, &p| sum + square(x, p));
    };
    let (images, rest) = image.as_chunks::<LANES>();
    let (decodeds, decoded_rest) = decoded.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (image, decoded) in images.iter().zip(decodeds) {
        for ((sum, &x), &p) in sums.iter_mut().zip(image).zip(decoded) {
            *sum += square(x, p);
        }
    }
    let rest = rest.iter().zip(decoded_rest).map(|(&x, &p)| square(x, p));
    sums.into_iter().chain(rest).sum()
}

/// Sums that are added up side by side.
const LANES: usize = 16;

/// The negative log-likelihood −Σ (x ln p + (1 − x) ln(1 − p)) of pixels. Most are black or white, whose
/// probabilities are multiplied as far as they go, and have one logarithm.
fn surprise(image: ArrayView3<f32>, decoded: ArrayView3<f32>) -> f64 {
    let start = (0.0, 1.0);
    let (sum, product) = Zip::from(image).and(decoded).fold(start, |(sum, product), &x, &p| {
        let (x, p) = (f64::from(x), f64::from(p));
        let p = p.clamp(SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY);
        let product = match x {
            0.0 => product * (1.0 - p),
            1.0 => product * p,
            _ => return (sum - (x * p.ln() + (1.0 - x) * (1.0 - p).ln()), product),
        };
        // another factor would still leave a normal number
        if product > SMALLEST_PRODUCT { (sum, product) } else { (sum - product.ln(), 1.0) }
    });
    sum - product.ln()
}

/// Where a product of probabilities has its logarithm taken.
const SMALLEST_PRODUCT: f64 = f64::MIN_POSITIVE / SMALLEST_PROBABILITY;

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array4, array};

    use super::*;
    use crate::Posterior;

    fn close(got: f64, expected: f64) -> bool {
        (got - expected).abs() < 1e-6 * expected.abs().max(1.0)
    }

    #[test]
    fn every_likelihood_gives_its_formula() {
        let images = Array4::from_shape_vec((1, 1, 1, 2), vec![1.0, 0.0]).expect("2 pixels");
        let decoded = Array4::from_shape_vec((1, 1, 1, 2), vec![0.75, 0.5]).expect("2 pixels");
        let posterior = Posterior { mean: array![[1.0]], log_var: Some(array![[0.0]]) };
        let reconstruction = Reconstruction { images: decoded, posterior };
        let squared = 0.25_f64.powi(2) + 0.5_f64.powi(2);
        let gaussian = Likelihood::Gaussian { sigma: 0.5 };
        for (likelihood, nll) in [
            (Likelihood::Bernoulli, Some(-(0.75_f64.ln() + 0.5_f64.ln()))),
            (Likelihood::SquaredError, None),
            (gaussian, Some(squared / 0.5 + (TAU * 0.25).ln())),
        ] {
            let [score] = score(likelihood, images.view(), &reconstruction).expect("finite")[..]
            else {
                panic!("one image has one score")
            };
            assert!(close(score.mse, squared / 2.0), "{likelihood:?}: {score:?}");
            let same = |got: Option<f64>, expected: Option<f64>| match (got, expected) {
                (Some(got), Some(expected)) => close(got, expected),
                (got, expected) => got == expected,
            };
            assert!(same(score.nll, nll), "{likelihood:?}: {score:?}, expected {nll:?}");
            assert!(close(score.kl.expect("Gaussian"), 0.5), "{likelihood:?}: {score:?}");
            let elbo = nll.map(|nll| -nll - 0.5);
            assert!(same(score.elbo, elbo), "{likelihood:?}: {score:?}");
        }
    }

    #[test]
    fn many_certain_mistakes_are_as_many_times_as_bad() {
        let images = Array4::from_shape_fn((1, 1, 60, 50), |(.., row, _)| (row % 2) as f32);
        let decoded = images.map(|x| 1.0 - x);
        let posterior = Posterior { mean: Array2::zeros((1, 1)), log_var: None };
        let reconstruction = Reconstruction { images: decoded, posterior };
        let scores = score(Likelihood::Bernoulli, images.view(), &reconstruction).expect("finite");
        assert!(close(scores[0].nll.expect("Bernoulli"), 3000.0 * -1e-7_f64.ln()));
    }

    #[test]
    fn a_certain_mistake_has_a_finite_error_and_a_point_no_kl() {
        let images = Array4::ones((1, 1, 1, 1));
        let posterior = Posterior { mean: Array2::zeros((1, 1)), log_var: None };
        let reconstruction = Reconstruction { images: Array4::zeros((1, 1, 1, 1)), posterior };
        let scores = score(Likelihood::Bernoulli, images.view(), &reconstruction).expect("finite");
        assert!(close(scores[0].nll.expect("Bernoulli"), -1e-7_f64.ln()));
        assert_eq!((scores[0].kl, scores[0].elbo), (None, None));
    }
}
