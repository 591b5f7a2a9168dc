//! How far the structure of an image is from that of its reconstruction, at several scales: the
//! multi-scale structural similarity index of Wang, Simoncelli and Bovik (37th Asilomar Conference
//! on Signals, Systems and Computers, 2003, doi 10.1109/ACSSC.2003.1292216).
//!
//! On textures a squared error sees the grain, which no reconstruction has pixel by pixel;
//! structure sees whether there is such a grain.

use ndarray::{Array2, ArrayView2, ArrayView3};

use super::checks;
use super::ssim::{Parts, SIDE, Window, ssim_map};
use crate::Error;

/// The exponents of the scales in the paper's section 3.2, from the finest to the coarsest.
const EXPONENTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// The exponents for images of a size. A scale counts where the whole window has room, which takes
/// 176 pixels for all five; those of the scales that count are divided by their sum.
fn exponents(height: usize, width: usize) -> Vec<f64> {
    let has_room = |&scale: &usize| height.min(width) >> scale >= SIDE;
    let coarser = (1..EXPONENTS.len()).take_while(has_room).count();
    let scales = &EXPONENTS[..=coarser];
    let total: f64 = scales.iter().sum();
    scales.iter().map(|exponent| exponent / total).collect()
}

/// 1 − MS-SSIM, the mean over the channels: 0 for equal images, at most 1.
///
/// Contrast and structure count at every scale, luminance at the coarsest. From scale to scale,
/// pixels become the means of 2 by 2; an odd last row or column has no part in the next scale. An
/// image too small for the window of 11 pixels gets one scale and the largest odd window. A mean
/// below 0, where the reconstruction is a negative of the image, counts as 0.
///
/// # Shapes
///
/// image, reconstruction: `[C, H, W]`, in the range
///
/// # Errors
///
/// [`Error::Shape`] where the shapes differ or there is no pixel, [`Error::NotFinite`] for a score
/// that is not a number.
pub fn structural_distance(
    image: ArrayView3<f32>,
    reconstruction: ArrayView3<f32>,
    range: [f32; 2],
) -> Result<f64, Error> {
    checks::pair(image, reconstruction)?;
    let (channels, height, width) = image.dim();
    let window = Window::fitting(height, width);
    let exponents = exponents(height, width);
    let planes = image.outer_iter().zip(reconstruction.outer_iter());
    let similarities = planes.map(|(x, y)| similarity(x, y, &window, &exponents, range));
    checks::score(1.0 - similarities.sum::<f64>() / channels as f64)
}

/// The paper's equation 7 for one channel.
fn similarity(
    channel: ArrayView2<f32>,
    other: ArrayView2<f32>,
    window: &Window,
    exponents: &[f64],
    range: [f32; 2],
) -> f64 {
    let parts = Parts::new(channel, other, window, range);
    // `f64::max` would make 0 of a NaN.
    let positive = |mean: f64| if mean < 0.0 { 0.0 } else { mean };
    match exponents {
        [] => 1.0,
        &[exponent] => libm::pow(positive(parts.index), exponent),
        &[exponent, ref coarser @ ..] => {
            let (channel, other) = (halved(channel), halved(other));
            libm::pow(positive(parts.contrast_structure), exponent)
                * similarity(channel.view(), other.view(), window, coarser, range)
        }
    }
}

/// The means of 2 by 2 pixels.
fn halved(plane: ArrayView2<f32>) -> Array2<f32> {
    let (height, width) = plane.dim();
    Array2::from_shape_fn((height / 2, width / 2), |(y, x)| {
        let (y, x) = (2 * y, 2 * x);
        0.25 * (plane[[y, x]] + plane[[y, x + 1]] + plane[[y + 1, x]] + plane[[y + 1, x + 1]])
    })
}

/// 1 − SSIM around every pixel, at full resolution, the mean over the channels: from 0 to 2, and 0
/// where the images are equal.
///
/// At a border it is that of the part of the window within the image.
///
/// # Shapes
///
/// image, reconstruction: `[C, H, W]`, in the range, output: `[H, W]`
///
/// # Errors
///
/// [`Error::Shape`] where the shapes differ or there is no pixel, [`Error::NotFinite`] for a value
/// that is not a number.
pub fn structural_map(
    image: ArrayView3<f32>,
    reconstruction: ArrayView3<f32>,
    range: [f32; 2],
) -> Result<Array2<f32>, Error> {
    checks::pair(image, reconstruction)?;
    let window = Window::fitting(image.dim().1, image.dim().2);
    checks::single(&(1.0 - ssim_map(image, reconstruction, &window, range)))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Array4, Axis};

    use super::*;

    const UNIT: [f32; 2] = [0.0, 1.0];

    /// An image of waves, and the same waves fainter and out of step.
    fn waves(shape: (usize, usize, usize)) -> [Array3<f32>; 2] {
        let wave = |amplitude: f64, step: f64| {
            Array3::from_shape_fn(shape, |(c, i, j)| {
                let phase = 0.3 * i as f64 + 0.2 * j as f64 + c as f64 + step;
                (0.5 + amplitude * phase.sin()) as f32
            })
        };
        [wave(0.5, 0.0), wave(0.4, 0.3)]
    }

    /// Against the paper's formula in NumPy, with windows by SciPy.
    #[test]
    fn it_is_the_papers_at_one_to_five_scales() {
        let cases = [
            ((1, 16, 14), 0.132_832_582),
            ((3, 45, 60), 0.071_865_688),
            ((1, 181, 176), 0.069_109_115),
        ];
        for (shape, expected) in cases {
            let [x, y] = waves(shape);
            let got = structural_distance(x.view(), y.view(), UNIT).expect("finite");
            assert!((got - expected).abs() < 1e-6, "{shape:?}: {got}, not {expected}");
        }
    }

    #[test]
    fn there_are_as_many_scales_as_have_room_for_the_window() {
        let sides = [(1, 1), (21, 1), (22, 2), (28, 2), (87, 3), (88, 4), (176, 5), (4096, 5)];
        for (side, scales) in sides {
            let exponents = exponents(side, 5000);
            assert_eq!(exponents.len(), scales, "{side}");
            assert!((exponents.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{side}");
        }
    }

    #[test]
    fn equal_images_have_none_and_a_negative_has_all() {
        let [x, _] = waves((3, 64, 50));
        let distance = structural_distance(x.view(), x.view(), UNIT).expect("finite");
        assert_eq!(distance, 0.0);
        let map = structural_map(x.view(), x.view(), UNIT).expect("finite");
        assert_eq!(map, Array2::<f32>::zeros((64, 50)));
        let negative = x.mapv(|v| 1.0 - v);
        let distance = structural_distance(x.view(), negative.view(), UNIT).expect("finite");
        assert_eq!(distance, 1.0);
    }

    #[test]
    fn the_range_does_not_matter() {
        let [x, y] = waves((1, 40, 40));
        let [a, b] = [&x, &y].map(|v| v.mapv(|v| v * 2.0 - 1.0));
        let distance = structural_distance(x.view(), y.view(), UNIT).expect("finite");
        let scaled = structural_distance(a.view(), b.view(), [-1.0, 1.0]).expect("finite");
        assert!((distance - scaled).abs() < 1e-5, "{distance} {scaled}");
    }

    #[test]
    fn the_map_is_highest_where_structure_is_missing() {
        let [x, _] = waves((1, 40, 40));
        let hidden = |y, x| y >= 30 && x < 10;
        let y = Array3::from_shape_fn(
            x.dim(),
            |(c, i, j)| if hidden(i, j) { 0.5 } else { x[[c, i, j]] },
        );
        let map = structural_map(x.view(), y.view(), UNIT).expect("finite");
        assert!(map[[35, 4]] > 0.9 && map[[39, 0]] > 0.9, "to the corner: {}", map[[39, 0]]);
        assert_eq!(map[[10, 30]], 0.0);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let images = Array4::<f32>::zeros((2, 1, 4, 4));
        let [one, two] = [0, 1].map(|i| images.index_axis(Axis(0), i));
        let distance = structural_distance(one, two, UNIT).expect("finite");
        assert_eq!(distance, 0.0, "one small window");
        let large = Array3::zeros((1, 4, 5));
        let refused = structural_distance(one, large.view(), UNIT);
        assert!(matches!(refused, Err(Error::Shape { .. })));
        assert!(structural_map(one, large.view(), UNIT).is_err());
        let wrong = Array3::from_elem((1, 4, 4), f32::NAN);
        let refused = structural_distance(one, wrong.view(), UNIT);
        assert!(matches!(refused, Err(Error::NotFinite { .. })));
        assert!(structural_map(one, wrong.view(), UNIT).is_err());
    }
}
