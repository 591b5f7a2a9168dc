//! The images of a split as a network takes them: in memory, or decoded when they are asked for.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use ndarray::{Array4, Axis};
use rayon::prelude::*;
use vae_infer::ImageSpec;

use super::Error;
use super::pictures::Pictures;

/// Images in a network's range.
#[derive(Debug, Clone)]
pub enum Images {
    /// `[N, C, H, W]`, in memory.
    Decoded(Array4<f32>),
    /// In files, from which each is read and decoded whenever it is asked for.
    Stored(Stored),
}

/// Images of a source that was checked as a whole when it was loaded.
#[derive(Clone)]
pub struct Stored {
    pub(super) pictures: Arc<Pictures>,
    /// Their places among the pictures.
    pub(super) places: Vec<usize>,
    pub(super) spec: ImageSpec,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("images", &self.places.len()).finish_non_exhaustive()
    }
}

impl From<Array4<f32>> for Images {
    fn from(images: Array4<f32>) -> Self {
        Self::Decoded(images)
    }
}

impl Images {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.dim().0
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their number, and the channels, height and width of one.
    pub fn dim(&self) -> (usize, usize, usize, usize) {
        match self {
            Self::Decoded(images) => images.dim(),
            Self::Stored(Stored { places, spec, .. }) => {
                let [channels, height, width] = spec.shape();
                (places.len(), channels, height, width)
            }
        }
    }

    /// The images at some places, in that order; those that are stored stay so.
    #[must_use]
    pub fn select(&self, places: &[usize]) -> Self {
        match self {
            Self::Decoded(images) => Self::Decoded(images.select(Axis(0), places)),
            Self::Stored(stored) => {
                let places = places.iter().map(|&i| stored.places[i]).collect();
                Self::Stored(Stored { places, ..stored.clone() })
            }
        }
    }

    /// The images at some places, in that order, decoded on all cores.
    ///
    /// # Shapes
    ///
    /// output: `[places, C, H, W]`
    ///
    /// # Errors
    ///
    /// Where a file is no longer there, or no longer an image that fits. That it became another such image is
    /// not noticed.
    pub fn read(&self, places: &[usize]) -> Result<Array4<f32>, Error> {
        match self {
            Self::Decoded(images) => Ok(images.select(Axis(0), places)),
            Self::Stored(Stored { pictures, places: stored, spec }) => {
                let chosen: Vec<usize> = places.iter().map(|&i| stored[i]).collect();
                let (images, _) = decode(pictures, &chosen, spec, |_| ())?;
                Ok(images)
            }
        }
    }

    /// All images, decoded.
    ///
    /// # Errors
    ///
    /// As [`Images::read`].
    pub fn all(&self) -> Result<Cow<'_, Array4<f32>>, Error> {
        match self {
            Self::Decoded(images) => Ok(Cow::Borrowed(images)),
            Self::Stored(stored) => {
                let places: Vec<usize> = (0..stored.places.len()).collect();
                self.read(&places).map(Cow::Owned)
            }
        }
    }
}

/// Decodes pictures on all cores, with what is to be known of each.
///
/// # Shapes
///
/// output: `[chosen, C, H, W]`
pub(super) fn decode<T: Send>(
    pictures: &Pictures,
    chosen: &[usize],
    spec: &ImageSpec,
    observe: impl Fn(&vae_infer::images::Picture) -> T + Sync,
) -> Result<(Array4<f32>, Vec<T>), Error> {
    let shape = spec.shape();
    let size: usize = shape.iter().product();
    let too_many = || Error::Memory { images: chosen.len(), shape };
    let total = chosen.len().checked_mul(size).ok_or_else(too_many)?;
    let mut values = Vec::<f32>::new();
    values.try_reserve_exact(total).map_err(|_| too_many())?;
    values.resize(total, 0.0);
    let observed = values
        .par_chunks_mut(size)
        .zip(chosen)
        .map(|(slot, &i)| {
            let picture = pictures.get(i)?;
            for (value, &v) in slot.iter_mut().zip(&spec.tensor(&picture)?) {
                *value = v;
            }
            Ok(observe(&picture))
        })
        .collect::<Result<_, Error>>()?;
    let [channels, height, width] = shape;
    let images = Array4::from_shape_vec((chosen.len(), channels, height, width), values)
        .map_err(|_| too_many())?;
    Ok((images, observed))
}
