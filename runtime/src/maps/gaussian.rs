//! Gaussian smoothing that leaves a constant as it is, to the border.

use ndarray::{Array2, ArrayView2, Axis, Slice};

use super::checks;
use crate::Error;

/// Where a window for smoothing ends, in standard deviations: 6e-5 of its weight lies beyond.
const REACH: f64 = 4.0;

/// Smooths a map by a Gaussian with a standard deviation of `sigma` pixels; 0 leaves it as it is.
///
/// At a border the mean is over the part of the window within the map: nothing is made up beyond
/// it, and a constant map keeps its values exactly.
///
/// # Shapes
///
/// map: `[H, W]`, output: `[H, W]`
///
/// # Errors
///
/// [`Error::Setting`] for a `sigma` that is negative or not finite, [`Error::NotFinite`] for such a
/// map.
pub fn smooth(map: ArrayView2<f32>, sigma: f64) -> Result<Array2<f32>, Error> {
    if !(sigma.is_finite() && sigma >= 0.0) {
        let expected = "a number of pixels, 0 or more".into();
        return Err(Error::Setting { what: "the smoothing", got: sigma.to_string(), expected });
    }
    checks::finite(map)?;
    if sigma == 0.0 {
        return Ok(map.to_owned());
    }
    // What lies farther than the map's longer side meets no pixel.
    let (height, width) = map.dim();
    let radius = (REACH * sigma).ceil().min(height.max(width) as f64);
    checks::single(&means(map.mapv(f64::from).view(), &weights(sigma, radius as usize)))
}

/// A Gaussian window of 2 `radius` + 1 weights with the sum 1; `sigma` is above 0.
pub(crate) fn weights(sigma: f64, radius: usize) -> Vec<f64> {
    let weight = |i: usize| {
        let deviations = (i as f64 - radius as f64) / sigma;
        libm::exp(-0.5 * deviations * deviations)
    };
    let total: f64 = (0..=2 * radius).map(weight).sum();
    (0..=2 * radius).map(|i| weight(i) / total).collect()
}

/// The weighted means around every value, in a square window with these weights along either axis;
/// at a border over the part of the window within the plane.
pub(crate) fn means(plane: ArrayView2<f64>, weights: &[f64]) -> Array2<f64> {
    along(along(plane, weights, Axis(1)).view(), weights, Axis(0))
}

fn along(plane: ArrayView2<f64>, weights: &[f64], axis: Axis) -> Array2<f64> {
    let length = plane.len_of(axis) as isize;
    let radius = (weights.len() / 2) as isize;
    let mut sums = Array2::zeros(plane.dim());
    let mut totals = vec![0.0; length as usize];
    for (offset, &weight) in (-radius..=radius).zip(weights) {
        // The places whose neighbour at this offset exists.
        let (first, end) = ((-offset).max(0), (length - offset).min(length));
        if first < end {
            let neighbours = plane.slice_axis(axis, Slice::from(first + offset..end + offset));
            let mut places = sums.slice_axis_mut(axis, Slice::from(first..end));
            places.scaled_add(weight, &neighbours);
            totals[first as usize..end as usize].iter_mut().for_each(|total| *total += weight);
        }
    }
    for (mut line, total) in sums.axis_iter_mut(axis).zip(totals) {
        line /= total;
    }
    sums
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_constant_stays_constant_to_the_border() {
        for sigma in [0.0, 1e-300, 0.3, 1.0, 2.5, 1e300] {
            let map = Array2::from_elem((7, 12), 0.1_f32);
            assert_eq!(smooth(map.view(), sigma).expect("finite"), map, "{sigma}");
        }
    }

    /// `scipy.ndimage.gaussian_filter(map, sigma, mode="constant")` over the same of a map of ones.
    #[test]
    fn it_is_scipys_normalised_convolution() {
        let map = Array2::from_shape_fn((4, 5), |(y, x)| ((3 * y + 5 * x) % 7) as f32);
        let cases = [
            (0.7, [1.700_984_150, 3.139_727_766, 2.129_728_840]),
            (2.0, [2.929_996_603, 3.044_928_309, 2.850_605_162]),
        ];
        for (sigma, expected) in cases {
            let smoothed = smooth(map.view(), sigma).expect("finite");
            for (&at, expected) in [[0, 0], [1, 3], [3, 4]].iter().zip(expected) {
                let close = (f64::from(smoothed[at]) - expected).abs() < 1e-6;
                assert!(close, "{sigma} {at:?}: {}, not {expected}", smoothed[at]);
            }
        }
    }

    #[test]
    fn a_point_in_the_middle_keeps_its_sum_and_its_symmetry() {
        let mut map = Array2::zeros((17, 19));
        map[[8, 9]] = 1.0_f32;
        let smoothed = smooth(map.view(), 1.0).expect("finite");
        assert!((smoothed.sum() - 1.0).abs() < 1e-6);
        assert_eq!(smoothed[[7, 9]], smoothed[[8, 10]]);
        assert!(smoothed[[8, 9]] > smoothed[[7, 9]] && smoothed[[7, 9]] > smoothed[[7, 10]]);
    }

    #[test]
    fn what_is_no_deviation_or_no_map_is_refused() {
        for sigma in [-1.0, f64::NAN, f64::INFINITY] {
            let refused = smooth(array![[1.0]].view(), sigma);
            assert!(matches!(refused, Err(Error::Setting { .. })), "{sigma}");
        }
        let map = array![[1.0, f32::NAN]];
        assert!(matches!(smooth(map.view(), 0.0), Err(Error::NotFinite { .. })));
    }
}
