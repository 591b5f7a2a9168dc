//! How far the edges of an image are from those of its reconstruction: the gradient magnitude
//! similarity of Xue, Zhang, Mou and Bovik (IEEE Transactions on Image Processing 23, 2014,
//! arXiv:1308.3052).
//!
//! The paper's score is the standard deviation of the similarity, which is 0 as well where every
//! pixel is equally wrong. A score of anomalies may not be blind to that, so that here it is the
//! mean, the paper's GMSM. Unlike in the paper, images are not halved first: the map has their
//! resolution. Zavrtanik, Kristan and Skocaj (Pattern Recognition 112, 2021) find anomalies in such
//! maps.

use ndarray::{Array2, ArrayView2, ArrayView3};

use super::checks;
use crate::Error;

/// The constant that keeps the quotient stable, over the squared width of the range; the paper's.
const STABILITY: f64 = 0.0026;

/// The mean over pixels of [`gradient_map`]: 0 for equal images, below 1.
///
/// # Shapes
///
/// image, reconstruction: `[C, H, W]`, in the range
///
/// # Errors
///
/// As [`gradient_map`].
pub fn gradient_distance(
    image: ArrayView3<f32>,
    reconstruction: ArrayView3<f32>,
    range: [f32; 2],
) -> Result<f64, Error> {
    let map = distances(image, reconstruction, range)?;
    checks::score(map.sum() / map.len() as f64)
}

/// 1 − the gradient magnitude similarity of every pixel, the mean over the channels: 0 where the
/// gradients are equally steep, below 1.
///
/// The gradient is that of Prewitt's 3x3 filters; beyond a border pixels are those at the border.
///
/// # Shapes
///
/// image, reconstruction: `[C, H, W]`, in the range, output: `[H, W]`
///
/// # Errors
///
/// [`Error::Shape`] where the shapes differ or there is no pixel, [`Error::NotFinite`] for a value
/// that is not a number.
pub fn gradient_map(
    image: ArrayView3<f32>,
    reconstruction: ArrayView3<f32>,
    range: [f32; 2],
) -> Result<Array2<f32>, Error> {
    checks::single(&distances(image, reconstruction, range)?)
}

fn distances(
    image: ArrayView3<f32>,
    reconstruction: ArrayView3<f32>,
    [black, white]: [f32; 2],
) -> Result<Array2<f64>, Error> {
    checks::pair(image, reconstruction)?;
    let (channels, height, width) = image.dim();
    let peak = f64::from(white - black);
    let constant = STABILITY * peak * peak;
    let mut map = Array2::zeros((height, width));
    for (x, y) in image.outer_iter().zip(reconstruction.outer_iter()) {
        let gradients = squared_gradients(x).into_iter().zip(squared_gradients(y));
        for (distance, (x, y)) in map.iter_mut().zip(gradients) {
            *distance += 1.0 - (2.0 * (x * y).sqrt() + constant) / (x + y + constant);
        }
    }
    Ok(map / channels as f64)
}

/// The squared magnitude of the gradient, row by row, in squared units of the range over squared
/// pixels.
fn squared_gradients(plane: ArrayView2<f32>) -> Vec<f64> {
    let (height, width) = plane.dim();
    let line = width + 2;
    let within = |padded: usize, length: usize| padded.saturating_sub(1).min(length - 1);
    let padded: Vec<f64> = (0..(height + 2) * line)
        .map(|i| plane[[within(i / line, height), within(i % line, width)]].into())
        .collect();
    let mut squares = Vec::with_capacity(plane.len());
    for y in 0..height {
        let row = |i: usize| padded[(y + i) * line..][..line].windows(3);
        for ((above, beside), below) in row(0).zip(row(1)).zip(row(2)) {
            let (&[a, b, c], &[d, _, f], &[g, h, i]) = (above, beside, below) else {
                unreachable!("windows have three values")
            };
            let across = ((c + f + i) - (a + d + g)) / 3.0;
            let down = ((g + h + i) - (a + b + c)) / 3.0;
            squares.push(across * across + down * down);
        }
    }
    squares
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Axis, Slice};

    use super::*;

    const UNIT: [f32; 2] = [0.0, 1.0];

    fn waves() -> [Array3<f32>; 2] {
        let wave = |amplitude: f64, slope: f64, step: f64| {
            Array3::from_shape_fn((3, 20, 13), |(c, i, j)| {
                let phase = slope * i as f64 + 0.2 * j as f64 + c as f64 + step;
                (0.5 + amplitude * phase.sin()) as f32
            })
        };
        [wave(0.5, 0.3, 0.0), wave(0.4, 0.35, 0.1)]
    }

    /// Against `scipy.ndimage.prewitt(plane, axis, mode="nearest") / 3` in the paper's formula.
    #[test]
    fn it_is_the_papers_formula_on_scipys_gradients() {
        let [x, y] = waves();
        let map = gradient_map(x.view(), y.view(), UNIT).expect("finite");
        assert_eq!(map.dim(), (20, 13));
        let cases = [([0, 0], 0.031_141_6), ([3, 12], 0.088_073), ([10, 6], 0.261_556_4)];
        for (at, expected) in cases {
            assert!((map[at] - expected).abs() < 1e-5, "{at:?}: {}", map[at]);
        }
        let score = gradient_distance(x.view(), y.view(), UNIT).expect("finite");
        assert!((score - 0.212_277_206).abs() < 1e-6, "{score}");
    }

    #[test]
    fn luminance_does_not_count_and_the_range_does_not_matter() {
        let [x, y] = waves();
        let darker = x.mapv(|v| v - 0.25);
        let score = gradient_distance(x.view(), darker.view(), UNIT).expect("finite");
        assert!(score.abs() < 1e-9, "{score}");
        let [a, b] = [&x, &y].map(|v| v.mapv(|v| v * 2.0 - 1.0));
        let score = gradient_distance(x.view(), y.view(), UNIT).expect("finite");
        let scaled = gradient_distance(a.view(), b.view(), [-1.0, 1.0]).expect("finite");
        assert!((score - scaled).abs() < 1e-5, "{score} {scaled}");
    }

    #[test]
    fn an_image_wrong_everywhere_is_farther_than_one_wrong_in_part() {
        let [x, _] = waves();
        let nothing = Array3::from_elem(x.dim(), 0.5);
        let mut part = x.clone();
        part.slice_axis_mut(Axis(1), Slice::from(5..12)).fill(0.5);
        let score = |y: &Array3<f32>| gradient_distance(x.view(), y.view(), UNIT).expect("finite");
        assert!(score(&nothing) > score(&part) && score(&part) > 0.0);
        assert_eq!(score(&x), 0.0);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let one = Array3::zeros((1, 1, 1));
        let distance = gradient_distance(one.view(), one.view(), UNIT).expect("finite");
        assert_eq!(distance, 0.0, "a single pixel");
        let wide = Array3::zeros((1, 1, 2));
        let refused = gradient_map(one.view(), wide.view(), UNIT);
        assert!(matches!(refused, Err(Error::Shape { .. })));
        let wrong = Array3::from_elem((1, 1, 1), f32::NAN);
        let refused = gradient_map(one.view(), wrong.view(), UNIT);
        assert!(matches!(refused, Err(Error::NotFinite { .. })));
        assert!(gradient_distance(one.view(), wrong.view(), UNIT).is_err());
    }
}
