//! Bets against exchangeability, each of which grows under a drift of its own kind.

use super::Drift;
use super::urn::BINS;

/// How strongly bins are favoured: powers 1, 1/2, 1/4 and 1/8 of the same odds. For normal scores
/// they suit shifts of about 2, 1, 1/2 and 1/4 standard deviations.
const STRENGTHS: usize = 4;
/// The kinds of drift that a fixed bet describes.
const KINDS: [Drift; 4] = [Drift::Higher, Drift::Lower, Drift::Wider, Drift::Narrower];
/// The fixed bets, and one that learns.
const BETS: usize = KINDS.len() * STRENGTHS + 1;
/// The mean age, in frames, of what the learning bet remembers.
const MEMORY: f64 = 64.0;
/// The weight of the urn's own chances in the learning bet, in frames.
const CAUTION: f64 = 32.0;

/// The capital of bets that begin at every frame, with a share of the first capital each.
///
/// A bet on bin k multiplies its capital by q(k) / p(k), the chance that it gives the bin over the
/// urn's: 1 on average under exchangeability, so that capital is a test martingale, and so is that
/// of a mixture of bets and of starts.
#[derive(Debug, Clone)]
pub(super) struct Bets {
    /// The share of calibration scores above the middle of every bin.
    above: [f64; BINS],
    /// How much the fixed bets favour every bin.
    favour: [[f64; BINS]; BETS - 1],
    /// The bins of recent frames, each weighed down by its age.
    recent: [f64; BINS],
    capital: [f64; BETS],
}

impl Bets {
    /// Bets on the bins that have these chances at calibration.
    pub(super) fn new(chances: &[f64; BINS]) -> Self {
        let mut below = 0.0;
        // Not 0 and not 1: the first bin and the last have a chance.
        let above = chances.map(|chance| {
            below += chance;
            1.0 - below + chance / 2.0
        });
        let mut favour = [[0.0; BINS]; BETS - 1];
        for (kind, favour) in KINDS.iter().zip(favour.chunks_exact_mut(STRENGTHS)) {
            // Odds and square roots, which every machine rounds alike.
            let mut odds = above.map(|p| match kind {
                Drift::Higher => (1.0 - p) / p,
                Drift::Lower => p / (1.0 - p),
                Drift::Narrower => 4.0 * p * (1.0 - p),
                _ => 1.0 / (4.0 * p * (1.0 - p)),
            });
            for favour in favour {
                *favour = odds;
                odds = odds.map(f64::sqrt);
            }
        }
        Self { above, favour, recent: [0.0; BINS], capital: [0.0; BETS] }
    }

    /// Starts with the share `started` of the first capital on every bet, and settles all of them
    /// for a frame in `bin`, which is not one without a chance.
    pub(super) fn settle(&mut self, started: f64, chances: &[f64; BINS], bin: usize) {
        let [capital @ .., learning] = &mut self.capital;
        for (favour, capital) in self.favour.iter().zip(capital) {
            let mean: f64 = favour.iter().zip(chances).map(|(f, p)| f * p).sum();
            *capital = (*capital + started) * (favour[bin] / mean);
        }
        let frames: f64 = self.recent.iter().sum();
        let ratio = (self.recent[bin] / chances[bin] + CAUTION) / (frames + CAUTION);
        *learning = (*learning + started) * ratio;
        self.recent = self.recent.map(|weight| weight * (1.0 - 1.0 / MEMORY));
        self.recent[bin] += 1.0;
    }

    /// The capital now, over the first capital if all of it had started.
    pub(super) fn capital(&self) -> f64 {
        self.capital.iter().sum::<f64>() / BETS as f64
    }

    /// The mean p-value of recent frames by the middles of their bins, 1/2 at calibration; of some
    /// frame at least.
    pub(super) fn p_value(&self) -> f64 {
        let sum: f64 = self.recent.iter().zip(&self.above).map(|(weight, p)| weight * p).sum();
        sum / self.recent.iter().sum::<f64>()
    }

    /// The drift that the richest bet is on.
    pub(super) fn drift(&self) -> Drift {
        let best = (0..BETS).max_by(|&a, &b| self.capital[a].total_cmp(&self.capital[b]));
        best.and_then(|best| KINDS.get(best / STRENGTHS)).copied().unwrap_or(Drift::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANCES: [f64; BINS] = [1.0 / BINS as f64; BINS];

    fn after(bins: impl IntoIterator<Item = usize>) -> Bets {
        let mut bets = Bets::new(&CHANCES);
        bets.capital = [1.0; BETS];
        bins.into_iter().for_each(|bin| bets.settle(0.0, &CHANCES, bin));
        bets
    }

    #[test]
    fn every_bet_is_fair_whatever_came_before() {
        let mut chances = CHANCES;
        (chances[3], chances[4], chances[5]) =
            (0.0, 0.15, chances[5] - 0.15 + chances[3] + chances[4]);
        for before in [vec![], vec![2], vec![15; 40]] {
            let mut expected = [0.0; BETS];
            for bin in (0..BINS).filter(|&bin| chances[bin] > 0.0) {
                let mut bets = after(before.iter().copied());
                bets.capital = [0.5; BETS];
                bets.settle(0.5, &chances, bin);
                for (sum, capital) in expected.iter_mut().zip(bets.capital) {
                    *sum += chances[bin] * capital;
                }
            }
            assert!(expected.iter().all(|mean| (mean - 1.0).abs() < 1e-12), "{expected:?}");
        }
    }

    #[test]
    fn the_richest_bet_names_the_drift() {
        let cases: [(&[usize], Drift); 5] = [
            (&[15, 8, 12, 10, 14, 9, 13, 11], Drift::Higher),
            (&[0, 7, 3, 5, 1, 6, 2, 4], Drift::Lower),
            (&[0, 15, 1, 14, 2, 13], Drift::Wider),
            (&[7, 8, 9, 6, 5, 10], Drift::Narrower),
            (&[4, 11], Drift::Other),
        ];
        for (bins, drift) in cases {
            let bets = after(bins.iter().copied().cycle().take(24));
            assert_eq!(bets.drift(), drift, "{bins:?}: {:?}", bets.capital);
            let direction = match drift {
                Drift::Higher => 0.0..0.3,
                Drift::Lower => 0.7..1.0,
                _ => 0.48..0.52,
            };
            assert!(direction.contains(&bets.p_value()), "{bins:?}: {}", bets.p_value());
        }
    }
}
