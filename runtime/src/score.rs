//! How far an image is from its reconstruction: the higher, the more abnormal.

use std::f64::consts::TAU;

use ndarray::{ArrayView3, ArrayView4, Axis};

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
    let [image, decoded] = [&image, &decoded].map(|pixels| pixels.as_standard_layout());
    let [image, decoded] = [&image, &decoded].map(|pixels| pixels.as_slice().unwrap_or_default());
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

/// Sums or products that grow side by side.
const LANES: usize = 16;

/// What pairs of numbers make of a number, one after the other in every lane.
fn lanes(start: f64, a: &[f32], b: &[f32], next: impl Fn(f64, f64, f64) -> f64) -> [f64; LANES] {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [start; LANES];
    let mut add = |a: &[f32], b: &[f32]| {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane = next(*lane, a.into(), b.into());
        }
    };
    a.iter().zip(b).for_each(|(a, b)| add(a, b));
    add(a_rest, b_rest);
    lanes
}

/// The sum of the squared differences between pixels and what was decoded of them.
fn squared(image: &[f32], decoded: &[f32]) -> f64 {
    lanes(0.0, image, decoded, |sum, x, p| sum + (x - p).powi(2)).iter().sum()
}

/// Probabilities whose product is a normal number, at most, however small they are.
const FACTORS: usize = 40;

/// The negative log-likelihood −Σ (x ln p + (1 − x) ln(1 − p)) of pixels.
///
/// Most are black or white, and the probabilities of many have one logarithm, that of their product. Of a grey one,
/// 1 − p is part of the product too, and what is left is x ln(p / (1 − p)).
fn surprise(image: &[f32], decoded: &[f32]) -> f64 {
    let clamp = |p: f64| p.clamp(SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY);
    let stretches = image.chunks(FACTORS * LANES).zip(decoded.chunks(FACTORS * LANES));
    let products = stretches.flat_map(|(image, decoded)| {
        lanes(1.0, image, decoded, |product, x, p| {
            product * if x == 1.0 { clamp(p) } else { 1.0 - clamp(p) }
        })
    });
    let grey = image.iter().zip(decoded).filter(|&(&x, _)| x != 0.0 && x != 1.0);
    let odds = grey.map(|(&x, &p)| {
        let p = clamp(p.into());
        f64::from(x) * (p / (1.0 - p)).ln()
    });
    -products.map(f64::ln).chain(odds).sum::<f64>()
}

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
        let pixels = |values: [f32; 3]| Array4::from_shape_fn((1, 1, 1, 3), |at| values[at.3]);
        let (images, decoded) = (pixels([1.0, 0.0, 0.25]), pixels([0.75, 0.5, 0.625]));
        let posterior = Posterior { mean: array![[1.0]], log_var: Some(array![[0.0]]) };
        let reconstruction = Reconstruction { images: decoded, posterior };
        let squared = 0.25_f64.powi(2) + 0.5_f64.powi(2) + 0.375_f64.powi(2);
        let grey = 0.25 * 0.625_f64.ln() + 0.75 * 0.375_f64.ln();
        let gaussian = Likelihood::Gaussian { sigma: 0.5 };
        for (likelihood, nll) in [
            (Likelihood::Bernoulli, Some(-(0.75_f64.ln() + 0.5_f64.ln() + grey))),
            (Likelihood::SquaredError, None),
            (gaussian, Some(squared / 0.5 + 1.5 * (TAU * 0.25).ln())),
        ] {
            let [score] = score(likelihood, images.view(), &reconstruction).expect("finite")[..]
            else {
                panic!("one image has one score")
            };
            assert!(close(score.mse, squared / 3.0), "{likelihood:?}: {score:?}");
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
