//! The five systems that this project grew out of, each trained, evaluated and shown by one call.

pub(crate) mod made;
mod seeds;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use vae_infer::anomaly::Method;

pub use seeds::{Fit, Row, SEEDS, Seed};
use table::Line;

use crate::cli::{self, PrecisionName};
use crate::commands;
use crate::device::DeviceName;
use crate::evaluation::{self, Protocol};
use crate::figures::{self, Selection};
use crate::fit::Outcome;
use crate::report;
use crate::run::Run;
use crate::say::say;
use crate::signals::Signals;
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

    /// The weights of a fit's feature network, where they are not part of the program.
    fn weights(&self, fit: &Fit) -> Option<PathBuf> {
        self.data.zip(fit.weights).map(|(data, weights)| data.join(weights))
    }

    /// Whether a fit has what it needs.
    fn takes(&self, fit: &Fit) -> bool {
        let there = self.weights(fit).is_some_and(|weights| weights.is_file());
        fit.weights.is_none() || there && !self.quick
    }
}

/// Trains, evaluates, draws and exports the runs of seeds, and writes a report and a table: for all
/// seeds `report.html` and `seeds.md`, for some of them under the seeds' names.
///
/// A signal ends it after the step that is under way.
///
/// # Errors
///
/// Where images are missing, before anything is trained; where a step fails, with the run's name.
pub fn reproduce(
    seeds: &[&Seed],
    options: &Options<'_>,
    signals: &Signals,
) -> Result<(Outcome, PathBuf)> {
    let folders = seeds.iter().map(|seed| data(seed, options)).collect::<Result<Vec<_>>>()?;
    let [page, table] = match seeds.len() == SEEDS.len() {
        true => ["report.html", "seeds.md"].map(|name| options.out.join(name)),
        false => {
            let names: Vec<_> = seeds.iter().map(|seed| seed.name).collect();
            [".html", ".md"].map(|extension| options.out.join(names.join("-") + extension))
        }
    };
    let mut lines = vec![];
    let mut runs = vec![];
    for (seed, data) in seeds.iter().zip(folders) {
        for fit in seed.runs {
            if !options.takes(fit) {
                let weights = fit.weights.unwrap_or_default();
                say(format!("note: {} is left out: it takes `{weights}` below --data", fit.name));
                continue;
            }
            let outcome = train(fit, data.as_deref(), options, signals)
                .with_context(|| format!("in {}", fit.name))?;
            if outcome != Outcome::Finished {
                return Ok((outcome, table));
            }
            runs.push(options.run(fit));
        }
        if seed.noise {
            compare_noise(seed, options).with_context(|| format!("in {}", seed.name))?;
        }
        let left_out = |row: &Row| {
            let mut fits = seed.runs.iter().filter(|fit| fit.name == row.run);
            fits.any(|fit| !options.takes(fit))
        };
        for row in seed.rows.iter().filter(|row| !left_out(row)) {
            lines.push(compare(seed, row, options).with_context(|| format!("in {}", row.run))?);
            if let Some(signal) = signals.received() {
                return Ok((Outcome::Interrupted(signal), table));
            }
        }
    }
    report::write(&runs, &page)?;
    table::write(seeds, &lines, options, &table)?;
    Ok((Outcome::Finished, table))
}

/// The folder of a seed's images, which is there.
fn data(seed: &Seed, options: &Options<'_>) -> Result<Option<PathBuf>> {
    let Some(name) = seed.data else { return Ok(None) };
    if options.quick {
        let folder = options.out.join("made").join(name);
        let (shape, classes) = if name == "eyes" { ([3, 50, 50], 2) } else { ([1, 28, 28], 10) };
        made::write(&folder, shape, 0..classes)?;
        return Ok(Some(folder));
    }
    let Some(data) = options.data else {
        bail!("{} needs its images: --data DIR, with `{name}/` in it", seed.name);
    };
    let folder = data.join(name);
    if !folder.is_dir() {
        bail!("{} needs its images, and there is no folder `{}`", seed.name, folder.display());
    }
    Ok(Some(folder))
}

/// Trains a run to its end, or goes on with one that is there; then its figures and its bundle.
fn train(
    fit: &Fit,
    data: Option<&Path>,
    options: &Options<'_>,
    signals: &Signals,
) -> Result<Outcome> {
    let out = options.run(fit);
    let quick = if options.quick { fit.quick } else { &[] };
    let asked = cli::Fit {
        config: fit.preset.to_owned(),
        data: data.map(Into::into),
        resume: Run::open(&out).is_ok(),
        no_figures: false,
        out: out.clone(),
        device: options.device,
        devices: vec![],
        settings: fit
            .settings
            .iter()
            .chain(quick)
            .map(|s| (*s).to_owned())
            .chain(options.weights(fit).map(|path| perceptual_weights(&path)))
            .collect(),
    };
    let outcome = commands::fit::fit(asked, signals)?;
    if outcome == Outcome::Finished {
        let bundle = out.join("bundle");
        let export = cli::Export {
            run: out,
            out: bundle,
            epoch: None,
            precision: PrecisionName::F32,
            calibrate: None,
            data: None,
            score: Method::Mse,
            allow_slower: false,
            force: true,
            ort_lib: None,
        };
        commands::export::export(&export)?;
    }
    Ok(outcome)
}

/// The setting of a feature network's weights.
fn perceptual_weights(path: &Path) -> String {
    format!("train.perceptual.weights={}", toml::Value::from(path.display().to_string()))
}

/// Draws what the first two runs of a seed make of the same noise, among the first one's figures.
fn compare_noise(seed: &Seed, options: &Options<'_>) -> Result<()> {
    let [first, second, ..] = seed.runs else { return Ok(()) };
    let device = options.device.open()?.device;
    let open = |fit: &Fit| Trained::open(&options.run(fit), None, device.clone());
    let trained = [open(first)?, open(second)?];
    let held_out = Selection::of(&trained[0].data(None)?).read()?;
    let runs = [(first.name, &trained[0]), (second.name, &trained[1])];
    figures::compare_noise(&runs, &held_out, &trained[0].run.figures()).map(drop)
}

/// Evaluates the weights of a row on its images, unless that was done.
fn compare(seed: &Seed, row: &Row, options: &Options<'_>) -> Result<Line> {
    let epoch = if options.quick { None } else { row.epoch };
    let device = options.device.open()?.device;
    let trained = Trained::open(&options.out.join(row.run), epoch, device)?;
    let kept = trained.run.evaluations()?.into_iter().find(|kept| {
        let Protocol { part, epoch, images, images_in_part, .. } = &kept.protocol;
        (*part, *epoch) == (row.part, trained.epoch) && images == images_in_part
    });
    let evaluation = match kept {
        Some(kept) => kept,
        None => {
            let asked = evaluation::Options { part: Some(row.part), ..Default::default() };
            let evaluation = evaluation::evaluate(&trained, &trained.data(None)?, &asked)?;
            trained.run.write_evaluation(&evaluation)?;
            evaluation
        }
    };
    Line::new(seed, row, &evaluation)
}
