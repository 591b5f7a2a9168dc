use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use vae_infer::EngineOptions;
use vae_infer::tuning::Goal;
use vae_infer::verdicts::Replayed;
use vae_infer::verify::{Output, verify};

use super::lines::Lines;
use super::options::{Format, Options};

/// Replay the model's recorded results on this machine and say how far they are
///
/// Differences are the largest absolute ones, relative to the range of an output's values; a verdict
/// flips where an image is abnormal here and was not there, or the reverse.
#[derive(Args)]
pub(super) struct Verify {
    /// The largest difference that passes [default: the bundle's, 1e-5 in f32]
    #[arg(long, value_name = "X", value_parser = tolerance)]
    tolerance: Option<f64>,
}

#[derive(Serialize)]
struct Line<'a> {
    output: &'a str,
    difference: f64,
    ok: bool,
    engine: String,
}

#[derive(Serialize)]
struct Verdicts {
    verdicts: usize,
    flips: usize,
    accepted: usize,
    ok: bool,
    engine: String,
}

impl Verify {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let bundle = options.bundle()?;
        let replay = |options: &EngineOptions| verify(&bundle, options);
        let verification = options.prepare(&bundle, Goal::Throughput, replay)?.model;
        let tolerance = self.tolerance.unwrap_or(bundle.manifest.tolerance);
        let mut lines = Lines::new(options.format(Format::Text));
        let mut failed = Vec::new();
        for Output { name, backend, difference } in &verification.outputs {
            let (ok, difference) = (*difference <= tolerance, *difference);
            let engine = backend.to_string();
            lines.print(&Line { output: name, difference, ok, engine }, |line| {
                let verdict = if line.ok { "ok" } else { "FAILED" };
                format!("{verdict:<6}  {:.1e}  {}  {}", line.difference, line.engine, line.output)
            })?;
            if !ok {
                failed.push(format!("{name} by {difference:.1e}"));
            }
        }
        if let Some(Replayed { count, flips, accepted }) = verification.verdicts {
            let ok = flips <= accepted;
            let engine = verification.backends.to_string();
            lines.print(&Verdicts { verdicts: count, flips, accepted, ok, engine }, |line| {
                let verdict = if line.ok { "ok" } else { "FAILED" };
                format!("{verdict:<6}  {flips} of {count}  {}  verdicts flip", line.engine)
            })?;
            if !ok {
                failed.push(format!("{flips} of {count} verdicts flip, {accepted} did at export"));
            }
        }
        lines.flush()?;
        if !failed.is_empty() {
            let source = bundle.source().display();
            bail!("`{source}` gives other results here than recorded: {}", failed.join(", "));
        }
        Ok(())
    }
}

/// Parses a difference up to which results agree.
pub(super) fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value),
        _ => Err("a tolerance is a finite number of at least 0".into()),
    }
}
