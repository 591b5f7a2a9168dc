//! The images of a split as a network takes them: in memory, or decoded when they are asked for.

use std::fmt;
use std::sync::Arc;

use ndarray::{Array4, Axis};
use rayon::ThreadPool;
use rayon::prelude::*;
use vae_infer::ImageSpec;
use vae_infer::images::Picture;

use super::Error;
use super::digest::{Digest, digest};
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
    pub(super) seen: Vec<Seen>,
    pub(super) spec: ImageSpec,
    /// Threads that decode, apart from those that train: these would take up an image in the middle of a step, and
    /// wait for it at its end.
    pub(super) threads: Arc<ThreadPool>,
}

/// A picture's place in its source, and what it was when the source was loaded.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) place: usize,
    pub(super) digest: Digest,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("images", &self.seen.len()).finish_non_exhaustive()
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
            Self::Stored(Stored { seen, spec, .. }) => {
                let [channels, height, width] = spec.shape();
                (seen.len(), channels, height, width)
            }
        }
    }

    /// The images at some places, in that order; those that are stored stay so.
    #[must_use]
    pub fn select(&self, places: &[usize]) -> Self {
        match self {
            Self::Decoded(images) => Self::Decoded(images.select(Axis(0), places)),
            Self::Stored(stored) => {
                let seen = places.iter().map(|&i| stored.seen[i]).collect();
                let (pictures, threads) =
                    (Arc::clone(&stored.pictures), Arc::clone(&stored.threads));
                Self::Stored(Stored { pictures, seen, spec: stored.spec.clone(), threads })
            }
        }
    }

    /// The images at some places in ascending order, in the memory that all of them have had.
    #[must_use]
    pub fn keep(self, places: &[usize]) -> Self {
        match self {
            Self::Decoded(images) if images.is_standard_layout() => {
                let (_, channels, height, width) = images.dim();
                let size = channels * height * width;
                let (mut values, first) = images.into_raw_vec_and_offset();
                for (to, from) in places.iter().enumerate() {
                    let from = first.unwrap_or(0) + from * size;
                    values.copy_within(from..from + size, to * size);
                }
                values.truncate(places.len() * size);
                let shape = (places.len(), channels, height, width);
                Self::Decoded(Array4::from_shape_vec(shape, values).expect("they are whole"))
            }
            images => images.select(places),
        }
    }

    /// The images at some places, in that order; those that are stored are decoded on threads of their own.
    ///
    /// # Shapes
    ///
    /// output: `[places, C, H, W]`
    ///
    /// # Errors
    ///
    /// Where a file is no longer there, or no longer the image that it was when it was loaded.
    pub fn read(&self, places: &[usize]) -> Result<Array4<f32>, Error> {
        match self {
            Self::Decoded(images) => Ok(images.select(Axis(0), places)),
            Self::Stored(Stored { pictures, seen, spec, threads }) => {
                let seen: Vec<Seen> = places.iter().map(|&i| seen[i]).collect();
                let chosen: Vec<usize> = seen.iter().map(|seen| seen.place).collect();
                let unchanged = |i: usize, picture: &Picture| match pictures.may_change() {
                    true if digest(picture) != seen[i].digest => {
                        Err(Error::Changed { name: picture.name.clone() })
                    }
                    _ => Ok(()),
                };
                let (images, _) = threads.install(|| decode(pictures, &chosen, spec, unchanged))?;
                Ok(images)
            }
        }
    }

    /// The images in their order, `size` at a time, each time read as by [`Images::read`].
    pub fn chunks(&self, size: usize) -> impl Iterator<Item = Result<Array4<f32>, Error>> {
        let starts = (0..self.len()).step_by(size);
        starts.map(move |start| {
            let places: Vec<usize> = (start..self.len().min(start + size)).collect();
            self.read(&places)
        })
    }
}

/// Decodes pictures on the threads of the pool that it is called in, with what is to be known of each by its place
/// among them.
///
/// # Shapes
///
/// output: `[chosen, C, H, W]`
pub(super) fn decode<T: Send>(
    pictures: &Pictures,
    chosen: &[usize],
    spec: &ImageSpec,
    observe: impl Fn(usize, &Picture) -> Result<T, Error> + Sync,
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
        .enumerate()
        .map(|(i, (slot, &place))| {
            let picture = pictures.get(place)?;
            for (value, &v) in slot.iter_mut().zip(&spec.tensor(&picture)?) {
                *value = v;
            }
            observe(i, &picture)
        })
        .collect::<Result<_, Error>>()?;
    let [channels, height, width] = shape;
    let images = Array4::from_shape_vec((chosen.len(), channels, height, width), values)
        .map_err(|_| too_many())?;
    Ok((images, observed))
}
