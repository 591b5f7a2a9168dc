//! How long a fresh process takes to its first answer.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use vae_infer::measure::{Batch, Loaded};
use vae_infer::tuning::Goal;
use vae_infer::{Error, machine};

use super::super::lines::Lines;
use super::super::options::{Format, Options};
use super::super::units::microseconds;
use super::Bench;

/// Fresh processes, from their start to their end.
#[derive(Serialize)]
pub(super) struct Cold {
    pub(super) processes: usize,
    /// The median, by nearest rank.
    pub(super) p50_us: f64,
    pub(super) min_us: f64,
    pub(super) max_us: f64,
    /// The median of the most memory that each took.
    pub(super) peak_rss_bytes: Option<u64>,
}

/// What a fresh process says.
#[derive(Serialize, Deserialize)]
struct Answer {
    peak_rss_bytes: Option<u64>,
}

impl Cold {
    /// Starts processes of this program, one after the other, that do as `bench` was told to.
    pub(super) fn measure(processes: usize, bench: &Bench, options: &Options) -> Result<Self> {
        let program = std::env::current_exe().map_err(Error::read("this program"))?;
        let mut command = Command::new(&program);
        command.args(["bench", "--once", "--part", &bench.part.to_string()]);
        command.args(["--batch", &bench.batch.to_string()]);
        options.tell(&mut command, bench.place.as_deref());
        command.stdin(Stdio::null());

        let (mut times, mut peaks) = (Vec::with_capacity(processes), Vec::new());
        for _ in 0..processes {
            let start = Instant::now();
            let output = command.output().map_err(Error::read(&program))?;
            times.push(start.elapsed());
            if !output.status.success() {
                let talk = String::from_utf8_lossy(&output.stderr);
                bail!("a fresh process failed: {}", talk.trim().trim_start_matches("error: "));
            }
            let answer: Answer =
                serde_json::from_slice(&output.stdout).context("a fresh process gave no answer")?;
            peaks.extend(answer.peak_rss_bytes);
        }
        times.sort_unstable();
        peaks.sort_unstable();
        let time = |at: usize| times.get(at).copied().map_or(0.0, microseconds);
        Ok(Self {
            processes,
            p50_us: time(middle(processes)),
            min_us: time(0),
            max_us: time(processes - 1),
            peak_rss_bytes: peaks.get(middle(peaks.len())).copied(),
        })
    }

    pub(super) fn median(&self) -> Duration {
        Duration::from_secs_f64(self.p50_us / 1e6)
    }
}

/// The place of the median among so many sorted values, by nearest rank.
fn middle(count: usize) -> usize {
    count.div_ceil(2).saturating_sub(1)
}

impl Bench {
    /// What a fresh process does.
    pub(super) fn once(&self, options: &Options) -> Result<()> {
        let bundle = options.bundle_at(self.place.as_deref())?;
        let loaded = options.prepare(&bundle, Goal::of(self.batch), |engine| {
            let mut model = Loaded::load(&bundle, engine, self.part)?;
            if let Some(stamps) = options.selftest() {
                model.test(&bundle, engine, &stamps)?;
            }
            Ok(model)
        })?;
        let mut model = loaded.model;
        model.run(&Batch::recorded(&bundle, self.batch)?)?;
        let answer = Answer { peak_rss_bytes: machine::peak_memory() };
        let mut lines = Lines::new(Format::Json);
        lines.print(&answer, |_| String::new())?;
        lines.flush()
    }
}
