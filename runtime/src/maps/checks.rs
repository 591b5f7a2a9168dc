//! What holds for every image, reconstruction and map before anything is computed from them.

use ndarray::{Array2, ArrayView2, ArrayView3};

use crate::Error;

/// An image and its reconstruction have one shape, and at least one value.
///
/// # Errors
///
/// [`Error::Shape`].
pub(crate) fn pair(image: ArrayView3<f32>, reconstruction: ArrayView3<f32>) -> Result<(), Error> {
    let wrong = |what, array: ArrayView3<f32>, expected| {
        Err(Error::Shape { what, got: array.shape().to_vec(), expected })
    };
    if image.is_empty() {
        return wrong("the image", image, "at least one pixel".into());
    }
    if image.dim() != reconstruction.dim() {
        return wrong("the reconstruction", reconstruction, format!("{:?}", image.shape()));
    }
    Ok(())
}

/// A map of finite values.
///
/// # Errors
///
/// [`Error::NotFinite`].
pub(crate) fn finite(map: ArrayView2<f32>) -> Result<(), Error> {
    if map.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(Error::NotFinite { what: "a map".into() })
}

/// The map in single precision.
///
/// # Errors
///
/// [`Error::NotFinite`].
pub(crate) fn single(map: &Array2<f64>) -> Result<Array2<f32>, Error> {
    let map = map.mapv(|value| value as f32);
    finite(map.view()).map(|()| map)
}

/// A score that is a number.
///
/// # Errors
///
/// [`Error::NotFinite`].
pub(crate) fn score(score: f64) -> Result<f64, Error> {
    if score.is_finite() { Ok(score) } else { Err(Error::NotFinite { what: "a score".into() }) }
}
