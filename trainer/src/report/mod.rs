//! A report on runs: one HTML file that needs no network and no script.

mod page;
mod pictures;

use std::path::{Path, PathBuf};

use anyhow::Result;
use vae_infer::manifest::{Manifest, Parity};
use vae_infer::{MANIFEST, images, write as files};

use crate::config::RunConfig;
use crate::evaluation::Evaluation;
use crate::run::{EpochMetrics, Run, RunInfo};

pub use pictures::Picture;

/// All that a report shows of a run.
#[derive(Debug)]
pub struct Shown {
    /// What was asked.
    pub config: RunConfig,
    /// What the run noted.
    pub info: RunInfo,
    /// One line an epoch.
    pub metrics: Vec<EpochMetrics>,
    /// The evaluations that were made, by part and epoch.
    pub evaluations: Vec<Evaluation>,
    /// The differences between engines, where the run was exported into its folder.
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
        let manifest = folder.join("bundle").join(MANIFEST);
        let parity = match manifest.exists() {
            true => {
                Manifest::from_json(&images::read_file(&manifest)?)
                    .map_err(|reason| anyhow::anyhow!("`{}`: {reason}", manifest.display()))?
                    .parity
            }
            false => vec![],
        };
        Ok(Self {
            config: run.config()?,
            info: info.ok_or_else(|| anyhow::anyhow!("`{}` has no run.json", folder.display()))?,
            metrics: run.metrics()?,
            evaluations: run.evaluations()?,
            parity,
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
    let shown = runs.iter().map(|run| Shown::read(run)).collect::<Result<Vec<_>>>()?;
    Ok(files::atomically(out, page::html(&shown).as_bytes())?)
}
