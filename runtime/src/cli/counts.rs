//! What became of the images.

use vae_infer::anomaly::{Label, Verdict};

use super::say::say;

/// How many images got which verdict.
#[derive(Default)]
pub(super) struct Counts {
    normal: usize,
    unsure: usize,
    pub(super) anomalies: usize,
    unlabelled: usize,
    pub(super) skipped: usize,
}

impl Counts {
    pub(super) fn add(&mut self, verdict: Option<Verdict>) {
        *match verdict.map(|verdict| verdict.label) {
            Some(Label::Normal) => &mut self.normal,
            Some(Label::Unsure) => &mut self.unsure,
            Some(Label::Anomaly) => &mut self.anomalies,
            None => &mut self.unlabelled,
        } += 1;
    }

    /// The images that were scored or skipped.
    pub(super) fn images(&self) -> usize {
        self.normal + self.unsure + self.anomalies + self.unlabelled + self.skipped
    }

    /// Says on standard error what adds up to the images: for judged ones always, for others where
    /// there is more to say than that all were scored.
    pub(super) fn report(&self, judged: bool, stopped: bool, dropped: Option<usize>) {
        let Self { normal, unsure, anomalies, unlabelled, skipped } = self;
        let images = self.images() + dropped.unwrap_or(0);
        let dropped = dropped.map_or(String::new(), |dropped| format!(", {dropped} dropped"));
        if judged {
            let noun = if *anomalies == 1 { "anomaly" } else { "anomalies" };
            say(format!(
                "{images} images: {normal} normal, {unsure} unsure, {anomalies} {noun}, {skipped} \
                 skipped{dropped}"
            ));
        } else if *skipped > 0 || stopped || !dropped.is_empty() {
            say(format!("{images} images: {unlabelled} scored, {skipped} skipped{dropped}"));
        }
    }
}
