//! What `tune` says.

use std::time::Duration;

use serde::Serialize;
use vae_infer::Bundle;
use vae_infer::tuning::Goal;

use super::super::units::{self, digits};
use super::candidates::{Measured, Out, Table};

/// The times that are taken for the same: the first candidate so close to the best one is chosen,
/// which has the fewest threads.
const NOISE: f64 = 1.03;

/// Every candidate, and the best ones.
#[derive(Serialize)]
pub(super) struct Report {
    model: String,
    /// What is chosen for; for both where nothing is said.
    goal: Option<Goal>,
    /// The best for one image.
    latency: Option<Measured>,
    /// The best for many.
    throughput: Option<Measured>,
    #[serde(flatten)]
    table: Table,
}

impl Report {
    /// The best of a bundle's candidates.
    pub(super) fn new(bundle: &Bundle, goal: Option<Goal>, table: Table) -> Self {
        let alone = |row: &&Measured| row.batch == 1;
        let rows = || table.measured.iter();
        let fastest = rows().filter(alone).map(|row| row.p50_us).fold(f64::INFINITY, f64::min);
        let most = rows().map(|row| row.images_per_second).fold(0.0, f64::max);
        Self {
            model: bundle.manifest.name.clone(),
            goal,
            latency: rows().filter(alone).find(|row| row.p50_us <= fastest * NOISE).cloned(),
            throughput: rows().find(|row| row.images_per_second * NOISE >= most).cloned(),
            table,
        }
    }

    /// The candidates, to which those of other bundles may be added.
    pub(super) fn table(&mut self) -> &mut Table {
        &mut self.table
    }

    /// The best for a goal.
    pub(super) fn best(&self, goal: Goal) -> Option<&Measured> {
        match goal {
            Goal::Latency => self.latency.as_ref(),
            Goal::Throughput => self.throughput.as_ref(),
        }
    }

    /// A line a candidate.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![line(
            ["precision", "engine", "threads", "batch", "p50", "p99", "images/s"].map(Into::into),
        )];
        lines.extend(self.table.measured.iter().map(|row| {
            let Measured { precision, engine, provider, threads, batch, .. } = row;
            let time = |time: f64| units::time(Duration::from_secs_f64(time / 1e6));
            line([
                precision.clone(),
                format!("{engine}/{provider}"),
                threads.to_string(),
                batch.to_string(),
                time(row.p50_us),
                time(row.p99_us),
                digits(row.images_per_second),
            ])
        }));
        lines.extend(self.table.out.iter().map(|row| {
            let Out { precision, engine, provider, reason, .. } = row;
            let provider = provider.map_or(String::new(), |provider| format!("/{provider}"));
            format!("{precision:<9}  {:<14}  out: {reason}", format!("{engine}{provider}"))
        }));
        lines.extend(Goal::ALL.into_iter().filter_map(|goal| {
            let Measured { engine, provider, threads, batch, .. } = self.best(goal)?;
            Some(format!("best {goal}: {engine}/{provider}, --threads {threads}, batch {batch}"))
        }));
        lines.join("\n")
    }
}

fn line([precision, engine, threads, batch, p50, p99, images]: [String; 7]) -> String {
    let which = format!("{precision:<9}  {engine:<14}  {threads:>7}  {batch:>5}");
    format!("{which}  {p50:>9}  {p99:>9}  {images:>9}")
}
