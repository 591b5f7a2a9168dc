//! A report on runs: one HTML file that needs no network and no script.

mod page;
mod pictures;

use std::path::{Path, PathBuf};

use anyhow::Result;
use vae_infer::manifest::Parity;
use vae_infer::write as files;

use crate::config::RunConfig;
use crate::evaluation::Evaluation;
use crate::run::{EpochMetrics, Run, RunInfo, distinct};

pub use pictures::Picture;

/// All that a report shows of a run.
#[derive(Debug)]
pub struct Shown {
    /// Its name, or its folder where another run of the report has the same name.
    pub name: String,
    /// What was asked.
    pub config: RunConfig,
    /// What the run noted.
    pub info: RunInfo,
    /// One line an epoch.
    pub metrics: Vec<EpochMetrics>,
    /// The evaluations that were made, by part and epoch.
    pub evaluations: Vec<Evaluation>,
    /// The differences between engines at the last export.
    pub parity: Vec<Parity>,
    /// The figures that were drawn.
    pub pictures: Vec<Picture>,
}

impl Shown {
    /// Reads a run's folder.
    ///
    /// # Errors
    ///
    /// Where it is not a run, or where a file of it is damaged.
    pub fn read(folder: &Path) -> Result<Self> {
        let run = Run::open(folder)?;
        let info = run.info()?;
        let config = run.config()?;
        Ok(Self {
            name: config.name.clone(),
            config,
            info: info.ok_or_else(|| anyhow::anyhow!("`{}` has no run.json", folder.display()))?,
            metrics: run.metrics()?,
            evaluations: run.evaluations()?,
            parity: run.parity()?,
            pictures: pictures::read(&folder.join("figures"))?,
        })
    }
}

/// Writes a report on one run, or one that compares several.
///
/// # Errors
///
/// As [`Shown::read`], and where the file cannot be written.
pub fn write(runs: &[PathBuf], out: &Path) -> Result<()> {
    let mut shown = runs.iter().map(|run| Shown::read(run)).collect::<Result<Vec<_>>>()?;
    let names = shown.iter().map(|run| run.config.name.clone()).collect();
    let folders: Vec<_> = runs.iter().map(PathBuf::as_path).collect();
    for (run, name) in shown.iter_mut().zip(distinct(names, &folders)) {
        run.name = name;
    }
    Ok(files::atomically(out, page::html(&shown).as_bytes())?)
}
