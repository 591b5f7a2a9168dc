mod assert;
mod cold;
mod layers;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use vae_infer::Provider;
use vae_infer::machine::{self, Machine};
use vae_infer::measure::{Batch, Latency, Length, Loaded, Part};
use vae_infer::tuning::Goal;

use super::lines::Lines;
use super::options::{Format, Options};
use super::say::say;
use super::units::microseconds;
use assert::Limits;
use cold::Cold;
use layers::Layers;
use report::{Report, Share, Work};

/// The most bytes of a batch.
const MAX_BATCH_BYTES: u64 = 4 << 30;

/// Measure how fast a model is on this machine, and how far from what the machine can do
///
/// The inputs are those that are recorded in the bundle. Measured are, in this order: loading, the
/// first call, calls in steady state, the most memory that all of this took, and the limits of the
/// machine. The self-test comes between the first call and the others, and is in no time.
#[derive(Args)]
pub(super) struct Bench {
    /// The bundle [default: that of --model]
    #[arg(value_name = "MODEL")]
    place: Option<PathBuf>,
    /// What is run
    #[arg(long, value_enum, default_value_t)]
    part: Part,
    /// Images in a call
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..=65_536))]
    batch: usize,
    /// Measure so many calls in steady state
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_048_576))]
    runs: Option<usize>,
    /// Measure calls in steady state for so long
    #[arg(long, value_name = "S", default_value = "2", value_parser = seconds)]
    seconds: Duration,
    /// Start so many fresh processes too, each of which loads the model and calls it once
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "20",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1000))]
    cold: Option<usize>,
    /// Say what every layer takes, where the engine tells
    #[arg(long)]
    layers: bool,
    /// Limits that must hold, as 'p99<8ms,rss<40MB,cold<20ms'; the exit code is 1 where one does not.
    /// Names are load, first, p50, p90, p99, p99.9, rss, cold and cold-rss, units us, ms, s, KB, MB, GB
    #[arg(long = "assert", value_name = "LIMITS")]
    limits: Option<Limits>,
    /// Load the model, call it once, and print the memory that this took
    #[arg(long, hide = true)]
    once: bool,
}

impl Bench {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        if self.once {
            return self.once(options).map(|()| ExitCode::SUCCESS);
        }
        if let Some(limits) = &self.limits {
            limits.check(self.cold.is_some())?;
        }
        let report = self.measure(options)?;
        let mut lines = Lines::new(options.format(Format::Text));
        lines.print(&report, Report::text)?;
        lines.flush()?;
        let broken = self.limits.as_ref().map_or(vec![], |limits| limits.broken(&report));
        if broken.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        say(format!("`{}` does not keep {}", report.source, broken.join(", ")));
        Ok(ExitCode::from(1))
    }

    fn measure(&self, options: &Options) -> Result<Report> {
        let start = Instant::now();
        let bundle = options.bundle_at(self.place.as_deref())?;
        let opened = start.elapsed();
        if Batch::bytes(&bundle, self.batch).is_none_or(|bytes| bytes as u64 > MAX_BATCH_BYTES) {
            bail!("a batch of {} takes more than {} GiB", self.batch, MAX_BATCH_BYTES >> 30);
        }
        let batch = Batch::recorded(&bundle, self.batch)?;

        let start = Instant::now();
        let loaded = options.prepare(&bundle, Goal::of(self.batch), |engine| {
            Ok((Loaded::load(&bundle, engine, self.part)?, engine.clone()))
        })?;
        let (mut model, engine) = loaded.model;
        let load = opened + start.elapsed();
        let start = Instant::now();
        model.run(&batch)?;
        let first = start.elapsed();
        if let Some(stamps) = options.selftest() {
            model.test(&bundle, &engine, &stamps)?;
        }
        let layers = self.layers.then(|| Layers::of(&mut model, &batch)).transpose()?;
        let length = self.runs.map_or(Length::Time(self.seconds), Length::Runs);
        let steady = Latency::measure(length, || model.run(&batch))?;
        // Before the machine is measured, which takes memory of its own.
        let rss = machine::peak_memory();
        let cold = self.cold.map(|runs| Cold::measure(runs, self, options)).transpose()?;
        let backends = model.backends();
        let on_processor = backends.iter().all(|backend| backend.provider == Provider::Cpu);
        let limits = Machine::measure(model.threads()).filter(|_| on_processor);
        let [peak, bandwidth] =
            [limits.map(|limits| limits.flops), limits.map(|limits| limits.bandwidth)];
        let Work { flops, weights } = Work::of(&bundle, &mut model, self.part, self.batch)?;
        Ok(Report {
            model: bundle.manifest.name.clone(),
            source: bundle.source().display().to_string(),
            part: self.part.to_string(),
            batch: self.batch,
            threads: model.threads(),
            encoder: backends.encoder.map(|backend| backend.to_string()),
            decoder: backends.decoder.map(|backend| backend.to_string()),
            engines: backends.to_string(),
            load_us: microseconds(load),
            first_us: microseconds(first),
            runs: steady.runs,
            p50_us: microseconds(steady.p50),
            p90_us: microseconds(steady.p90),
            p99_us: microseconds(steady.p99),
            p999_us: microseconds(steady.p999),
            images_per_second: steady.rate() * self.batch as f64,
            peak_rss_bytes: rss,
            arithmetic: flops.map(|flops| Share::new(flops, steady.p50, peak)),
            weights: Share::new(weights, steady.p50, bandwidth),
            cold,
            layers,
        })
    }
}

/// Parses how long something is measured.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>().map(Duration::try_from_secs_f64) {
        Ok(Ok(time)) if !time.is_zero() && time <= Duration::from_hours(24) => Ok(time),
        _ => Err("a time is a number of seconds above 0, a day at most".into()),
    }
}
