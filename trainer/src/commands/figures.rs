use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::print;
use crate::cli::Figures;
use crate::figures::{self, HeldOut, Selection, Written};
use crate::run::distinct;
use crate::say::say;
use crate::trained::Trained;

pub(super) fn run(options: Figures) -> Result<ExitCode> {
    let open = |run: &Path| -> Result<(Trained, HeldOut)> {
        let trained = super::open(run, None, options.device)?;
        let split = trained.data(options.data.as_deref())?;
        let held_out = Selection::of(&split).read()?;
        Ok((trained, held_out))
    };
    let (trained, held_out) = open(&options.run)?;
    let mut others = vec![];
    for other in &options.others {
        let (compared, images) = open(other)?;
        if images.images != held_out.images {
            let (run, other) = (options.run.display(), other.display());
            bail!("`{other}` has other held-out images than `{run}`, they cannot be compared");
        }
        others.push(compared);
    }
    let folder = options.out.clone().unwrap_or_else(|| trained.run.figures());
    let mut files = draw(&trained, &held_out, &folder)?;
    if !others.is_empty() {
        let folders = [&options.run].into_iter().chain(&options.others).map(PathBuf::as_path);
        let runs: Vec<_> = [&trained].into_iter().chain(&others).collect();
        let names = runs.iter().map(|run| run.config.name.clone()).collect();
        let names = distinct(names, &folders.collect::<Vec<_>>());
        let runs: Vec<_> = names.iter().map(String::as_str).zip(runs).collect();
        files.push(figures::compare_noise(&runs, &held_out, &folder)?);
    }
    let lines: String = files.iter().map(|file| format!("{}\n", file.display())).collect();
    print(&lines)
}

/// Draws a run's figures, says which are left out and why, and gives the files.
pub(super) fn draw(trained: &Trained, held_out: &HeldOut, folder: &Path) -> Result<Vec<PathBuf>> {
    let Written { files, left_out } = figures::write(trained, held_out, folder)?;
    for reason in left_out {
        say(format!("note: {reason}"));
    }
    Ok(files)
}
