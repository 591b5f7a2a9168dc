//! The calibration that scores are held against.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use vae_infer::Bundle;
use vae_infer::anomaly::Calibration;

/// Options of the calibration.
#[derive(Args)]
pub(super) struct Calibrated {
    /// The calibration's file [default: the one in the model's folder or beside its file, if any]
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// The rate of false alarms that is promised [default: the calibration's]
    #[arg(long, value_name = "RATE")]
    far: Option<f64>,
}

impl Calibrated {
    /// The calibration that was named, or the one beside the model, and its file.
    pub(super) fn open(&self, bundle: &Bundle) -> Result<Option<(PathBuf, Calibration)>> {
        let beside = || Calibration::beside(bundle.source()).filter(|path| path.exists());
        let Some(path) = self.calibration.clone().or_else(beside) else {
            if self.far.is_some() {
                bail!("a rate of false alarms takes a calibration (hint: vae-infer calibrate)");
            }
            return Ok(None);
        };
        let mut calibration = Calibration::open(&path, bundle)?;
        calibration.rate = self.far.unwrap_or(calibration.rate);
        Ok(Some((path, calibration)))
    }
}
