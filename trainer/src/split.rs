//! Which images train, and which are held out.

use ndarray::{Array4, Axis};

use crate::config::RunConfig;
use crate::data::Loaded;
use crate::draws::{self, Purpose};

/// Images by their part in a run, `[N, C, H, W]` each; `N` may be 0 for the last two.
pub struct Split {
    /// To train on.
    pub train: Array4<f32>,
    /// To choose the best epoch by.
    pub validation: Array4<f32>,
    /// To report figures on.
    pub test: Array4<f32>,
}

/// Holds images out for validation, chosen by the seed: as many as the configuration says, and at
/// most a fifth.
pub fn split(loaded: Loaded, config: &RunConfig) -> Split {
    let Loaded { train, test, .. } = loaded;
    let count = train.images.len_of(Axis(0));
    let held_out = config.train.validation.min(count / 5);
    let place = draws::seed(config.seed, Purpose::Validation, 0);
    let order = draws::permutation(place, count);
    let mut chosen = [order[held_out..].to_vec(), order[..held_out].to_vec()];
    chosen.iter_mut().for_each(|indices| indices.sort_unstable());
    let [train, validation] = chosen.map(|indices| train.images.select(Axis(0), &indices));
    let none = || {
        let [c, h, w] = config.image.shape();
        Array4::zeros((0, c, h, w))
    };
    Split { train, validation, test: test.map_or_else(none, |test| test.images) }
}
