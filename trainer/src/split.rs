//! Which images train, and which are held out.

use ndarray::Array4;

use crate::config::RunConfig;
use crate::data::{Dataset, Images, Loaded};
use crate::draws::{self, Purpose};

/// Images by their part in a run; there may be none of the last two.
pub struct Split {
    /// To train on.
    pub train: Part,
    /// To choose the best epoch by.
    pub validation: Part,
    /// To report figures on.
    pub test: Part,
}

/// The images of one part.
#[derive(Debug, Clone)]
pub struct Part {
    /// `[N, C, H, W]`, in the network's range.
    pub images: Images,
    /// The class of each image; empty where there are no labels.
    pub labels: Vec<usize>,
}

impl Part {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The images at some places, in that order.
    pub fn select(&self, places: &[usize]) -> Self {
        Self { images: self.images.select(places), labels: self.labels_at(places) }
    }

    /// Those images at some places in ascending order, without a copy of all of them.
    fn keep(self, places: &[usize]) -> Self {
        let labels = self.labels_at(places);
        Self { images: self.images.keep(places), labels }
    }

    fn labels_at(&self, places: &[usize]) -> Vec<usize> {
        match self.labels.is_empty() {
            true => vec![],
            false => places.iter().map(|&i| self.labels[i]).collect(),
        }
    }
}

impl From<Dataset> for Part {
    fn from(Dataset { images, labels, .. }: Dataset) -> Self {
        Self { images, labels }
    }
}

/// Holds images out for validation, chosen by the seed: as many as the configuration says, and at
/// most a fifth.
pub fn split(loaded: Loaded, config: &RunConfig) -> Split {
    let Loaded { train, test, .. } = loaded;
    let train = Part::from(train);
    let count = train.len();
    let held_out = config.train.validation.min(count / 5);
    let place = draws::seed(config.seed, Purpose::Validation, 0);
    let order = draws::permutation(place, count);
    let mut chosen = [order[held_out..].to_vec(), order[..held_out].to_vec()];
    chosen.iter_mut().for_each(|indices| indices.sort_unstable());
    let [rest, chosen] = chosen;
    let validation = train.select(&chosen);
    let train = train.keep(&rest);
    let none = || {
        let [c, h, w] = config.image.shape();
        Part { images: Array4::zeros((0, c, h, w)).into(), labels: vec![] }
    };
    Split { train, validation, test: test.map_or_else(none, Part::from) }
}

#[cfg(test)]
mod tests {
    use ndarray::Axis;

    use super::*;

    #[test]
    fn what_is_kept_is_what_is_selected() {
        let images = Array4::from_shape_fn((7, 2, 1, 3), |(n, c, _, w)| (n * 6 + c * 3 + w) as f32);
        let turned = images.clone().reversed_axes().as_standard_layout().reversed_axes().to_owned();
        let mut sliced = images.clone();
        sliced.slice_axis_inplace(Axis(0), (1..).into());
        for images in [images, turned, sliced] {
            let labels = (0..images.len_of(Axis(0))).collect();
            let part = Part { images: images.into(), labels };
            for places in [&[0, 2, 3, 5][..], &[4], &[]] {
                let [kept, selected] = [part.clone().keep(places), part.select(places)];
                let read = |part: &Part| {
                    let all: Vec<usize> = (0..part.len()).collect();
                    (part.images.read(&all).expect("in memory"), part.labels.clone())
                };
                assert_eq!(read(&kept), read(&selected));
            }
        }
    }
}
