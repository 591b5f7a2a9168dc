//! Maps at another resolution.

use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma};
use ndarray::{Array2, ArrayView2};

use super::checks;
use crate::Error;

/// Brings a map of values of at least 0 to another size, with a triangle filter: where it grows,
/// values between pixels are interpolated, where it shrinks, they are averaged.
///
/// A map that has the size already stays as it is.
///
/// # Shapes
///
/// map: `[h, w]`, output: `[height, width]`
///
/// # Errors
///
/// [`Error::NotFinite`] for such a map.
pub fn resized(map: ArrayView2<f32>, height: usize, width: usize) -> Result<Array2<f32>, Error> {
    checks::finite(map)?;
    let peak = map.iter().fold(0.0_f32, |peak, &value| peak.max(value));
    if map.dim() == (height, width) {
        return Ok(map.to_owned());
    }
    if peak == 0.0 {
        return Ok(Array2::zeros((height, width)));
    }
    // The filter keeps floating point between 0 and 1.
    let shares = map.iter().map(|value| value / peak).collect();
    let (h, w) = map.dim();
    let shares = ImageBuffer::<Luma<f32>, Vec<f32>>::from_raw(w as u32, h as u32, shares)
        .expect("a value for every pixel");
    let shares = resize(&shares, width as u32, height as u32, FilterType::Triangle).into_raw();
    let shares = Array2::from_shape_vec((height, width), shares).expect("a value for every pixel");
    Ok(shares * peak)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_constant_stays_and_a_step_becomes_a_slope() {
        let constant = resized(Array2::from_elem((7, 5), 2.5).view(), 16, 16).expect("finite");
        assert_eq!(constant, Array2::from_elem((16, 16), 2.5));
        let grown = resized(array![[0.0, 4.0]].view(), 1, 4).expect("finite");
        assert_eq!(grown, array![[0.0, 1.0, 3.0, 4.0]]);
        let shrunk = resized(array![[0.0, 0.0, 8.0, 8.0]].view(), 1, 2).expect("finite");
        assert!(shrunk[[0, 0]] > 0.0 && shrunk[[0, 0]] < 2.0, "{shrunk}");
        assert_eq!(shrunk[[0, 0]] + shrunk[[0, 1]], 8.0);
    }

    #[test]
    fn what_has_the_size_or_is_nothing_is_exact() {
        let map = array![[0.1, 1e30], [3.0, 0.7]];
        assert_eq!(resized(map.view(), 2, 2).expect("finite"), map);
        let nothing = resized(Array2::zeros((2, 2)).view(), 3, 5).expect("finite");
        assert_eq!(nothing, Array2::<f32>::zeros((3, 5)));
        let refused = resized(array![[f32::NAN]].view(), 2, 2);
        assert!(matches!(refused, Err(Error::NotFinite { .. })));
    }
}
