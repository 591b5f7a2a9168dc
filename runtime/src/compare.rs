//! How far the answers of two models are apart, in the terms that a user of them cares about: the
//! ranking of images by their scores, the verdicts at a threshold, and the quality of pictures.
//!
//! All functions are pure, and take scores as they come, one an image.

use ndarray::ArrayViewD;

/// The smallest squared error, over the squared peak, that `f32` can tell from none: 150 dB.
const ROUNDING: f64 = 1e-15;

/// The peak signal-to-noise ratio 10 log10(peak² / mse) in dB, at most 150 dB.
///
/// `mse` is the mean squared error of a pixel, `peak` the width of the range of pixel values.
pub fn psnr(mse: f64, peak: f64) -> f64 {
    let share = mse / (peak * peak);
    let share = if share < ROUNDING { ROUNDING } else { share };
    -10.0 * share.log10()
}

/// Spearman's rank correlation of two scores over the same images, from -1 to 1; equal values
/// share the mean of their ranks.
///
/// `None` where it has no meaning: for fewer than two images, and where either score is the same
/// for all of them or not a number.
///
/// # Panics
///
/// Where the numbers of scores differ.
pub fn rank_correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "every image has both scores");
    if a.iter().chain(b).any(|score| score.is_nan()) {
        return None;
    }
    // Ranks from 0 to n - 1 have this mean, with ties and without.
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let deviations = |scores| ranks(scores).into_iter().map(|rank| rank - mean).collect();
    let (a, b): (Vec<f64>, Vec<f64>) = (deviations(a), deviations(b));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let spread = (product(&a, &a) * product(&b, &b)).sqrt();
    (spread > 0.0).then(|| product(&a, &b) / spread)
}

/// The place of every value in ascending order, counted from 0; equal values share their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let shared = first as f64 + (equal.len() - 1) as f64 / 2.0;
        equal.iter().for_each(|&i| ranks[i] = shared);
        first += equal.len();
    }
    ranks
}

/// The value below which the share `q` of the values lies, between the two nearest ones by
/// linear interpolation (type 7 of Hyndman and Fan, the default of NumPy and R).
///
/// `None` where there is no value, one is not a number, or `q` is not from 0 to 1.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    if values.is_empty() || values.iter().any(|v| v.is_nan()) || !(0.0..=1.0).contains(&q) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    // Equal neighbours may be infinite, and their difference is then no number.
    Some(if below == above { below } else { below + (above - below) * place.fract() })
}

/// The middle of the gap between the scores that are normal and those that are not, where the share
/// `q` of them is normal: at a quantile itself an image may lie, whose verdict rounding then decides.
/// Of two scores and more, at least one is on either side.
///
/// `None` as for [`quantile`].
pub fn threshold(scores: &[f64], q: f64) -> Option<f64> {
    let last = scores.len().checked_sub(1).filter(|_| (0.0..=1.0).contains(&q))?;
    let normal = (q * scores.len() as f64).round().clamp(1.0, last.max(1) as f64);
    quantile(scores, (normal - 0.5) / last.max(1) as f64)
}

/// The fewest images of which, on average, one lies above the `q`-th quantile, 1 / (1 - q): of
/// fewer, no verdict at that threshold says anything. `None` where `q` is not from 0 to below 1.
pub fn images_for(q: f64) -> Option<usize> {
    // 1 / (1 - 0.9) is a little above 10: rounding must not ask for an image more.
    (0.0..1.0).contains(&q).then(|| (1.0 / (1.0 - q) * (1.0 - 1e-9)).ceil() as usize)
}

/// The number of images whose verdict changes from score `a` to score `b`: an image is normal up
/// to the threshold, and abnormal above it or where its score is not a number.
///
/// # Panics
///
/// Where the numbers of scores differ.
pub fn flips(a: &[f64], b: &[f64], threshold: f64) -> usize {
    assert_eq!(a.len(), b.len(), "every image has both scores");
    a.iter().zip(b).filter(|&(&a, &b)| (a <= threshold) != (b <= threshold)).count()
}

/// How far a tensor is from an expected one, collected over any number of batches.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Difference {
    low: f64,
    high: f64,
    largest: f64,
    sum: f64,
    squares: f64,
    values: usize,
}

impl Difference {
    /// Adds a batch of both. Shapes that differ and values that are not finite make every figure
    /// infinite, so that no comparison with a tolerance lets them pass.
    pub fn add(&mut self, got: ArrayViewD<f32>, expected: ArrayViewD<f32>) {
        if got.shape() != expected.shape() {
            return self.add_pair(f64::INFINITY, 0.0);
        }
        for (&got, &expected) in got.iter().zip(expected.iter()) {
            match (f64::from(got), f64::from(expected)) {
                (got, expected) if got.is_finite() && expected.is_finite() => {
                    self.add_pair(got, expected);
                }
                _ => self.add_pair(f64::INFINITY, 0.0),
            }
        }
    }

    fn add_pair(&mut self, got: f64, expected: f64) {
        let difference = (got - expected).abs();
        (self.low, self.high) = (self.low.min(expected), self.high.max(expected));
        self.largest = self.largest.max(difference);
        self.sum += difference;
        self.squares += difference * difference;
        self.values += 1;
    }

    /// The largest absolute difference, over the range of the expected tensor: the interval that
    /// its values and zero span.
    pub fn largest(&self) -> f64 {
        self.largest_over(0.0)
    }

    /// [`Difference::largest`], over a range of at least `least`.
    pub fn largest_over(&self, least: f64) -> f64 {
        over(self.largest, (self.high - self.low).max(least))
    }

    /// The mean absolute difference, likewise.
    pub fn mean(&self) -> f64 {
        over(self.sum / self.values.max(1) as f64, self.high - self.low)
    }

    /// The mean squared difference, in squared units of the tensors.
    pub fn mse(&self) -> f64 {
        self.squares / self.values.max(1) as f64
    }
}

fn over(difference: f64, range: f64) -> f64 {
    if range > 0.0 { difference / range } else { difference }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, Array1};

    use super::*;

    fn close(got: Option<f64>, expected: f64) -> bool {
        got.is_some_and(|got| (got - expected).abs() < 1e-12)
    }

    #[test]
    fn differences_of_batches_are_those_of_the_whole() {
        let expected = Array1::from_vec(vec![0.0, 5.0, 10.0, 2.0]).into_dyn();
        let got = Array1::from_vec(vec![0.0, 5.0, 10.5, 1.5]).into_dyn();
        let mut parts = Difference::default();
        for i in 0..4 {
            let part = ndarray::Slice::from(i..=i);
            let part = |all: &Array<f32, _>| all.slice_axis(ndarray::Axis(0), part).to_owned();
            parts.add(part(&got).view(), part(&expected).view());
        }
        let mut whole = Difference::default();
        whole.add(got.view(), expected.view());
        assert_eq!(parts, whole);
        assert_eq!((whole.largest(), whole.mean(), whole.mse()), (0.05, 0.025, 0.125));
        assert_eq!(whole.largest(), crate::verify::difference(got.view(), expected.view()));
    }

    #[test]
    fn what_cannot_be_compared_is_infinitely_far() {
        let one = |value: f32, count| Array1::from_elem(count, value).into_dyn();
        for (got, expected) in [
            (one(0.0, 2), one(0.0, 3)),
            (one(f32::NAN, 1), one(0.0, 1)),
            (one(0.0, 1), one(f32::INFINITY, 1)),
        ] {
            let mut difference = Difference::default();
            difference.add(one(1.0, 1).view(), one(1.0, 1).view());
            difference.add(got.view(), expected.view());
            let figures = [difference.largest(), difference.mean(), difference.mse()];
            assert_eq!(figures, [f64::INFINITY; 3]);
        }
    }

    #[test]
    fn psnr_of_known_errors_stays_finite() {
        assert!(close(Some(psnr(0.01, 1.0)), 20.0));
        assert!(close(Some(psnr(0.01, 2.0)), 20.0 + 20.0 * 2.0_f64.log10()));
        assert_eq!(psnr(0.0, 1.0), 150.0);
        assert!(psnr(f64::NAN, 1.0).is_nan());
    }

    #[test]
    fn rank_correlation_sees_order_alone() {
        let a = [0.1, 0.2, 0.3, 0.4];
        assert!(close(rank_correlation(&a, &[1.0, 10.0, 100.0, 1e9]), 1.0));
        assert!(close(rank_correlation(&a, &[4.0, 3.0, 2.0, f64::NEG_INFINITY]), -1.0));
        // 1 - 6 (1 + 1) / (4 (16 - 1))
        assert!(close(rank_correlation(&a, &[1.0, 3.0, 2.0, 4.0]), 0.8));
    }

    #[test]
    fn ties_share_their_ranks() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0, 7.0, 5.0]), [2.0, 0.0, 2.0, 4.0, 2.0]);
        // Pearson's correlation of (0.5, 0.5, 2, 3) and (0, 1, 2, 3): 4.5 / sqrt(4.5 * 5).
        let got = rank_correlation(&[1.0, 1.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]);
        assert!(close(got, 4.5 / 22.5_f64.sqrt()), "{got:?}");
        assert!(close(rank_correlation(&[0.0, -0.0, 1.0], &[2.0, 2.0, 3.0]), 1.0));
    }

    #[test]
    fn a_correlation_without_meaning_is_absent() {
        for (a, b) in [
            (vec![], vec![]),
            (vec![1.0], vec![2.0]),
            (vec![1.0, 1.0, 1.0], vec![1.0, 2.0, 3.0]),
            (vec![1.0, 2.0], vec![3.0, 3.0]),
            (vec![1.0, f64::NAN], vec![3.0, 4.0]),
        ] {
            assert_eq!(rank_correlation(&a, &b), None, "{a:?} {b:?}");
        }
    }

    #[test]
    fn quantiles_are_interpolated() {
        let values = [4.0, 1.0, 3.0, 2.0];
        for (q, expected) in [(0.0, 1.0), (0.5, 2.5), (0.9, 3.7), (1.0, 4.0)] {
            assert!(close(quantile(&values, q), expected), "{q}");
        }
        assert_eq!(quantile(&[f64::INFINITY; 3], 0.3), Some(f64::INFINITY));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[1.0, f64::NAN], 0.5), None);
        assert_eq!(quantile(&values, 1.5), None);
    }

    #[test]
    fn a_threshold_lies_between_the_scores() {
        let scores = [4.0, 1.0, 3.0, 2.0];
        for (q, expected) in [(0.0, 1.5), (0.25, 1.5), (0.5, 2.5), (0.8, 3.5), (1.0, 3.5)] {
            assert!(close(threshold(&scores, q), expected), "{q}");
        }
        assert_eq!(threshold(&[7.0], 0.99), Some(7.0));
        assert_eq!([threshold(&[], 0.5), threshold(&scores, f64::NAN)], [None; 2]);
    }

    #[test]
    fn a_quantile_needs_its_images() {
        let cases = [(0.0, 1), (0.5, 2), (0.9, 10), (0.95, 20), (0.99, 100), (0.999, 1000)];
        for (q, expected) in cases {
            assert_eq!(images_for(q), Some(expected), "{q}");
        }
        assert_eq!(images_for(0.995), Some(200));
        assert_eq!(images_for(0.7), Some(4));
        assert_eq!([images_for(1.0), images_for(-0.1), images_for(f64::NAN)], [None; 3]);
    }

    #[test]
    fn a_flip_crosses_the_threshold_either_way() {
        let a = [0.1, 0.5, 0.9, 0.6];
        assert_eq!(flips(&a, &a, 0.5), 0);
        assert_eq!(flips(&a, &[0.2, 0.51, 0.4, 0.7], 0.5), 2);
        assert_eq!(flips(&a, &[0.1, f64::NAN, 0.9, f64::NAN], 0.5), 1, "no number is normal");
    }
}
