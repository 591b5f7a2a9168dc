//! The images that figures show: those that the weights have not seen, where there are some.

use std::collections::BTreeMap;

use ndarray::{Array4, Axis};

use crate::data::spread;
use crate::data::{self, Images};
use crate::split::{Part, Split};

/// Held-out images, evenly thinned out where there are many.
#[derive(Debug, Clone)]
pub struct HeldOut {
    /// `[N, C, H, W]`, in the network's range.
    pub images: Array4<f32>,
    /// The class of each image; empty where there are no labels.
    pub labels: Vec<usize>,
    /// What they are, for people: `test images`, `validation images` or `training images`.
    pub part: &'static str,
}

/// The most images that are kept.
const MAX_IMAGES: usize = 5_000;
/// The most values of all of them together.
const MAX_VALUES: usize = 1 << 26;

/// Held-out images that were chosen, and are decoded later where they are read from files.
#[derive(Debug, Clone)]
pub struct Selection {
    chosen: Part,
    part: &'static str,
}

impl Selection {
    /// Some of the test images; without them of the validation images, and without these of the training
    /// images.
    pub fn of(split: &Split) -> Self {
        let Split { train, validation, test } = split;
        let parts = [(test, "test images"), (validation, "validation images")];
        let held_out = parts.into_iter().find(|(part, _)| !part.is_empty());
        let (part, name) = held_out.unwrap_or((train, "training images"));
        let (count, c, h, w) = part.images.dim();
        let most = MAX_IMAGES.min(MAX_VALUES / (c * h * w));
        Self { chosen: part.select(&spread(count, most)), part: name }
    }

    /// Reads them.
    ///
    /// # Errors
    ///
    /// Where one can no longer be read.
    pub fn read(self) -> Result<HeldOut, data::Error> {
        let Part { images, labels } = self.chosen;
        let images = match images {
            Images::Decoded(images) => images,
            images => images.read(&(0..images.len()).collect::<Vec<_>>())?,
        };
        Ok(HeldOut { images, labels, part: self.part })
    }
}

impl HeldOut {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.images.len_of(Axis(0))
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The places of some images: one of each class in turn, as long as there are more, or the
    /// first ones where there are no labels.
    pub(super) fn spread(&self, count: usize) -> Vec<usize> {
        if self.labels.is_empty() {
            return (0..self.len().min(count)).collect();
        }
        let mut seen = BTreeMap::new();
        let mut turns: Vec<_> = self
            .labels
            .iter()
            .enumerate()
            .map(|(place, &label)| {
                let turn = seen.entry(label).or_insert(0_usize);
                *turn += 1;
                (*turn, label, place)
            })
            .collect();
        turns.sort_unstable();
        turns.into_iter().take(count).map(|(.., place)| place).collect()
    }

    /// The images at some places.
    pub(super) fn select(&self, places: &[usize]) -> Array4<f32> {
        self.images.select(Axis(0), places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(count: usize, classes: usize) -> Part {
        let images = Array4::from_shape_fn((count, 1, 1, 1), |(n, ..)| n as f32);
        Part { images: images.into(), labels: (0..count).map(|i| i % classes).collect() }
    }

    #[test]
    fn the_first_part_that_is_not_empty_is_thinned_out_evenly() {
        let split = |validation, test| Split {
            train: part(10, 2),
            validation: part(validation, 2),
            test: part(test, 2),
        };
        let chosen = |split| Selection::of(&split).read().expect("in memory");
        assert_eq!(chosen(split(4, 3)).part, "test images");
        assert_eq!(chosen(split(4, 0)).part, "validation images");
        assert_eq!(chosen(split(0, 0)).part, "training images");
        let many = chosen(split(0, 3 * MAX_IMAGES));
        assert_eq!(many.len(), MAX_IMAGES);
        assert_eq!(many.images[[MAX_IMAGES - 1, 0, 0, 0]], 3.0 * (MAX_IMAGES - 1) as f32);
    }

    #[test]
    fn classes_take_turns() {
        let labels = vec![2, 2, 0, 2, 1, 0];
        let held_out = HeldOut { labels, images: Array4::zeros((6, 1, 1, 1)), part: "" };
        assert_eq!(held_out.spread(5), [2, 4, 0, 5, 1]);
        assert_eq!(held_out.spread(9).len(), 6);
        let unlabelled = HeldOut { labels: vec![], ..held_out };
        assert_eq!(unlabelled.spread(2), [0, 1]);
    }
}
