use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use vae_infer::verify::{TOLERANCE, verify};

use super::lines::Lines;
use super::options::{Format, Options};

/// Replay the model's recorded results on this machine and say how far they are
///
/// Differences are the largest absolute ones, relative to the range of an output's values.
#[derive(Args)]
pub(super) struct Verify {
    /// The largest difference that passes
    #[arg(long, value_name = "X", default_value_t = TOLERANCE, value_parser = tolerance)]
    tolerance: f64,
}

#[derive(Serialize)]
struct Line<'a> {
    output: &'a str,
    difference: f64,
    ok: bool,
    engine: String,
}

impl Verify {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let bundle = options.bundle()?;
        let verification = verify(&bundle, &options.engine())?;
        let mut lines = Lines::new(options.format(Format::Text));
        let mut failed = Vec::new();
        for (output, difference) in &verification.differences {
            let (ok, difference) = (*difference <= self.tolerance, *difference);
            let engine = verification.backend.to_string();
            lines.print(&Line { output, difference, ok, engine }, |line| {
                let verdict = if line.ok { "ok" } else { "FAILED" };
                format!("{verdict:<6}  {:.1e}  {}  {}", line.difference, line.engine, line.output)
            })?;
            if !ok {
                failed.push(format!("{output} by {difference:.1e}"));
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
