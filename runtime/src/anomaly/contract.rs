//! The contract of the false-alarm rate: is a stream still like the calibration images?
//!
//! The promise of [`Conformal::threshold`] holds for images that are exchangeable with those of the
//! calibration. A [`Contract`] tests this at every frame of a stream, for as long as it runs. It is
//! a conformal test martingale (Vovk, Testing randomness online, arXiv:1906.09256): a capital that
//! bets against exchangeability, and under it stays the same on average. By Ville's inequality
//! (Étude critique de la notion de collectif, 1939) the chance that it ever reaches 1 / ε times
//! its beginning is ε at most.
//!
//! Exchangeable frames have no memory: those of a video resemble their predecessors, and have to be
//! thinned first. Abnormal images are a drift like any other, once they are many.

mod bets;
mod urn;

use std::fmt;

use serde::Serialize;

use super::Conformal;
use super::conformal::between_0_and_1;
use crate::Error;
use bets::Bets;
use urn::Urn;

/// How soon capital is put to use: half of it within three times so many frames.
const SOON: f64 = 100.0;

/// A running test of whether a stream of scores is exchangeable with the calibration scores.
///
/// Its error rate holds, without approximation, for every number of calibration images, every
/// distribution of scores, ties included, and every length of the stream, on average over
/// calibration sets. Its size is constant.
///
/// The law of scores is learned from the stream too, so that a drift from the first frame on has to
/// show before the frames outnumber the calibration images: 1000 images show a shift by a quarter of
/// a standard deviation in 95 of 100 streams, 200 images in 34.
#[derive(Debug, Clone)]
pub struct Contract {
    error_rate: f64,
    urn: Urn,
    bets: Bets,
    state: State,
}

/// Whether the contract holds.
///
/// `evidence` is the logarithm to base 10 of the capital over its beginning: at 2, a stream without
/// drift gets there once in a hundred times at most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "contract", rename_all = "lowercase")]
pub enum State {
    /// Nothing speaks against it, or not enough.
    Holding {
        /// Number of scores that were observed.
        frames: u64,
        /// The evidence against it now.
        evidence: f64,
    },
    /// The stream has drifted: the rate of false alarms is no longer the one that was asked. This
    /// is final, and takes a new calibration.
    Broken {
        /// The frame that broke it, counted from 1.
        at: u64,
        /// The evidence at that frame.
        evidence: f64,
        /// The drift that describes the stream best.
        drift: Drift,
        /// The mean p-value of recent frames: 1/2 at calibration, less where scores are higher.
        p_value: f64,
    },
}

/// How the scores of a stream differ from what they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Drift {
    /// They are higher: there are more false alarms than were asked.
    Higher,
    /// They are lower: there are fewer false alarms, and the calibration is of other images.
    Lower,
    /// More of them are extreme, high or low.
    Wider,
    /// Fewer of them are extreme.
    Narrower,
    /// None of these describes it.
    Other,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
            Self::Wider => "more extreme",
            Self::Narrower => "less extreme",
            Self::Other => "other",
        })
    }
}

impl Contract {
    /// Begins to watch a stream, with the chance `error_rate` at most that it ever breaks without
    /// a drift. The seed is the one of the random draws that break ties.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for an error rate that is not between 0 and 1.
    pub fn new(conformal: &Conformal, error_rate: f64, seed: u64) -> Result<Self, Error> {
        let error_rate = between_0_and_1("an error rate", error_rate)?;
        let urn = Urn::new(conformal, seed);
        let bets = Bets::new(&urn.chances());
        Ok(Self { error_rate, urn, bets, state: State::Holding { frames: 0, evidence: 0.0 } })
    }

    /// Takes the score of the next frame; NaN is the most abnormal. A broken contract stays as it
    /// is.
    pub fn observe(&mut self, score: f64) -> State {
        let State::Holding { frames, .. } = self.state else { return self.state };
        let bin = self.urn.bin(score);
        let (before, after) = (waiting(frames), waiting(frames + 1));
        self.bets.settle(before - after, &self.urn.chances(), bin);
        self.urn.add(bin);
        let capital = self.bets.capital() + after;
        let (frames, evidence) = (frames + 1, capital.log10());
        self.state = if capital * self.error_rate >= 1.0 {
            State::Broken {
                at: frames,
                evidence,
                drift: self.bets.drift(),
                p_value: self.bets.p_value(),
            }
        } else {
            State::Holding { frames, evidence }
        };
        self.state
    }

    /// The state after the last frame.
    pub fn state(&self) -> State {
        self.state
    }
}

/// The share of the first capital that bets after so many frames have yet to start with.
///
/// What has started wanes in a stream without drift, what waits does not. The shares that start are
/// positive and sum to 1, and fall so slowly, as t^(-3/2), that a drift after 1,000,000 frames takes
/// two and a half times as long to show as one at the first.
fn waiting(frames: u64) -> f64 {
    (SOON / (SOON + frames as f64)).sqrt()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// What becomes of a standard normal draw.
    type Scores = fn(f64) -> f64;
    /// The frames that a drift takes to show, in the median and in 95 % of streams.
    type Delays = [u64; 2];

    /// A standard normal draw, by Box and Muller's transform.
    fn normal(generator: &mut ChaCha8Rng) -> f64 {
        let radius = (-2.0 * (1.0 - generator.random::<f64>()).ln()).sqrt();
        radius * (std::f64::consts::TAU * generator.random::<f64>()).cos()
    }

    /// A contract on so many calibration images, and the generator for its stream.
    fn contract(seed: u64, images: usize, score: Scores) -> (Contract, ChaCha8Rng) {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let scores = (0..images).map(|_| score(normal(&mut generator))).collect();
        let conformal = Conformal::new(scores).expect("finite scores");
        (Contract::new(&conformal, 0.05, seed).expect("a rate"), generator)
    }

    /// The frame that breaks the contract, of so many.
    fn broken(
        (mut contract, mut generator): (Contract, ChaCha8Rng),
        frames: usize,
        score: Scores,
    ) -> Option<u64> {
        for _ in 0..frames {
            if let State::Broken { at, .. } = contract.observe(score(normal(&mut generator))) {
                return Some(at);
            }
        }
        None
    }

    /// The mean capital over everything that can come, under the urn's law.
    fn mean_capital(contract: &Contract, frames: usize) -> f64 {
        let State::Holding { evidence, .. } = contract.state() else { panic!("it is broken") };
        if frames == 0 {
            return 10.0_f64.powf(evidence);
        }
        let chances = contract.urn.chances();
        // Calibration scores 1 to 3 make four bins.
        let branches = [0.5, 1.5, 2.5, 3.5].map(|score| {
            let mut contract = contract.clone();
            let chance = chances[contract.urn.bin(score)];
            contract.observe(score);
            chance * mean_capital(&contract, frames - 1)
        });
        branches.iter().sum()
    }

    #[test]
    fn the_capital_is_a_martingale() {
        let conformal = Conformal::new(vec![1.0, 2.0, 3.0]).expect("finite scores");
        let contract = Contract::new(&conformal, 1e-9, 1).expect("a rate");
        for frames in 1..6 {
            let mean = mean_capital(&contract, frames);
            assert!((mean - 1.0).abs() < 1e-12, "{frames} frames: {mean}");
        }
    }

    #[test]
    fn streams_without_drift_break_it_as_rarely_as_was_promised() {
        let cases: [(&str, usize, Scores); 4] = [
            ("a thousand images", 1000, |score| score),
            ("few images", 30, |score| score),
            ("ties", 1000, |score| (score * 10.0).round() / 10.0),
            ("seven scores", 1000, |score| score.round().clamp(-3.0, 3.0)),
        ];
        for (case, images, score) in cases {
            let breaks = |seed| broken(contract(seed, images, score), 5000, score).is_some();
            let count = (0..120).filter(|&seed| breaks(seed)).count();
            // Of 120 streams 6 may; 15 or more do by chance once in 1000 times.
            assert!(count < 15, "{case}: {count}");
        }
    }

    #[test]
    fn a_drift_breaks_it_within_frames() {
        // As measured over 400 streams, from the first frame and after 10,000 without drift.
        let cases: [(&str, Scores, [Delays; 2]); 7] = [
            ("0.5 higher", |score| score + 0.5, [[73, 136], [115, 201]]),
            ("1 higher", |score| score + 1.0, [[20, 40], [32, 53]]),
            ("2 higher", |score| score + 2.0, [[6, 11], [9, 15]]),
            ("1 lower", |score| score - 1.0, [[21, 37], [34, 54]]),
            ("wider", |score| score * 1.5, [[46, 107], [77, 146]]),
            ("narrower", |score| score / 1.5, [[72, 117], [119, 179]]),
            ("frozen", |_| 0.3, [[16, 19], [29, 35]]),
        ];
        for (start, after) in [0, 10_000].into_iter().enumerate() {
            let streams = (0..60).filter_map(|seed| {
                let (mut contract, mut generator) = contract(seed, 1000, |score| score);
                for _ in 0..after {
                    contract.observe(normal(&mut generator));
                }
                let holds = matches!(contract.state(), State::Holding { .. });
                holds.then_some((contract, generator))
            });
            let streams: Vec<_> = streams.take(40).collect();
            assert_eq!(streams.len(), 40, "most of 60 hold");
            for (case, score, measured) in cases {
                let breaks = |stream: &(Contract, ChaCha8Rng)| broken(stream.clone(), 500, score);
                let delays: Vec<u64> = streams
                    .iter()
                    .map(|stream| breaks(stream).map_or(u64::MAX, |at| at - after))
                    .collect();
                // Half of 40 streams take longer than the median, and two longer than 95 %; 31 and 8
                // do by chance less than once in 1000 times.
                let longer = measured[start]
                    .map(|frames| delays.iter().filter(|&&delay| delay > frames).count());
                let within = longer[0] < 31 && longer[1] < 8;
                assert!(within, "{case} after {after}: {longer:?} of {delays:?}");
            }
        }
    }

    #[test]
    fn a_broken_contract_stays_broken() {
        let (mut contract, mut generator) = contract(1, 1000, |score| score);
        let at = broken((contract.clone(), generator.clone()), 100, |score| score + 2.0);
        for _ in 0..100 {
            contract.observe(normal(&mut generator) + 2.0);
        }
        let State::Broken { at: frame, evidence, drift, p_value } = contract.state() else {
            panic!("{:?}", contract.state())
        };
        assert_eq!((Some(frame), drift), (at, Drift::Higher));
        assert!(evidence >= 20.0_f64.log10() && p_value < 0.3, "{:?}", contract.state());
        let before = contract.state();
        (0..5000).for_each(|_| assert_eq!(contract.observe(normal(&mut generator)), before));
    }

    #[test]
    fn a_contract_owns_no_memory_that_could_grow() {
        assert!(!std::mem::needs_drop::<Contract>());
        assert!(size_of::<Contract>() < 4096);
    }

    #[test]
    fn an_error_rate_lies_between_0_and_1() {
        let conformal = Conformal::new(vec![1.0]).expect("finite scores");
        for rate in [0.0, 1.0, f64::NAN] {
            assert!(Contract::new(&conformal, rate, 1).is_err(), "{rate}");
        }
    }
}
