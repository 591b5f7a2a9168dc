use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use vae_infer::Error;
use vae_infer::tuning::Goal;

use super::arrivals::Arrivals;
use super::measure::Measured;
use super::options::Options;
use super::scoring::{OnError, Scoring};
use super::source::Queue;

/// Decoded files that wait to be scored: more are read when there is room for them.
const WAITING: usize = 16;

/// Score images as they arrive in a folder
///
/// A file is taken when it was closed after writing or renamed into the folder or one below it, never
/// before it is whole; hidden files, and names that `score` would not look for in a folder (x.png.part,
/// x.tmp), are passed over. Every image gets the line of `score`, at once. The command ends after
/// --count images with the exit code of `score`, and after SIGINT or SIGTERM with 130 or 143, the images
/// that are under way scored.
#[derive(Args)]
pub(super) struct Watch {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Score the images that are there already, too
    #[arg(long)]
    existing: bool,
    /// End after this many images, those that could not be scored among them
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    count: Option<usize>,
    #[command(flatten)]
    scoring: Scoring,
}

impl Watch {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        if let Some(maps) = self.scoring.place.folder()
            && is_within(maps, &self.folder)?
        {
            bail!(
                "maps in `{}` would be watched themselves (hint: a folder outside of `{}`)",
                maps.display(),
                self.folder.display()
            );
        }
        let arrivals = |_: &Measured| {
            let (inlet, queue) = Queue::new(WAITING, false, self.count);
            Arrivals::watch(&self.folder, self.existing, inlet)?;
            Ok(queue)
        };
        self.scoring.run(arrivals, Goal::Latency, OnError::Skip, options)
    }
}

/// Whether a folder that need not exist yet lies in another one, or is it.
fn is_within(path: &Path, folder: &Path) -> Result<bool> {
    let folder = folder.canonicalize().map_err(Error::read(folder))?;
    let path = std::path::absolute(path).map_err(Error::write(path))?;
    let there = path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    Ok(there.is_some_and(|there| there.starts_with(folder)))
}
