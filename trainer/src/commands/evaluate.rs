use std::num::NonZeroUsize;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::{open, print};
use crate::anomaly;
use crate::cli::{Evaluate, Format};
use crate::device::DeviceName;
use crate::evaluation::{self, Options, PartName};

/// Draws from the posterior that give a score of little noise.
const DRAWS: usize = 16;

pub(super) fn run(options: Evaluate) -> Result<ExitCode> {
    if options.anomaly {
        return compare(&options);
    }
    let trained = open(&options.run, options.epoch, options.device)?;
    let split = trained.data(options.data.as_deref())?;
    let Evaluate { part, samples, limit, .. } = options;
    let asked = Options { part, samples, limit: limit.map(NonZeroUsize::get) };
    let evaluation = evaluation::evaluate(&trained, &split, &asked)?;
    trained.run.write_evaluation(&evaluation)?;
    let text = match options.format {
        Format::Text => evaluation.to_string(),
        Format::Json => serde_json::to_string(&evaluation)? + "\n",
    };
    print(&text)
}

/// Compares the scores of anomalies, which come from a bundle and therefore from the processor.
fn compare(options: &Evaluate) -> Result<ExitCode> {
    if options.part.is_some_and(|part| part != PartName::Validation) {
        bail!("a score is chosen on validation images, never on others (hint: no --part)");
    }
    let trained = open(&options.run, options.epoch, DeviceName::Cpu)?;
    let split = trained.data(options.data.as_deref())?;
    let asked = anomaly::Options {
        anomalies: options.anomalies.as_deref(),
        draws: options.draws.map_or(DRAWS, NonZeroUsize::get),
        limit: options.limit.map(NonZeroUsize::get),
    };
    let comparison = anomaly::compare(&trained, &split, &asked)?;
    trained.run.write_comparison(&comparison)?;
    let text = match options.format {
        Format::Text => comparison.to_string(),
        Format::Json => serde_json::to_string(&comparison)? + "\n",
    };
    print(&text)
}
