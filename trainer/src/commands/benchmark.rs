use std::process::ExitCode;

use anyhow::Result;
use vae_infer::images;

use super::print;
use crate::benchmark::{self, Options, Part};
use crate::cli::{AnomalyBenchmark, Benchmark, Format, TrainingBenchmark};
use crate::config::RunConfig;
use crate::fit::Outcome;
use crate::say::say;
use crate::signals::Signals;
use crate::speed::{self, Speed};

pub(super) fn run(benchmark: Benchmark) -> Result<ExitCode> {
    match benchmark {
        Benchmark::Anomaly(options) => anomaly(&options),
        Benchmark::Training(options) => training(&options),
    }
}

fn anomaly(options: &AnomalyBenchmark) -> Result<ExitCode> {
    let AnomalyBenchmark { parts, data, out, seeds, quick, keep, device } = options;
    let parts: Vec<Part> =
        Part::ALL.into_iter().filter(|part| parts.is_empty() || parts.contains(part)).collect();
    let (data, seeds, quick, keep, device) = (data.as_deref(), *seeds, *quick, *keep, *device);
    let options = Options { data, out, seeds, quick, keep, device };
    let (outcome, page) = benchmark::anomaly(&parts, &options, &Signals::watch()?)?;
    if let Outcome::Interrupted(signal) = outcome {
        say("stopped and saved; the same command goes on");
        return Ok(ExitCode::from(128 + signal as u8));
    }
    print(&String::from_utf8_lossy(&images::read_file(&page)?))
}

fn training(options: &TrainingBenchmark) -> Result<ExitCode> {
    let config = RunConfig::load(&options.config, &options.settings)?;
    let batch = options.batch.map_or(config.train.batch_size, |batch| batch.get());
    let chosen = options.device.numbered(&options.devices, batch)?;
    config.train.precision.check(&chosen)?;
    let asked = speed::Options {
        batch,
        steps: options.steps as usize,
        warmup: options.warmup as usize,
        start: options.start.as_deref(),
    };
    let measured = speed::measure(&config, &chosen, &asked)?;
    super::tell(chosen.note());
    match options.format {
        Format::Json => print(&(serde_json::to_string(&measured)? + "\n")),
        Format::Text => print(&text(&measured)),
    }
}

fn text(measured: &Speed) -> String {
    let precision = if measured.precision.is_default() { "" } else { ", in bf16" };
    let Speed { network, device, batch, first_step_s, warmup_s, steps, .. } = measured;
    let Speed { images_per_second: [median, slowest, fastest], flops_per_second, .. } = measured;
    let Speed { peak_memory, losses: [first, last], .. } = measured;
    let memory = match peak_memory {
        Some(bytes) => format!("{} MiB in the process", bytes >> 20),
        None => "unknown".into(),
    };
    let rows = [
        ("network", format!("{network}, {batch} images a step, on {device}{precision}")),
        (
            "first step",
            format!("{first_step_s:.2} s, {warmup_s:.2} s with the others that warm up"),
        ),
        (
            "speed",
            format!("{median:.0} images/s ({slowest:.0} to {fastest:.0} over {steps} steps)"),
        ),
        ("arithmetic", format!("{:.1} GFLOP/s", flops_per_second * 1e-9)),
        ("memory", memory),
        ("loss", format!("{first:.3}, {last:.3} in the last ten steps")),
    ];
    rows.map(|(key, value)| format!("{key:<11} {value}\n")).concat()
}
