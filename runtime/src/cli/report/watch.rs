//! The contract over the lines of a report, and how the evidence against it grew.

use std::mem;

use anyhow::Result;
use vae_infer::anomaly::{Conformal, Contract, State};

/// The most points of the curve that are held.
const POINTS: usize = 512;

/// A contract that lines are held against in their order.
pub(super) struct Watch {
    contract: Contract,
    pub(super) rate: f64,
    /// The image that broke it.
    pub(super) breaker: Option<String>,
    /// The most evidence of so many images each, and of those since the last point.
    points: Vec<f64>,
    pub(super) stride: u64,
    most: f64,
}

impl Watch {
    pub(super) fn new(conformal: &Conformal, rate: f64, seed: u64) -> Result<Self> {
        let contract = Contract::new(conformal, rate, seed)?;
        let (points, most) = (vec![], f64::NEG_INFINITY);
        Ok(Self { contract, rate, breaker: None, points, stride: 1, most })
    }

    pub(super) fn observe(&mut self, name: &str, score: f64) {
        if self.breaker.is_some() {
            return;
        }
        let (image, evidence) = match self.contract.observe(score) {
            State::Holding { frames, evidence } => (frames, evidence),
            State::Broken { at, evidence, .. } => {
                self.breaker = Some(name.into());
                (at, evidence)
            }
        };
        self.most = self.most.max(evidence);
        if image.is_multiple_of(self.stride) || self.breaker.is_some() {
            self.points.push(mem::replace(&mut self.most, f64::NEG_INFINITY));
        }
        if self.points.len() == POINTS && self.breaker.is_none() {
            let pairs =
                self.points.chunks(2).map(|pair| pair.iter().copied().fold(pair[0], f64::max));
            self.points = pairs.collect();
            self.stride *= 2;
        }
    }

    /// The largest evidence of every step of images, of which the last may be shorter.
    pub(super) fn curve(&self) -> impl Iterator<Item = f64> {
        self.points.iter().copied().chain(Some(self.most).filter(|most| most.is_finite()))
    }

    pub(super) fn state(&self) -> State {
        self.contract.state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(scores: impl Iterator<Item = f64>) -> Watch {
        let conformal = Conformal::new((1..1000).map(f64::from).collect()).expect("finite scores");
        let mut watch = Watch::new(&conformal, 0.01, 0).expect("a rate");
        (0..).zip(scores).for_each(|(i, score)| watch.observe(&format!("image {i}"), score));
        watch
    }

    #[test]
    fn a_curve_of_many_images_keeps_its_peaks_and_its_size() {
        // The golden ratio's steps through the calibration: as even as can be.
        let scores = |count: u32| (0..count).map(|i| f64::from(i * 617 % 1000));
        let short = watch(scores(POINTS as u32 / 2));
        let long = watch(scores(100_000));
        assert!(long.breaker.is_none());
        assert_eq!([short.stride, long.stride], [1, 256]);
        assert_eq!([short.points.len(), long.points.len()], [256, 100_000 / 256]);
        let most = |points: &[f64]| points.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(long.points[0], most(&short.points[..256]));
    }

    #[test]
    fn the_image_that_breaks_it_is_the_last_point() {
        let broken = watch((0..100).map(|i| if i < 20 { 500.0 } else { 2000.0 }));
        let State::Broken { at, evidence, .. } = broken.state() else { panic!("it holds") };
        assert_eq!(broken.breaker, Some(format!("image {}", at - 1)));
        assert_eq!((broken.points.len() as u64, broken.points.last()), (at, Some(&evidence)));
    }
}
