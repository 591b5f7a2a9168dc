//! How scores are distributed, in memory that does not grow with their number.

use std::collections::BTreeMap;

use super::axis::Axis;

/// The bits of an `f32` that are dropped: 10 of its fraction stay, steps of a thousandth.
const DROPPED: u32 = 13;

/// The number of scores in steps of a thousandth of each, 524,288 steps at most.
#[derive(Default)]
pub(super) struct Distribution {
    /// By the leading bits of a score, in the order of scores.
    steps: BTreeMap<i32, u64>,
    pub(super) total: u64,
}

impl Distribution {
    pub(super) fn of(scores: &[f64]) -> Self {
        let mut distribution = Self::default();
        scores.iter().for_each(|&score| distribution.add(score));
        distribution
    }

    pub(super) fn add(&mut self, score: f64) {
        *self.steps.entry(step(score)).or_default() += 1;
        self.total += 1;
    }

    pub(super) fn extend(&mut self, other: &Self) {
        for (&step, count) in &other.steps {
            *self.steps.entry(step).or_default() += count;
        }
        self.total += other.total;
    }

    /// The score that the share `q` of all is not above; nothing where there is no score.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let rank = ((q * self.total as f64).ceil() as u64).clamp(1, self.total.max(1));
        let mut below = 0;
        let step = self.steps.iter().find(|&(_, count)| {
            below += count;
            below >= rank
        });
        step.map(|(&step, _)| middle(step))
    }

    /// The numbers of scores in bins of equal width along an axis; those beyond its ends are in
    /// the first and in the last.
    pub(super) fn bins(&self, axis: &Axis, bins: usize) -> Vec<u64> {
        let mut counts = vec![0; bins];
        for (&step, count) in &self.steps {
            let bin = axis.place(middle(step)) * bins as f64;
            counts[(bin as usize).min(bins - 1)] += count;
        }
        counts
    }
}

/// The leading bits of a score as `f32`, so that larger scores have larger ones.
fn step(score: f64) -> i32 {
    let bits = (score as f32).clamp(f32::MIN, f32::MAX).to_bits() as i32;
    let ordered = if bits < 0 { i32::MIN - bits - 1 } else { bits };
    ordered >> DROPPED
}

/// The score in the middle of a step.
fn middle(step: i32) -> f64 {
    let ordered = (step << DROPPED) | (1 << (DROPPED - 1));
    let bits = if ordered < 0 { i32::MIN - ordered - 1 } else { ordered };
    f64::from(f32::from_bits(bits as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_kept_to_a_thousandth() {
        for exponent in -30..30 {
            for score in [1.0, 1.37, 1.999].map(|v| v * 10_f64.powi(exponent)) {
                for score in [score, -score] {
                    let kept = middle(step(score));
                    assert!((kept / score - 1.0).abs() < 1e-3, "{score}: {kept}");
                }
            }
        }
        let scores = [f64::MIN, -2.0, -1.0, -1e-9, 0.0, 1e-9, 1.0, 2.0, f64::MAX];
        assert!(scores.is_sorted_by(|&a, &b| step(a) < step(b)));
        assert!(scores.iter().all(|&score| middle(step(score)).is_finite()));
    }

    #[test]
    fn quantiles_and_bins_count_scores() {
        let scores: Vec<f64> = (1..=1000).map(f64::from).collect();
        let distribution = Distribution::of(&scores);
        for (q, expected) in [(0.0, 1.0), (0.25, 250.0), (0.5, 500.0), (1.0, 1000.0)] {
            let quantile = distribution.quantile(q).expect("scores");
            assert!((quantile - expected).abs() < 1e-3 * expected, "{q}: {quantile}");
        }
        let axis = Axis::new(100.5, 900.5, false);
        let bins = distribution.bins(&axis, 4);
        assert_eq!(bins.iter().sum::<u64>(), 1000);
        assert!(bins[1].abs_diff(200) < 3 && bins[0].abs_diff(300) < 3, "{bins:?}");
        assert_eq!(Distribution::default().quantile(0.5), None);
    }
}
