//! Which pictures show the same tile, so that none is on both sides of a split.

use image::imageops::FilterType;
use image::{ImageBuffer, Luma};
use ndarray::{Array1, Array2, ArrayView3};

use super::archive::{FREE, Picture};
use crate::draws;

/// The pictures of one tile were taken one after the other, under one condition after the other:
/// their numbers follow at less than this. Between tiles there mostly are more.
const SAME_TILE: u32 = 300;
/// Some tiles were taken again later: from this correlation of thumbnails on it is the same tile.
const ALIKE: f32 = 0.8;
/// The side of a thumbnail in pixels.
const THUMBNAIL: u32 = 64;
/// Of the tiles without a defect, the share that is trained on.
const TRAINED: f64 = 0.6;

/// Pictures by their place in the split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sides {
    /// Without a defect, to train on.
    pub(super) train: Vec<usize>,
    /// All of other tiles.
    pub(super) test: Vec<usize>,
}

/// The number of every picture's group: tiles that were taken one right after the other, or again
/// later, are in one.
pub(super) fn groups(pictures: &[Picture]) -> Vec<usize> {
    let numbers: Vec<u32> = pictures.iter().map(|picture| picture.number).collect();
    let thumbnails: Vec<_> = pictures.iter().map(|p| thumbnail(p.image.view())).collect();
    let width = thumbnails.first().map_or(0, Array1::len);
    let thumbnails =
        Array2::from_shape_fn((thumbnails.len(), width), |(row, place)| thumbnails[row][place]);
    let alike = thumbnails.dot(&thumbnails.t());
    linked(&numbers, |a, b| alike[[a, b]] >= ALIKE)
}

/// The groups of pictures with ascending numbers, some of which are alike.
fn linked(numbers: &[u32], alike: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut groups: Vec<usize> = (0..numbers.len()).collect();
    let mut join = |a: usize, b: usize| {
        let (kept, gone) = (groups[a].min(groups[b]), groups[a].max(groups[b]));
        groups.iter_mut().filter(|group| **group == gone).for_each(|group| *group = kept);
    };
    for later in 1..numbers.len() {
        if numbers[later] - numbers[later - 1] < SAME_TILE {
            join(later - 1, later);
        }
        (0..later)
            .filter(|&earlier| alike(earlier, later))
            .for_each(|earlier| join(earlier, later));
    }
    groups
}

/// Splits pictures by their groups: groups with a defect are tested on, and so is a part of the others,
/// chosen by the seed.
pub(super) fn split(kinds: &[&str], groups: &[usize], seed: u64) -> Sides {
    let places = 0..kinds.len();
    let defective = |group: usize| places.clone().any(|i| groups[i] == group && kinds[i] != FREE);
    let mut free: Vec<usize> = groups.to_vec();
    free.sort_unstable();
    free.dedup();
    free.retain(|&group| !defective(group));
    let count = (TRAINED * free.len() as f64).round() as usize;
    let trained: Vec<usize> =
        draws::permutation(seed, free.len()).into_iter().take(count).map(|i| free[i]).collect();
    let (train, test) = places.partition(|&place| trained.contains(&groups[place]));
    Sides { train, test }
}

/// The edges of a picture made small, with a length of 1.
fn thumbnail(image: ArrayView3<f32>) -> Array1<f32> {
    let (_, height, width) = image.dim();
    let values = image.iter().copied().collect();
    let image: ImageBuffer<Luma<f32>, Vec<f32>> =
        ImageBuffer::from_raw(width as u32, height as u32, values).expect("a value for a pixel");
    let small = image::imageops::resize(&image, THUMBNAIL, THUMBNAIL, FilterType::Triangle);
    let at = |y: u32, x: u32| small.get_pixel(x, y).0[0];
    let inner = (1..THUMBNAIL).flat_map(|y| (1..THUMBNAIL).map(move |x| (y, x)));
    let edges: Array1<f32> =
        inner.map(|(y, x)| 2.0 * at(y, x) - at(y - 1, x) - at(y, x - 1)).collect();
    let centred = &edges - edges.mean().unwrap_or_default();
    let length = centred.dot(&centred).sqrt();
    if length > 0.0 { centred / length } else { centred }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_follow_and_pictures_alike_are_one_group() {
        let numbers = [10, 30, 329, 900, 920, 5000, 9000];
        let groups = linked(&numbers, |a, b| (a, b) == (1, 5));
        assert_eq!(groups, [0, 0, 0, 3, 3, 0, 6]);
        assert!(linked(&[], |_, _| true).is_empty());
    }

    #[test]
    fn no_group_is_on_both_sides_and_none_with_a_defect_is_trained_on() {
        let groups: Vec<usize> = (0..60).map(|i| i / 3).collect();
        let kinds: Vec<&str> =
            (0..60).map(|i| if i < 21 && i % 3 == 0 { "crack" } else { FREE }).collect();
        for seed in 0..3 {
            let Sides { train, test } = split(&kinds, &groups, seed);
            assert_eq!(train.len() + test.len(), 60);
            assert_eq!(train.len(), 3 * 8, "0.6 of 13 groups");
            let of = |places: &[usize]| places.iter().map(|&i| groups[i]).collect::<Vec<_>>();
            assert!(of(&train).iter().all(|group| *group >= 7 && !of(&test).contains(group)));
        }
        assert_ne!(split(&kinds, &groups, 0), split(&kinds, &groups, 1));
        assert_eq!(split(&kinds, &groups, 1), split(&kinds, &groups, 1));
    }

    #[test]
    fn thumbnails_see_shapes_and_not_brightness() {
        let picture = |light: f32, shift: f32| {
            let shade = |y: f32, x: f32| 0.5 + 0.4 * ((x + shift) / 5.0).sin() * (y / 7.0).cos();
            let image = ndarray::Array3::from_shape_fn((1, 90, 120), |(_, y, x)| {
                light * shade(y as f32, x as f32)
            });
            thumbnail(image.view())
        };
        let tile = picture(1.0, 0.0);
        assert!(tile.dot(&picture(0.5, 0.0)) > 0.99);
        assert!(tile.dot(&picture(1.0, 9.0)) < ALIKE);
    }
}
