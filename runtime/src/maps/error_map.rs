//! Where an image differs from its reconstruction, pixel by pixel.

use ndarray::{Array2, ArrayView3, Zip};

use super::{checks, gaussian};
use crate::Error;

/// The standard deviation, in pixels, that smooths the maps of small images: enough to take the
/// edges that a reconstruction misses by one pixel below a defect of a few, and less than a stroke.
pub const SIGMA: f64 = 1.0;

/// The squared error of every pixel, the mean over its channels, smoothed by a Gaussian with a
/// standard deviation of `sigma` pixels as by [`gaussian::smooth`].
///
/// Its values are in squared pixel units; unsmoothed, their mean is the image's mean squared error.
///
/// # Shapes
///
/// image, reconstruction: `[C, H, W]`, output: `[H, W]`
///
/// # Errors
///
/// [`Error::Shape`] where the shapes differ or there is no pixel, [`Error::NotFinite`] for a value
/// that is not a number, [`Error::Setting`] for a `sigma` that is negative or not finite.
pub fn error_map(
    image: ArrayView3<f32>,
    reconstruction: ArrayView3<f32>,
    sigma: f64,
) -> Result<Array2<f32>, Error> {
    checks::pair(image, reconstruction)?;
    let (channels, height, width) = image.dim();
    let mut map = Array2::<f64>::zeros((height, width));
    for (x, p) in image.outer_iter().zip(reconstruction.outer_iter()) {
        Zip::from(&mut map).and(x).and(p).for_each(|error, &x, &p| {
            let difference = f64::from(x) - f64::from(p);
            *error += difference * difference;
        });
    }
    gaussian::smooth(checks::single(&(map / channels as f64))?.view(), sigma)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::*;

    #[test]
    fn it_is_the_mean_over_channels_of_the_squared_error() {
        let image = array![[[0.0, 1.0]], [[0.5, 0.5]], [[1.0, 0.0]]];
        let reconstruction = array![[[0.5, 1.0]], [[0.5, 0.25]], [[0.0, 0.25]]];
        let map = error_map(image.view(), reconstruction.view(), 0.0).expect("one shape");
        let expected = array![[(0.25 + 1.0) / 3.0, (0.0625 + 0.0625) / 3.0]];
        assert!((map - expected).iter().all(|e: &f32| e.abs() < 1e-7));
    }

    #[test]
    fn an_error_everywhere_is_a_constant_map_and_a_point_a_blob() {
        let image = Array3::from_elem((3, 19, 19), 0.75);
        let mut reconstruction = Array3::from_elem((3, 19, 19), 0.25);
        let map = error_map(image.view(), reconstruction.view(), SIGMA).expect("one shape");
        assert_eq!(map, Array2::from_elem((19, 19), 0.25));
        reconstruction.assign(&image);
        reconstruction[[1, 9, 9]] = 0.0;
        let map = error_map(image.view(), reconstruction.view(), SIGMA).expect("one shape");
        assert!(map[[9, 9]] > map[[9, 10]] && map[[9, 10]] > 0.0);
        assert!((map.sum() - 0.75_f32.powi(2) / 3.0).abs() < 1e-6, "{}", map.sum());
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let one = Array3::<f32>::zeros((1, 2, 2));
        let refused = |image: &Array3<f32>, other: &Array3<f32>| {
            error_map(image.view(), other.view(), SIGMA).expect_err("it has no map")
        };
        assert!(matches!(refused(&one, &Array3::zeros((3, 2, 2))), Error::Shape { .. }));
        let none = Array3::zeros((1, 0, 2));
        assert!(matches!(refused(&none, &none), Error::Shape { .. }));
        for value in [f32::NAN, f32::INFINITY, f32::MAX] {
            let wrong = Array3::from_elem((1, 2, 2), value);
            assert!(matches!(refused(&one, &wrong), Error::NotFinite { .. }), "{value}");
        }
    }
}
