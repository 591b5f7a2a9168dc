//! From the pictures of a split to its tensor and its hash.

use std::sync::Arc;

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use vae_infer::ImageSpec;

use super::classes::Classes;
use super::digest::{digest, hash};
use super::images::{self, Images, Seen, Stored};
use super::pictures::Split;
use super::{DataConfig, Dataset, Error, within};

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
    let taken = spread(places.len(), config.limit.unwrap_or(usize::MAX));
    let chosen: Vec<usize> = taken.iter().map(|&i| places[i]).collect();
    let labels: Vec<usize> = taken.iter().filter_map(|&i| labels.get(i).copied()).collect();
    let pictures = split.pictures;
    let size = size_of::<f32>() * spec.shape().iter().product::<usize>();
    let (images, hash) = if within(chosen.len().saturating_mul(size), config.memory_mib) {
        let observe = |_, picture: &_| Ok(digest(picture));
        let (images, digests) = images::decode(&pictures, &chosen, spec, observe)?;
        (Images::Decoded(images), hash(digests.iter(), &labels))
    } else {
        pictures.check_within(config.memory_mib)?;
        let see = |&place: &usize| {
            let picture = pictures.get(place)?;
            spec.tensor(&picture)?;
            Ok(Seen { place, digest: digest(&picture) })
        };
        let seen = chosen.par_iter().map(see).collect::<Result<Vec<_>, Error>>()?;
        let hash = hash(seen.iter().map(|seen| &seen.digest), &labels);
        let (pictures, spec) = (Arc::new(pictures), spec.clone());
        let threads = ThreadPoolBuilder::new().num_threads(rayon::current_num_threads());
        let threads = Arc::new(threads.build()?);
        (Images::Stored(Stored { pictures, seen, spec, threads }), hash)
    };
    Ok(Dataset { images, labels, classes: classes.names.clone(), hash })
}

/// The places of at most `most` of `count` images, evenly spread over them: a source may be sorted by class.
pub fn spread(count: usize, most: usize) -> Vec<usize> {
    let taken = count.min(most);
    (0..taken).map(|i| (i as u128 * count as u128 / taken as u128) as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_spreads_over_the_whole_split() {
        assert_eq!(spread(5, 5), [0, 1, 2, 3, 4]);
        assert_eq!(spread(5, usize::MAX), [0, 1, 2, 3, 4]);
        assert_eq!(spread(10, 4), [0, 2, 5, 7]);
        assert!(spread(0, 3).is_empty());
    }
}
