//! What a report holds of lines, however many there are.

use std::collections::BTreeSet;
use std::mem;

use anyhow::{Result, bail};
use vae_infer::anomaly::{Label, Method};

use super::distribution::Distribution;
use super::line::Line;
use super::reference::Reference;
use super::watch::Watch;

/// What an image can be called, from the worst to the best, and last nothing.
pub(super) const LABELS: [Option<Label>; 4] =
    [Some(Label::Anomaly), Some(Label::Unsure), Some(Label::Normal), None];
/// The bins of p-values.
pub(super) const PLACES: usize = 20;

/// Counts, distributions and the worst lines.
pub(super) struct Tally {
    top: usize,
    pub(super) method: Option<Method>,
    pub(super) engines: BTreeSet<String>,
    /// Of every label in [`LABELS`].
    pub(super) scores: [Distribution; 4],
    pub(super) p_values: [u64; PLACES],
    pub(super) watch: Option<Watch>,
    /// Up to twice as many as asked; the earlier of equal ones first.
    worst: Vec<Line>,
}

impl Tally {
    pub(super) fn new(top: usize, watch: Option<Watch>) -> Self {
        Self {
            top,
            method: None,
            engines: BTreeSet::new(),
            scores: Default::default(),
            p_values: [0; PLACES],
            watch,
            worst: vec![],
        }
    }

    /// Takes the next line, which the calibration must agree with.
    pub(super) fn add(&mut self, line: Line, reference: Option<&Reference>) -> Result<()> {
        let method = *self.method.get_or_insert(line.method);
        if line.method != method {
            bail!(
                "it is scored by `{}`, those before it by `{method}`, and such scores have no order \
                 (hint: a report for each)",
                line.method
            );
        }
        reference.map_or(Ok(()), |reference| reference.agrees(&line))?;
        if let Some(watch) = &mut self.watch {
            watch.observe(&line.name, line.score);
        }
        let label = LABELS.iter().position(|label| *label == line.label).unwrap_or_default();
        self.scores[label].add(line.score);
        if let Some(p) = line.p_value {
            self.p_values[place(p)] += 1;
        }
        if !self.engines.contains(&line.engine) {
            self.engines.insert(line.engine.clone());
        }
        self.worst.push(line);
        if self.worst.len() >= 2 * self.top.max(1) {
            self.rank();
        }
        Ok(())
    }

    /// The images of every label in [`LABELS`].
    pub(super) fn counts(&self) -> [u64; 4] {
        [0, 1, 2, 3].map(|label| self.scores[label].total)
    }

    /// Gives away the lines with the highest scores, from the highest down.
    pub(super) fn worst(&mut self) -> Vec<Line> {
        self.rank();
        mem::take(&mut self.worst)
    }

    fn rank(&mut self) {
        self.worst.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.worst.truncate(self.top);
    }
}

/// The bin of a p-value, which holds its upper end.
fn place(p: f64) -> usize {
    ((p * PLACES as f64).ceil() as usize).clamp(1, PLACES) - 1
}

/// The shares of p-values in every bin where no image is strange: those that so many calibration scores can
/// give are equally likely.
pub(super) fn expected(scores: usize) -> [f64; PLACES] {
    let mut shares = [0.0; PLACES];
    let p_values = scores + 1;
    for k in 1..=p_values {
        shares[place(k as f64 / p_values as f64)] += 1.0 / p_values as f64;
    }
    shares
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn few_calibration_scores_fill_bins_unevenly() {
        assert!(expected(999).iter().all(|share| (share - 0.05).abs() < 1e-12));
        // 1/3 and 2/3 are in the seventh bin and in the fourteenth.
        let full: Vec<_> = (0..PLACES).filter(|&bin| expected(2)[bin] > 0.0).collect();
        assert_eq!(full, [6, 13, 19]);
    }

    #[test]
    fn only_the_worst_lines_are_held() {
        let mut tally = Tally::new(3, None);
        for i in 0..1000 {
            let (name, score) = (i.to_string(), f64::from(i * 7 % 500));
            let line = json!({
                "name": name, "schema": 1, "method": "mse", "score": score, "mse": score, "engine": "tract/cpu"
            });
            tally.add(from_value(line).expect("a line"), None).expect("one method");
            assert!(tally.worst.len() < 6);
        }
        assert_eq!(tally.counts(), [0, 0, 0, 1000]);
        // 7 * 357 = 499 modulo 500, and again 500 lines later: of equal ones the earlier comes first.
        let worst: Vec<_> = tally.worst().into_iter().map(|line| line.name).collect();
        assert_eq!(worst, ["357", "857", "214"]);
        let none = &mut Tally::new(0, None);
        none.add(from_value(json!({"name": "a", "schema": 1, "method": "mse", "score": 1, "mse": 1, "engine": ""})).expect("a line"), None).expect("one method");
        assert!(none.worst().is_empty());
    }
}
