//! How near reconstructions are to their images.

use ndarray::{ArrayView3, ArrayView4, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use vae_infer::compare::psnr;

use super::statistic::Statistic;
use vae_infer::maps::ssim::{Window, ssim, ssim_global};

/// How near the reconstructions of images are to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fidelity {
    /// Mean squared error of a pixel, over all pixels of all images, in squared units of the range.
    pub mse: f64,
    /// 10 log10(peak² / `mse`), in dB: one error over all images.
    pub psnr_pooled: f64,
    /// 10 log10(peak² / MSE of the image), in dB, over the images.
    pub psnr: Statistic,
    /// The standard structural similarity, over the images.
    pub ssim: Statistic,
    /// The side of its window in pixels: 11, or less for a smaller image.
    pub ssim_window: usize,
    /// The same index in one flat window over the whole image, over the images; it compares only
    /// with its own kind.
    pub ssim_global: Statistic,
}

/// Values of the images so far.
pub(super) struct Sums {
    range: [f32; 2],
    window: Window,
    values: Vec<[f64; 3]>,
}

impl Sums {
    /// No image yet, of `H` by `W` pixels in a range.
    pub(super) fn new(height: usize, width: usize, range: [f32; 2]) -> Self {
        Self { range, window: Window::fitting(height, width), values: vec![] }
    }

    /// Adds images and their reconstructions, `[B, C, H, W]`; the latter are clamped to the range.
    pub(super) fn add(&mut self, images: ArrayView4<f32>, reconstructions: ArrayView4<f32>) {
        let [black, white] = self.range;
        let count = images.len_of(Axis(0));
        let values = (0..count).into_par_iter().map(|i| {
            let image = images.index_axis(Axis(0), i);
            let clamped = reconstructions.index_axis(Axis(0), i).mapv(|v| v.clamp(black, white));
            let similarity = ssim(image, clamped.view(), &self.window, self.range);
            let global = ssim_global(image, clamped.view(), self.range);
            [mse(image, clamped.view()), similarity, global]
        });
        let values: Vec<_> = values.collect();
        self.values.extend(values);
    }

    /// The figures over the images so far.
    pub(super) fn fidelity(&self) -> Fidelity {
        let column = |i: usize| self.values.iter().map(|v| v[i]).collect::<Vec<f64>>();
        let [black, white] = self.range;
        let peak = f64::from(white - black);
        let errors = column(0);
        let ratios: Vec<f64> = errors.iter().map(|&mse| psnr(mse, peak)).collect();
        let mse = Statistic::of(&errors).mean;
        Fidelity {
            mse,
            psnr_pooled: psnr(mse, peak),
            psnr: Statistic::of(&ratios),
            ssim: Statistic::of(&column(1)),
            ssim_window: self.window.side(),
            ssim_global: Statistic::of(&column(2)),
        }
    }
}

fn mse(image: ArrayView3<f32>, other: ArrayView3<f32>) -> f64 {
    let squares = image.iter().zip(other).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>() / image.len() as f64
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    /// Images of `offsets` over black.
    fn flat(offsets: &[f32], black: f32) -> Array4<f32> {
        Array4::from_shape_fn((offsets.len(), 1, 4, 5), |(n, ..)| black + offsets[n])
    }

    #[test]
    fn pooled_and_mean_psnr_of_known_errors() {
        for (range, offsets, gain) in
            [([0.0, 1.0], [0.1, 0.2], 0.0), ([-1.0, 1.0], [0.1, 0.2], 20.0 * 2.0_f64.log10())]
        {
            let mut sums = Sums::new(4, 5, range);
            sums.add(flat(&[0.0, 0.0], range[0]).view(), flat(&offsets, range[0]).view());
            let fidelity = sums.fidelity();
            assert!((fidelity.mse - 0.025).abs() < 1e-8);
            assert!((fidelity.psnr_pooled - (16.020_600 + gain)).abs() < 1e-5);
            assert!((fidelity.psnr.mean - ((20.0 + 13.979_400) / 2.0 + gain)).abs() < 1e-5);
            assert!((fidelity.psnr.standard_deviation - 4.257_207).abs() < 1e-4);
            assert_eq!(fidelity.ssim_window, 3);
        }
    }

    #[test]
    fn a_reconstruction_is_clamped_and_a_perfect_one_stays_finite() {
        let mut sums = Sums::new(4, 5, [0.0, 1.0]);
        sums.add(flat(&[1.0, 0.0], 0.0).view(), flat(&[1.7, -0.4], 0.0).view());
        let fidelity = sums.fidelity();
        assert_eq!((fidelity.mse, fidelity.psnr_pooled), (0.0, 150.0));
        assert!((fidelity.ssim.mean - 1.0).abs() < 1e-12);
    }
}
