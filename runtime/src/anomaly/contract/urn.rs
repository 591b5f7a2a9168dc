//! The law of the next score's bin, given everything before it.

use super::super::Conformal;

/// Number of bins that the scores fall into.
pub(super) const BINS: usize = 16;

/// The shares of the calibration scores above the edges between bins: finest in the upper tail,
/// where false alarms come from.
const ABOVE: [f64; BINS - 1] =
    [0.99, 0.95, 0.9, 0.75, 0.6, 0.4, 0.25, 0.15, 0.1, 0.05, 0.025, 0.01, 0.005, 0.002, 0.001];

/// Pólya's urn over bins of scores that calibration scores bound.
///
/// n calibration scores and t later ones leave n + 1 + t gaps between them. Under exchangeability
/// and without ties, the next score is equally likely to lie in each. A bin of a gaps at
/// calibration that has taken c scores since has a + c of them, and the chance
/// (a + c) / (n + 1 + t): whatever the distribution of scores, and without approximation.
///
/// Ties are broken at random: every score, of the calibration too, goes with a uniform draw, and the
/// pairs are compared in the order of a dictionary. They are exchangeable where the scores are, and
/// have no ties.
#[derive(Debug, Clone)]
pub(super) struct Urn {
    seed: u64,
    /// Scores with their draws, ascending; some are equal where the calibration is small.
    edges: [(f64, f64); BINS - 1],
    /// Gaps and scores of every bin, the highest scores last; bins between equal edges have none.
    counts: [u64; BINS],
    total: u64,
}

impl Urn {
    pub(super) fn new(conformal: &Conformal, seed: u64) -> Self {
        let scores = conformal.scores();
        let n = scores.len();
        let mut drawn: Vec<(f64, f64)> =
            (0..).zip(scores).map(|(i, &score)| (score, uniform(seed, i))).collect();
        drawn.sort_by(|a, b| a.partial_cmp(b).expect("calibration scores are numbers"));
        let above = ABOVE.map(|share| ((share * (n + 1) as f64).round() as usize).clamp(1, n));
        let edges = above.map(|above| drawn[n - above]);
        // The gaps above the lower edge of every bin, all of them for the first.
        let lower = |bin: usize| if bin == 0 { n + 1 } else { above[bin - 1] };
        let upper = |bin: usize| if bin == BINS - 1 { 0 } else { above[bin] };
        let counts = std::array::from_fn(|bin| (lower(bin) - upper(bin)) as u64);
        Self { seed, edges, counts, total: n as u64 + 1 }
    }

    /// The chance of every bin to be the next one.
    pub(super) fn chances(&self) -> [f64; BINS] {
        self.counts.map(|count| count as f64 / self.total as f64)
    }

    /// The bin of the next score; NaN is the highest.
    pub(super) fn bin(&self, score: f64) -> usize {
        let score = if score.is_nan() { f64::INFINITY } else { score };
        let drawn = (score, uniform(self.seed, self.total));
        self.edges.partition_point(|&edge| edge < drawn)
    }

    /// Puts a score into its bin.
    pub(super) fn add(&mut self, bin: usize) {
        self.counts[bin] += 1;
        self.total += 1;
    }
}

/// Draw `index` of a seed from [0, 1): SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), which is
/// random access.
fn uniform(seed: u64, index: u64) -> f64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urn(scores: impl IntoIterator<Item = f64>) -> Urn {
        let conformal = Conformal::new(scores.into_iter().collect()).expect("finite scores");
        Urn::new(&conformal, 5)
    }

    #[test]
    fn bins_hold_the_gaps_between_their_edges() {
        let cases: [(u32, [u64; BINS]); 3] = [
            (999, [10, 40, 50, 150, 150, 200, 150, 100, 50, 50, 25, 15, 5, 3, 1, 1]),
            (9, [1, 0, 0, 1, 2, 2, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1]),
            (1, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ];
        for (n, counts) in cases {
            let mut urn = urn((1..=n).map(f64::from));
            assert_eq!(urn.counts, counts, "{n}");
            // One score in every gap doubles every count.
            for gap in 0..=n {
                urn.add(urn.bin(f64::from(gap) + 0.5));
            }
            assert_eq!(urn.counts, counts.map(|count| 2 * count), "{n}");
            assert!((urn.chances().iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn no_score_is_higher_than_none_at_all() {
        let urn = urn((1..=999).map(f64::from));
        let bins = [f64::NEG_INFINITY, 500.5, f64::INFINITY, f64::NAN].map(|score| urn.bin(score));
        assert_eq!(bins, [0, 5, BINS - 1, BINS - 1]);
    }

    #[test]
    fn a_tie_may_fall_into_any_gap_of_its_kind() {
        let mut urn = urn([0.0; 999]);
        for _ in 0..10_000 {
            let signed_zero = if urn.total.is_multiple_of(2) { 0.0 } else { -0.0 };
            urn.add(urn.bin(signed_zero));
        }
        // The share below an edge has a standard deviation of 0.0155 over calibration sets, and one
        // of 0.005 over frames: five of both together.
        let below = urn.counts[..5].iter().sum::<u64>() as f64 / urn.total as f64;
        assert!((below - 0.4).abs() < 0.08, "{below}");
        assert!(urn.counts.iter().all(|&count| count > 1), "{:?}", urn.counts);
    }

    #[test]
    fn draws_are_uniform_and_the_published_ones() {
        // The first outputs of SplitMix64 from state 1234567, as in the tests of many languages.
        for (index, output) in [(0, 6_457_827_717_110_365_317_u64), (1, 3_203_168_211_198_807_973)]
        {
            let expected = (output >> 11) as f64 / (1_u64 << 53) as f64;
            assert_eq!(uniform(1_234_567, index), expected);
        }
        let mean = (0..10_000).map(|i| uniform(1, i)).sum::<f64>() / 1e4;
        // Five standard errors, 0.29 / 100 each.
        assert!((mean - 0.5).abs() < 0.015, "{mean}");
    }
}
