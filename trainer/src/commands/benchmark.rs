use std::process::ExitCode;

use anyhow::Result;
use vae_infer::images;

use super::print;
use crate::benchmark::{self, Options, Part};
use crate::cli::{AnomalyBenchmark, Benchmark};
use crate::fit::Outcome;
use crate::signals::Signals;

pub(super) fn run(Benchmark::Anomaly(options): Benchmark) -> Result<ExitCode> {
    let AnomalyBenchmark { parts, data, out, seeds, quick, keep, device } = &options;
    let parts: Vec<Part> =
        Part::ALL.into_iter().filter(|part| parts.is_empty() || parts.contains(part)).collect();
    let (data, seeds, quick, keep, device) = (data.as_deref(), *seeds, *quick, *keep, *device);
    let options = Options { data, out, seeds, quick, keep, device };
    let (outcome, page) = benchmark::anomaly(&parts, &options, &Signals::watch()?)?;
    if let Outcome::Interrupted(signal) = outcome {
        eprintln!("stopped and saved; the same command goes on");
        return Ok(ExitCode::from(128 + signal as u8));
    }
    print(&String::from_utf8_lossy(&images::read_file(&page)?))
}
