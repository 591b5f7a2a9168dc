//! From the pictures of a split to its tensor and its hash.

use std::sync::Arc;

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use vae_infer::ImageSpec;
use vae_infer::images::{Picture, Pixels};

use super::classes::Classes;
use super::images::{self, Images, Stored};
use super::pictures::Split;
use super::{DataConfig, Dataset, Error};

/// Decodes, preprocesses and hashes the images of a split that are taken, on all cores. Where they would
/// take more than the configuration holds in memory, each is dropped once it was seen.
///
/// # Shapes
///
/// images: `[N, C, H, W]` with `N` at most the limit
pub(super) fn dataset(
    split: Split,
    classes: &Classes,
    spec: &ImageSpec,
    config: &DataConfig,
) -> Result<Dataset, Error> {
    let (places, labels) = classes.of(&split)?;
    let taken = spread(places.len(), config.limit);
    let chosen: Vec<usize> = taken.iter().map(|&i| places[i]).collect();
    let labels: Vec<usize> = taken.iter().filter_map(|&i| labels.get(i).copied()).collect();
    let pictures = split.pictures;
    let size = size_of::<f32>() * spec.shape().iter().product::<usize>();
    let fits = chosen.len().saturating_mul(size) >> 20 < config.memory_mib;
    let (images, digests) = if fits {
        let (images, digests) = images::decode(&pictures, &chosen, spec, digest)?;
        (Images::Decoded(images), digests)
    } else {
        pictures.check_within(config.memory_mib)?;
        let seen = chosen.par_iter().map(|&i| {
            let picture = pictures.get(i)?;
            spec.tensor(&picture)?;
            Ok(digest(&picture))
        });
        let digests = seen.collect::<Result<_, Error>>()?;
        let pictures = Arc::new(pictures);
        (Images::Stored(Stored { pictures, places: chosen, spec: spec.clone() }), digests)
    };
    let hash = hash(&digests, &labels);
    Ok(Dataset { images, labels, classes: classes.names.clone(), hash })
}

/// The indices of at most `limit` of `count` images, evenly spread: a source may be sorted by class.
fn spread(count: usize, limit: Option<usize>) -> Vec<usize> {
    let taken = limit.unwrap_or(count).min(count);
    (0..taken).map(|i| (i as u128 * count as u128 / taken as u128) as usize).collect()
}

/// SHA-256 of a picture's kind, size and values, whatever this machine's byte order.
fn digest(picture: &Picture) -> [u8; 32] {
    let mut hasher = Sha256::new();
    match &picture.pixels {
        Pixels::Integer(image) => {
            let color = image.color();
            let depth = color.bytes_per_pixel() / color.channel_count();
            hasher.update([b'u', depth, color.channel_count()]);
            hasher
                .update([image.height().to_le_bytes(), image.width().to_le_bytes()].as_flattened());
            let bytes = image.as_bytes();
            if depth == 1 || cfg!(target_endian = "little") {
                hasher.update(bytes);
            } else {
                bytes.chunks(depth.into()).for_each(|value| {
                    value.iter().rev().for_each(|&byte| hasher.update([byte]));
                });
            }
        }
        Pixels::Float(values) => {
            let (height, width, channels) = values.dim();
            hasher.update([b'f', 4, channels as u8]);
            hasher.update(
                [(height as u32).to_le_bytes(), (width as u32).to_le_bytes()].as_flattened(),
            );
            values.iter().for_each(|v| hasher.update(v.to_le_bytes()));
        }
    }
    hasher.finalize().into()
}

/// SHA-256 of the number of pictures, their digests, and their labels.
fn hash(digests: &[[u8; 32]], labels: &[usize]) -> String {
    let mut content = (digests.len() as u64).to_le_bytes().to_vec();
    content.extend_from_slice(digests.as_flattened());
    content.extend(labels.iter().flat_map(|&label| (label as u64).to_le_bytes()));
    vae_infer::sha256(&content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_spreads_over_the_whole_split() {
        assert_eq!(spread(5, None), [0, 1, 2, 3, 4]);
        assert_eq!(spread(5, Some(9)), [0, 1, 2, 3, 4]);
        assert_eq!(spread(10, Some(4)), [0, 2, 5, 7]);
        assert!(spread(0, Some(3)).is_empty());
    }
}
