//! The calibration that lines are held against.

use std::path::PathBuf;

use anyhow::{Result, bail};
use vae_infer::anomaly::{Calibration, Judge, Label};

use super::line::Line;

/// How far a p-value may be from the calibration's, in places of its scores: numbers that are written and read
/// again may differ in their last digit, and then change places with one that is equal.
const PLACES: f64 = 1.5;

/// A calibration and what it says.
pub(super) struct Reference {
    pub(super) path: PathBuf,
    pub(super) calibration: Calibration,
    pub(super) judge: Judge,
}

impl Reference {
    pub(super) fn of((path, mut calibration): (PathBuf, Calibration)) -> Result<Self> {
        // Whether a line is unsure is its own matter: `score` may have had another band.
        calibration.unsure = None;
        let judge = calibration.judge()?;
        Ok(Self { path, calibration, judge })
    }

    /// Refuses a line that was scored with another method, calibration or rate.
    pub(super) fn agrees(&self, line: &Line) -> Result<()> {
        let Calibration { method, rate, .. } = self.calibration;
        if line.method != method {
            bail!("it is scored by `{}`, and the calibration is one of `{method}`", line.method);
        }
        let (Some(p), Some(label)) = (line.p_value, line.label) else { return Ok(()) };
        let places = self.judge.conformal().scores().len() as f64 + 1.0;
        let expected = self.judge.judge(line.score).p_value;
        if (p - expected).abs() * places > PLACES {
            bail!(
                "its p-value is {p}, and by `{}` it is {expected} (hint: --calibration FILE for the \
                 one that it was scored with)",
                self.path.display()
            );
        }
        if (label == Label::Anomaly) != (p <= rate) {
            bail!(
                "it is called {label} at p = {p}, and the rate is {rate} (hint: --far RATE, as `score` had it)"
            );
        }
        Ok(())
    }
}
