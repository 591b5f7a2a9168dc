//! Split-conformal calibration: how unusual a score is among the scores of normal images.
//!
//! The rank of a normal image's score among n calibration scores is uniform, whatever their law, as
//! long as the n + 1 images are exchangeable. A threshold at a rank therefore keeps the rate of false
//! alarms that was asked, with no assumption on the model: Vovk, Gammerman and Shafer (Algorithmic
//! Learning in a Random World, 2005), Angelopoulos and Bates (arXiv:2107.07511), and for outliers
//! Bates, Candès, Lei, Romano and Sesia (arXiv:2104.08279).

use serde::Serialize;
use statrs::distribution::{Beta, ContinuousCDF};

use crate::Error;

/// The scores of n normal images that the model was not trained on.
///
/// All of them are finite: an image whose score overflows says that the model or the image is
/// broken, and to leave it out would break the promise.
#[derive(Debug, Clone, PartialEq)]
pub struct Conformal {
    /// Ascending, at least one.
    scores: Vec<f64>,
}

/// The rate of false alarms that one calibration set brings about at its threshold.
///
/// It is asked on average over calibration sets; each of them has a rate of its own, which follows
/// Beta(l, n + 1 - l) for scores without ties, and lies lower with ties (arXiv:2107.07511, section
/// 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Achieved {
    /// The mean rate l / (n + 1), at most the rate asked.
    pub mean: f64,
    /// The ends of the central interval of the confidence asked.
    pub interval: [f64; 2],
}

impl Conformal {
    /// Calibrates on the scores of normal images, in any order.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] for a score that is NaN or infinite, [`Error::TooFewImages`] for no score.
    pub fn new(mut scores: Vec<f64>) -> Result<Self, Error> {
        if let Some(index) = scores.iter().position(|score| !score.is_finite()) {
            return Err(Error::NotFinite { what: format!("the calibration, at score {index},") });
        }
        if scores.is_empty() {
            return Err(Error::TooFewImages { images: 0, needed: 1 });
        }
        scores.sort_by(f64::total_cmp);
        Ok(Self { scores })
    }

    /// The calibration scores, ascending.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// p = (1 + the number of calibration scores ≥ `score`) / (n + 1): normal images have p ≤ α at
    /// a rate of α at most (arXiv:2104.08279).
    ///
    /// A score that is NaN has the least p-value, 1 / (n + 1).
    pub fn p_value(&self, score: f64) -> f64 {
        let below = self.scores.partition_point(|&calibration| calibration < score);
        let at_least = if score.is_nan() { 0 } else { self.scores.len() - below };
        (1 + at_least) as f64 / self.places()
    }

    /// The calibration score above which p ≤ `rate`: the l-th largest, l = ⌊(n + 1) `rate`⌋.
    ///
    /// `score > threshold` is the verdict of the p-value, ties included, for all scores but NaN,
    /// which is abnormal.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a rate that is not between 0 and 1, [`Error::TooFewImages`] where no
    /// p-value is as small as it.
    pub fn threshold(&self, rate: f64) -> Result<f64, Error> {
        Ok(self.scores[self.scores.len() - self.rank(rate)?])
    }

    /// What the threshold for `rate` achieves, with a central interval of `confidence`.
    ///
    /// # Errors
    ///
    /// Those of [`Conformal::threshold`], and [`Error::Setting`] for the confidence.
    pub fn achieved(&self, rate: f64, confidence: f64) -> Result<Achieved, Error> {
        let tail = (1.0 - between_0_and_1("a confidence", confidence)?) / 2.0;
        let rank = self.rank(rate)? as f64;
        let law = Beta::new(rank, self.places() - rank).expect("the rank is from 1 to n");
        let interval = [law.inverse_cdf(tail), law.inverse_cdf(1.0 - tail)];
        Ok(Achieved { mean: rank / self.places(), interval })
    }

    /// n + 1, the number of places that one more score can take among the n.
    fn places(&self) -> f64 {
        (self.scores.len() + 1) as f64
    }

    /// The largest l whose p-value l / (n + 1) is at most `rate`, both rounded to the nearest `f64`:
    /// where they are equal as decimals they are equal here, as ⌊(n + 1) rate⌋ need not be.
    fn rank(&self, rate: f64) -> Result<usize, Error> {
        let nearest = (between_0_and_1("a rate of false alarms", rate)? * self.places()).round();
        let rank = if nearest / self.places() <= rate { nearest } else { nearest - 1.0 };
        if rank < 1.0 {
            return Err(Error::TooFewImages {
                images: self.scores.len(),
                needed: images_needed(rate)?,
            });
        }
        Ok(rank as usize)
    }
}

/// The fewest calibration images of which a p-value can be as small as `rate`: ⌈1 / `rate`⌉ - 1.
///
/// # Errors
///
/// [`Error::Setting`] for a rate that is not between 0 and 1.
pub fn images_needed(rate: f64) -> Result<usize, Error> {
    let nearest = (1.0 / between_0_and_1("a rate of false alarms", rate)?).round();
    let places = if 1.0 / nearest <= rate { nearest } else { nearest + 1.0 };
    Ok((places - 1.0) as usize)
}

/// The value, where it lies between 0 and 1 and is neither.
pub(crate) fn between_0_and_1(what: &'static str, value: f64) -> Result<f64, Error> {
    let within = value > 0.0 && value < 1.0;
    let expected = "a number between 0 and 1".into();
    if within { Ok(value) } else { Err(Error::Setting { what, got: value.to_string(), expected }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn calibrated(scores: impl IntoIterator<Item = f64>) -> Conformal {
        Conformal::new(scores.into_iter().collect()).expect("finite scores")
    }

    /// Scores 1 to n, in descending order.
    fn places(n: u32) -> Conformal {
        calibrated((1..=n).rev().map(f64::from))
    }

    #[test]
    fn a_p_value_counts_the_scores_that_are_no_lower() {
        let conformal = calibrated([3.0, 1.0, 2.0, 2.0]);
        let cases = [(0.5, 5), (1.0, 5), (1.5, 4), (2.0, 4), (2.5, 2), (3.0, 2), (3.5, 1)];
        for (score, count) in cases {
            assert_eq!(conformal.p_value(score), f64::from(count) / 5.0, "{score}");
        }
        for score in [f64::NAN, -f64::NAN, f64::INFINITY] {
            assert_eq!(conformal.p_value(score), 0.2, "{score} is never normal");
        }
    }

    #[test]
    fn a_rate_is_the_decimal_that_was_written() {
        // (n, rate, the rank of the threshold from above); 100 * 0.29 is 28.999... as f64.
        let cases = [
            (999, 0.001, 1),
            (99, 0.29, 29),
            (99, 0.07, 7),
            (99, 0.07 - 1e-12, 6),
            (1000, 0.01, 10),
            (998, 0.002, 1),
            (1, 0.5, 1),
            (9, 1.0 - 1e-16, 9),
        ];
        for (n, rate, rank) in cases {
            let threshold = places(n).threshold(rate).expect("enough images");
            assert_eq!(threshold, f64::from(n - rank + 1), "{n} images at {rate}");
        }
    }

    #[test]
    fn a_rate_needs_its_images() {
        let cases = [(0.001, 999), (0.01, 99), (0.05, 19), (0.3, 3), (0.6, 1), (0.9, 1)];
        for (rate, needed) in cases {
            assert_eq!(images_needed(rate).expect("a rate"), needed, "{rate}");
            let n = needed as u32;
            let threshold = places(n).threshold(rate).expect("they suffice");
            assert_eq!(threshold, f64::from(n), "{rate}");
            if n > 1 {
                let error = places(n - 1).threshold(rate).expect_err("one is missing");
                let missing = |images, needed| (images, needed) == (n as usize - 1, n as usize);
                let Error::TooFewImages { images, needed } = error else { panic!("{error}") };
                assert!(missing(images, needed), "{rate}: {images} of {needed}");
            }
        }
        let error = places(100).threshold(0.001).expect_err("100 are too few").to_string();
        assert!(error.ends_with("999 are needed, 899 more"), "{error}");
    }

    #[test]
    fn what_is_no_score_or_no_rate_is_refused() {
        for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = Conformal::new(vec![1.0, score]).expect_err("it is not finite");
            assert!(error.to_string().contains("at score 1"), "{error}");
        }
        let error = Conformal::new(vec![]).expect_err("there is no score");
        assert!(matches!(error, Error::TooFewImages { images: 0, needed: 1 }), "{error}");
        for value in [0.0, 1.0, -0.1, f64::NAN] {
            let refused = |got: Result<f64, Error>| matches!(got, Err(Error::Setting { .. }));
            assert!(refused(places(9).threshold(value)), "{value}");
            assert!(refused(places(9).achieved(0.5, value).map(|a| a.mean)), "{value}");
            assert!(refused(images_needed(value).map(|n| n as f64)), "{value}");
        }
    }

    proptest! {
        /// Scores of few values have many ties; rates that are p-values are the hardest.
        #[test]
        fn the_threshold_gives_the_verdict_of_the_p_value(
            scores in prop::collection::vec(0..8_i32, 1..60),
            score in -1..9_i32,
            (numerator, nudge) in (1..60_usize, -1..=1_i32),
        ) {
            let conformal = calibrated(scores.iter().map(|&score| f64::from(score)));
            let rate = numerator as f64 / conformal.places() + f64::from(nudge) * 1e-12;
            prop_assume!(rate < 1.0);
            let anomaly = conformal.p_value(f64::from(score)) <= rate;
            match conformal.threshold(rate) {
                Ok(threshold) => prop_assert_eq!(f64::from(score) > threshold, anomaly),
                Err(_) => prop_assert!(!anomaly && scores.len() < images_needed(rate)?),
            }
        }
    }

    /// The ends solve P(Binomial(1000, x) ≥ 10) = 0.025 and 0.975, which is the same law.
    #[test]
    fn a_thousand_images_at_one_in_a_hundred_achieve_half_of_it_to_nearly_twice() {
        let Achieved { mean, interval: [low, high] } =
            places(1000).achieved(0.01, 0.95).expect("enough images");
        assert!((mean - 10.0 / 1001.0).abs() < 1e-15);
        assert!(
            (low - 0.004_805_511).abs() < 1e-9 && (high - 0.017_015_783).abs() < 1e-9,
            "{low} to {high}"
        );
    }

    #[test]
    fn the_interval_holds_its_share_of_the_beta_law() {
        for (n, rate) in [(1, 0.5), (19, 0.05), (999, 0.001), (1000, 0.01), (100_000, 0.001)] {
            let conformal = places(n);
            let rank = conformal.rank(rate).expect("enough images") as f64;
            let law = Beta::new(rank, conformal.places() - rank).expect("positive");
            for confidence in [0.5, 0.95, 0.999] {
                let interval = conformal.achieved(rate, confidence).expect("enough").interval;
                let below = interval.map(|end| law.cdf(end));
                let expected = [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0];
                let close = below.iter().zip(expected).all(|(b, e)| (b - e).abs() < 1e-9);
                assert!(close, "{n} at {rate}: {below:?}, not {expected:?}");
            }
        }
    }

    /// The cumulative beta-binomial law of the alarms among `images`, from its ratio of successive
    /// probabilities.
    fn beta_binomial(images: usize, a: f64, b: f64) -> Vec<f64> {
        let m = images as f64;
        let mut probability: f64 =
            (0..images).map(|i| (b + i as f64) / (a + b + i as f64)).product();
        let mut sum = 0.0;
        let cumulative = (0..=images).map(|k| {
            sum += probability;
            let k = k as f64;
            probability *= (m - k) * (a + k) / ((k + 1.0) * (b + m - k - 1.0));
            sum
        });
        cumulative.collect()
    }

    /// For every rate, the alarms among 1000 normal images in each of 1000 splits, each of which
    /// is calibrated on 1000 more.
    fn alarms(score: impl Fn(f64) -> f64, rates: [f64; 2]) -> [Vec<usize>; 2] {
        let mut generator = ChaCha8Rng::seed_from_u64(11);
        let mut draw =
            || -> Vec<f64> { (0..1000).map(|_| score(generator.random::<f64>())).collect() };
        let mut counts = [vec![], vec![]];
        for _ in 0..1000 {
            let (conformal, images) = (calibrated(draw()), draw());
            for (rate, counts) in rates.iter().zip(&mut counts) {
                let threshold = conformal.threshold(*rate).expect("enough images");
                counts.push(images.iter().filter(|&&score| score > threshold).count());
            }
        }
        counts
    }

    #[test]
    fn false_alarms_over_random_splits_follow_the_beta_law() {
        for (counts, rank) in alarms(|u| u, [0.01, 0.001]).iter().zip([10.0, 1.0]) {
            let law = beta_binomial(1000, rank, 1001.0 - rank);
            let share = |most| counts.iter().filter(|&&count| count <= most).count() as f64 / 1e3;
            let distance = (0..=1000).map(|k| (share(k) - law[k]).abs()).fold(0.0, f64::max);
            // Kolmogorov's limit that 1 of 1000 seeds exceeds, 1.95 / sqrt(1000); the laws of
            // a rank more or less are 0.088 away or further.
            assert!(distance < 0.062, "rank {rank}: {distance}");
        }
    }

    #[test]
    fn ties_make_fewer_false_alarms() {
        // Steps of 0.4 % of the images, far more than one place of the calibration.
        let rates = [0.01, 0.001];
        for (counts, rate) in alarms(|u| (u * 250.0).floor(), rates).iter().zip(rates) {
            let mean = counts.iter().sum::<usize>() as f64 / 1e6;
            assert!(mean < 0.9 * rate, "{mean} at {rate}");
        }
    }
}
