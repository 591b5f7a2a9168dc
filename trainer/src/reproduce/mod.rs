//! The five systems that this project grew out of, each trained, evaluated and shown by one call.

mod made;
mod seeds;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub use seeds::{Fit, Row, SEEDS, Seed};
use table::Line;

use crate::cli;
use crate::commands;
use crate::device::DeviceName;
use crate::evaluation;
use crate::figures::{self, HeldOut};
use crate::fit::Outcome;
use crate::report;
use crate::run::Run;
use crate::trained::Trained;

/// What a reproduction is asked for.
#[derive(Debug)]
pub struct Options<'a> {
    /// The folder with the data sets; a quick run makes its own images.
    pub data: Option<&'a Path>,
    /// The folder for runs, figures, report and table. Runs that are there are resumed.
    pub out: &'a Path,
    /// Whether everything is small, to see that it works.
    pub quick: bool,
    /// Where to compute.
    pub device: DeviceName,
}

impl Options<'_> {
    fn run(&self, fit: &Fit) -> PathBuf {
        self.out.join(fit.name)
    }
}

/// Trains, evaluates, draws and exports the runs of seeds, and writes `report.html` and `seeds.md`.
///
/// # Errors
///
/// Where a step fails, with the run's name.
pub fn reproduce(seeds: &[&Seed], options: &Options<'_>) -> Result<()> {
    let mut lines = vec![];
    let mut runs = vec![];
    for seed in seeds {
        let data = data(seed, options)?;
        for fit in seed.runs {
            train(fit, data.as_deref(), options).with_context(|| format!("in {}", fit.name))?;
            runs.push(options.run(fit));
        }
        if seed.noise {
            compare_noise(seed, options).with_context(|| format!("in {}", seed.name))?;
        }
        for row in seed.rows {
            lines.push(compare(seed, row, options).with_context(|| format!("in {}", row.run))?);
        }
    }
    report::write(&runs, &options.out.join("report.html"))?;
    table::write(seeds, &lines, options.quick, options.out)
}

/// The folder of a seed's images.
fn data(seed: &Seed, options: &Options<'_>) -> Result<Option<PathBuf>> {
    let Some(name) = seed.data else { return Ok(None) };
    if options.quick {
        let folder = options.out.join("made").join(name);
        let (shape, classes) = if name == "eyes" { ([3, 50, 50], 2) } else { ([1, 28, 28], 10) };
        made::write(&folder, shape, classes)?;
        return Ok(Some(folder));
    }
    let Some(data) = options.data else {
        bail!("{} needs its images: --data DIR, with `{name}/` in it", seed.name);
    };
    Ok(Some(data.join(name)))
}

/// Trains a run to its end, or goes on with one that is there; then its figures and its bundle.
fn train(fit: &Fit, data: Option<&Path>, options: &Options<'_>) -> Result<()> {
    let out = options.run(fit);
    let quick = if options.quick { fit.quick } else { &[] };
    let outcome = commands::fit::fit(cli::Fit {
        config: fit.preset.to_owned(),
        data: data.map(Into::into),
        resume: Run::open(&out).is_ok(),
        out: out.clone(),
        device: options.device,
        settings: fit.settings.iter().chain(quick).map(|s| (*s).to_owned()).collect(),
    })?;
    if let Outcome::Interrupted(_) = outcome {
        bail!("the run was stopped (the same command goes on with it)");
    }
    let bundle = out.join("bundle");
    let (epoch, ort_lib) = (None, None);
    let export = cli::Export { run: out, out: bundle, epoch, force: true, ort_lib };
    commands::export::export(&export).map(drop)
}

/// Draws what the runs of a seed make of the same noise, into a folder like those of its runs.
fn compare_noise(seed: &Seed, options: &Options<'_>) -> Result<()> {
    let open = |fit: &Fit| Trained::open(&options.run(fit), None, options.device);
    let trained = seed.runs.iter().map(open).collect::<Result<Vec<_>>>()?;
    let Some(first) = trained.first() else { return Ok(()) };
    let held_out = HeldOut::of(&first.data(None)?);
    let names = seed.runs.iter().map(|fit| fit.name);
    let runs: Vec<_> = names.zip(&trained).collect();
    let folder = options.out.join(seed.name).join("figures");
    figures::compare_noise(&runs, &held_out, &folder).map(drop)
}

/// Evaluates the weights of a row on its images.
fn compare(seed: &Seed, row: &Row, options: &Options<'_>) -> Result<Line> {
    let epoch = if options.quick { None } else { row.epoch };
    let trained = Trained::open(&options.out.join(row.run), epoch, options.device)?;
    let split = trained.data(None)?;
    let part = Some(row.part);
    let asked = evaluation::Options { part, ..Default::default() };
    let evaluation = evaluation::evaluate(&trained, &split, &asked)?;
    trained.run.write_evaluation(&evaluation)?;
    Line::new(seed, row, &evaluation)
}
