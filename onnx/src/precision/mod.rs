//! The graphs of a model in fewer bits, and what that may cost.

mod calibration;
mod defaults;
mod half;
mod int8;
mod names;
mod shared;

use std::collections::BTreeMap;

use burn::tensor::Device;
use ndarray::{Array4, ArrayD, ArrayViewD, Axis, concatenate};
use vae_infer::manifest::Precision;
use vae_infer::noise;

use crate::error::Error;
use crate::export::Export;
use crate::golden::{self, Latent};
use crate::graph::{Graph, decoder_with, encoder_with};
use crate::nodes::Deconvolution;
use calibration::{Range, ranges};

/// The most images that the ranges of eight bits are worth taking from.
pub const CALIBRATION_IMAGES: usize = 256;
/// The fewest images that say something about the range of a tensor.
pub(crate) const LEAST_CALIBRATION_IMAGES: usize = 16;
/// The seed of the latent vectors that stand for draws from the prior.
const PRIOR_SEED: u64 = 5;

/// What a precision may cost against the trainer's `f32`, on tensors and on decisions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The largest difference of an output from the trainer's, over its range.
    pub tensor: f64,
    /// The largest difference of a machine's results from the recorded ones, likewise.
    pub replay: f64,
    /// The most PSNR lost, in dB.
    pub psnr_lost: f64,
    /// The least rank correlation of the anomaly scores.
    pub rank_correlation: f64,
    /// The most verdicts that flip, as a share of the number of abnormal images; one always may.
    pub flips: f64,
}

impl Limits {
    /// The limits of a precision.
    pub fn of(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self {
                tensor: vae_infer::verify::TOLERANCE,
                replay: vae_infer::verify::TOLERANCE,
                psnr_lost: 1e-4,
                rank_correlation: 0.9999,
                flips: 0.0,
            },
            Precision::F16 | Precision::F16Gpu => Self {
                tensor: 5e-3,
                replay: 5e-3,
                psnr_lost: 0.01,
                rank_correlation: 0.999,
                flips: 0.1,
            },
            Precision::Int8 => Self {
                tensor: 0.25,
                replay: 0.02,
                psnr_lost: 0.5,
                rank_correlation: 0.98,
                flips: 0.3,
            },
        }
    }
}

/// The encoder's and the decoder's graph in the precision that is asked for.
///
/// # Errors
///
/// [`Error::Shape`], a weight that is out of half precision's range, and calibration images that
/// are missing.
pub(crate) fn graphs(model: &Export<'_>, device: &Device) -> Result<[Graph; 2], Error> {
    let Export { vae, config, image, precision, .. } = *model;
    let form = match precision {
        Precision::Int8 => Deconvolution::Phases,
        _ => Deconvolution::Transposed,
    };
    let mut encoder = encoder_with(form, vae, config, image.shape())?;
    let mut decoder = decoder_with(form, vae, config, image.shape())?;
    let too_large = |weight| Error::TooLargeForHalf { weight };
    match precision {
        Precision::F32 => {}
        Precision::F16 => {
            for graph in [&mut encoder, &mut decoder] {
                half::store(graph.body()).map_err(too_large)?;
            }
        }
        Precision::F16Gpu => {
            for graph in [&mut encoder, &mut decoder] {
                half::compute(graph.body()).map_err(too_large)?;
                // What is inside is in half precision, and outputs are not.
                graph.layers.clear();
            }
        }
        Precision::Int8 => {
            let seen = observe(model, [&encoder, &decoder], device)?;
            for (graph, seen) in [&mut encoder, &mut decoder].into_iter().zip(&seen) {
                let vectors = graph.outputs.iter().filter(|output| output.shape.len() == 1);
                let vectors = vectors.map(|output| output.name.clone()).collect();
                int8::quantize(graph.body(), vectors, seen);
                defaults::drop(graph.body());
                shared::share(graph.body());
                let mut layers = std::mem::take(&mut graph.layers);
                names::shorten(graph.body(), &mut layers);
                graph.layers = layers;
            }
        }
    }
    Ok([encoder, decoder])
}

/// The ranges of both graphs' tensors: images through the encoder; through the decoder their
/// posterior means and, where a decoder is fed with the prior, draws from it as well.
fn observe(
    model: &Export<'_>,
    [encoder, decoder]: [&Graph; 2],
    device: &Device,
) -> Result<[BTreeMap<String, Range>; 2], Error> {
    let images = model.calibration.ok_or(Error::NoCalibrationImages)?;
    let refused = |reason| Error::Calibration { reason };
    let mut encoder_ranges =
        ranges(encoder.model(), &[images.view().into_dyn()]).map_err(refused)?;
    encoder_ranges.insert("image".into(), pixels(model.image.range));

    let recorded = golden::record(model.vae, images.view(), Latent::Mean, device);
    let inputs: Vec<ArrayD<f32>> =
        decoder.inputs.iter().map(|input| recorded[&input.name].clone()).collect();
    let inputs = match model.samples() {
        true => vec![with_prior(&inputs[0])],
        false => inputs,
    };
    let views: Vec<ArrayViewD<f32>> = inputs.iter().map(|input| input.view()).collect();
    let decoder_ranges = ranges(decoder.model(), &views).map_err(refused)?;
    Ok([encoder_ranges, decoder_ranges])
}

/// The range of an image: in one that begins at 0, pictures of eight bits lose nothing. In one on both
/// sides of 0 a step of its own keeps their values off the middle between two integers, where
/// engines may round to either.
fn pixels([low, high]: [f32; 2]) -> Range {
    let largest = high.max(-low);
    match low < 0.0 && high > 0.0 {
        true => Range { low: -largest * 128.0 / 127.0, high: largest },
        false => Range { low: low.min(0.0), high: high.max(0.0) },
    }
}

/// Latent vectors and as many draws from N(0, I).
fn with_prior(means: &ArrayD<f32>) -> ArrayD<f32> {
    let [count, latent] = [means.shape()[0], means.shape()[1]];
    let drawn = noise::standard_normal(PRIOR_SEED, 0, count, latent).into_dyn();
    concatenate(Axis(0), &[means.view(), drawn.view()]).expect("both are [N, Z]")
}

/// Refuses images on which ranges would mean nothing: too few, or not of the kind that the model
/// was trained on.
///
/// `errors` and `held_out` are the trainer's squared errors on the calibration images and on
/// held-out ones.
///
/// # Errors
///
/// [`Error::TooFewCalibrationImages`], [`Error::StrangeCalibrationImages`].
pub(crate) fn check_calibration(
    images: &Array4<f32>,
    errors: &[f64],
    threshold: f64,
) -> Result<(), Error> {
    let count = images.len_of(Axis(0));
    if count < LEAST_CALIBRATION_IMAGES {
        return Err(Error::TooFewCalibrationImages { count, least: LEAST_CALIBRATION_IMAGES });
    }
    let median = vae_infer::compare::quantile(errors, 0.5).unwrap_or(f64::INFINITY);
    if median > threshold {
        return Err(Error::StrangeCalibrationImages { median, threshold });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What eight bits make of a pixel.
    fn rounded(range: Range, pixel: f32) -> f32 {
        let zero = f32::from(range.zero_point());
        ((pixel / range.scale()).round_ties_even() + zero).clamp(0.0, 255.0) * range.scale()
            - zero * range.scale()
    }

    #[test]
    fn pictures_of_eight_bits_lose_nothing_in_a_range_from_zero() {
        for value in 0..=255_u8 {
            let pixel = f32::from(value) / 255.0;
            assert!((rounded(pixels([0.0, 1.0]), pixel) - pixel).abs() < 1e-6, "{value}");
        }
    }

    #[test]
    fn a_range_on_both_sides_of_zero_has_no_pixel_between_two_integers() {
        let range = pixels([-1.0, 1.0]);
        assert_eq!(range.zero_point(), 128);
        for value in 0..=255_u8 {
            let pixel = f32::from(value) / 127.5 - 1.0;
            let place = pixel / range.scale();
            assert!((place - place.floor() - 0.5).abs() > 1e-3 || value == 0, "{value}: {place}");
            assert!((rounded(range, pixel) - pixel).abs() < 1.0 / 254.0 + 1e-6, "{value}");
        }
    }
}
