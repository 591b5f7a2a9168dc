use std::f32::consts::TAU;

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

#[cfg(any(feature = "flex", feature = "libtorch"))]
use crate::extension;

/// The likelihood p(x | z) of an image under the decoder's output, whose negative logarithm is the
/// reconstruction term of the loss: summed over pixels, one value an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Likelihood {
    /// Independent Bernoulli pixels; the decoder gives logits. Binary cross-entropy, in nats.
    Bernoulli,
    /// No likelihood: the summed squared error. The decoder gives the image.
    SquaredError,
    /// Independent Gaussian pixels around the decoder's image, in nats.
    Gaussian {
        /// Standard deviation of every pixel.
        sigma: f32,
    },
}

impl Likelihood {
    /// -log p(x | z) of every image.
    ///
    /// # Shapes
    ///
    /// - decoded: `[B, C, H, W]`, the decoder's output
    /// - image: `[B, C, H, W]`
    /// - output: `[B]`
    pub fn negative_log(self, decoded: Tensor<4>, image: Tensor<4>) -> Tensor<1> {
        match self {
            Self::Bernoulli => bernoulli(decoded, image),
            Self::SquaredError => squared_error(decoded, image),
            Self::Gaussian { sigma } => {
                let [_, channels, height, width] = image.dims();
                let variance = sigma * sigma;
                let pixels = (channels * height * width) as f32;
                squared_error(decoded, image) * (0.5 / variance)
                    + pixels * 0.5 * (TAU * variance).ln()
            }
        }
    }

    /// The image that a decoder's output stands for: the likelihood's mean.
    ///
    /// # Shapes
    ///
    /// input and output: `[B, C, H, W]`
    pub fn mean(self, decoded: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Bernoulli => activation::sigmoid(decoded),
            Self::SquaredError | Self::Gaussian { .. } => decoded,
        }
    }
}

/// The binary cross-entropy of logits, summed over pixels.
fn bernoulli(logits: Tensor<4>, image: Tensor<4>) -> Tensor<1> {
    #[cfg(any(feature = "flex", feature = "libtorch"))]
    if let Some(loss) = extension::bernoulli(&logits, &image) {
        return loss;
    }
    // -x log s(l) - (1 - x) log s(-l), with log s(-l) = log s(l) - l
    let log_sigmoid = activation::log_sigmoid(logits.clone());
    over_pixels(logits * (image * -1.0 + 1.0) - log_sigmoid)
}

/// The squared error, summed over pixels.
fn squared_error(decoded: Tensor<4>, image: Tensor<4>) -> Tensor<1> {
    #[cfg(any(feature = "flex", feature = "libtorch"))]
    if let Some(loss) = extension::squared_error(&decoded, &image) {
        return loss;
    }
    over_pixels((decoded - image).square())
}

/// The sum over the pixels of every image, `[B, C, H, W]` to `[B]`.
fn over_pixels(terms: Tensor<4>) -> Tensor<1> {
    terms.flatten::<2>(1, 3).sum_dim(1).squeeze_dim(1)
}

/// The weight of the KL term: it rises in a straight line to `beta` over the first epochs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warmup {
    /// The final weight; 1 is the evidence lower bound, another value the β-VAE's objective
    /// (Higgins et al., ICLR 2017).
    pub beta: f64,
    /// Epochs until it is reached; 0 begins with it.
    pub epochs: f64,
}

impl Warmup {
    /// The weight after a number of epochs, whole or in part.
    pub fn at(&self, epoch: f64) -> f64 {
        if epoch >= self.epochs { self.beta } else { self.beta * epoch / self.epochs }
    }
}
