//! One case: a network is trained, and its scores are measured.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use vae_infer::sha256;

use super::held_out::{HeldOut, Mirror, Tests};
use super::measured::{Comparison, Measured};
use super::plan::{Case, Part};
use super::scorer::Scorer;
use super::{Options, folder};
use crate::anomaly::{self, ranking::auroc};
use crate::cli;
use crate::commands;
use crate::config::RunConfig;
use crate::data::spread;
use crate::device::DeviceName;
use crate::fit::Outcome;
use crate::pca;
use crate::run::{self, Run};
use crate::signals::Signals;
use crate::trained::Trained;

/// Draws an image for the scores that draw.
pub(super) const DRAWS: usize = 16;
/// Likewise for each patch of a picture.
pub(super) const DRAWS_OF_PATCHES: usize = 2;

/// Images on which engines are compared where none is held out.
const PROBE: usize = 64;

/// How a case was left.
pub(super) enum State {
    /// It was measured before.
    Known,
    /// It was measured now: what its best score is.
    New(String),
    /// Another process measures it.
    Elsewhere,
    /// A signal, by its number, stopped its training after a step.
    Interrupted(i32),
}

/// The configuration of a case's run, and its SHA-256.
///
/// # Errors
///
/// As [`RunConfig::load`].
pub(super) fn config(case: &Case, options: &Options<'_>) -> Result<(RunConfig, String)> {
    let config = RunConfig::load(case.part.preset(), &case.settings(options.quick))?;
    let sha256 = sha256(config.to_toml().as_bytes());
    Ok((config, sha256))
}

/// Measures a case that was not measured yet, or goes on with it.
///
/// # Errors
///
/// Where it was measured with other settings, and those of training, export and scores.
pub(super) fn measure(
    case: &Case,
    options: &Options<'_>,
    tests: &mut Tests,
    signals: &Signals,
) -> Result<State> {
    let settings = case.settings(options.quick);
    let (config, config_sha256) = config(case, options)?;
    let place = options.out.join(case.name());
    let known = || -> Result<bool> {
        let measured = Measured::read(&place)?;
        measured.map_or(Ok(false), |known| known.check(&config_sha256, &place).map(|()| true))
    };
    if known()? {
        return Ok(State::Known);
    }
    std::fs::create_dir_all(&place)
        .with_context(|| format!("cannot create `{}`", place.display()))?;
    let Some(_lock) = run::lock(&place.join("lock"))? else {
        return Ok(State::Elsewhere);
    };
    // Another process may have ended with it since.
    if known()? {
        return Ok(State::Known);
    }
    let run = place.join("run");
    let data = match case.part {
        Part::Tiles => {
            let patches = place.join("patches");
            tests.tiles(options)?.write_patches(case.seed, &patches)?;
            patches
        }
        _ => folder(&case.set, options)?,
    };
    let fit = cli::Fit {
        config: case.part.preset().to_owned(),
        data: Some(data),
        resume: Run::open(&run).is_ok(),
        out: run.clone(),
        device: options.device,
        devices: vec![],
        settings,
        no_figures: true,
    };
    if let Outcome::Interrupted(signal) = commands::fit::fit(fit, signals)? {
        return Ok(State::Interrupted(signal));
    }
    // The weights of the last epoch, whatever the best one was.
    let trained = Trained::open(&run, Some(config.train.epochs), DeviceName::Cpu.open()?.device)?;
    let mut split = trained.data(None)?;
    if split.validation.is_empty() {
        split.validation = split.train.select(&spread(split.train.len(), PROBE));
    }
    let bundle = anomaly::bundle(&trained, &split)?;
    let train = pca::fitted_on(&split.train.images)?;
    let comparisons = match case.part {
        Part::Tiles => tests.tiles(options)?.compare(case.seed, &bundle, train.view())?,
        _ => {
            let scorer = Scorer::new(&bundle, train.view(), DRAWS);
            compare(&scorer, &tests.of(case, &config.image, options)?)?
        }
    };
    let best = best(&comparisons);
    let data_sha256 = trained.info.data_sha256;
    Measured { config_sha256, data_sha256, comparisons }.write(&place)?;
    if !options.keep {
        let checkpoints = trained.run.checkpoints();
        std::fs::remove_dir_all(&checkpoints)
            .with_context(|| format!("cannot remove `{}`", checkpoints.display()))?;
    }
    Ok(State::New(best))
}

/// The areas under the ROC curve of all scores.
fn compare(scorer: &Scorer<'_>, held_out: &HeldOut) -> Result<Vec<Comparison>> {
    let normal = scorer.scores_of(&held_out.normal, Mirror::None)?;
    let compared = held_out.abnormal.iter().map(|(what, images, mirror)| {
        let abnormal = scorer.scores_of(images, *mirror)?;
        let pairs = normal.iter().zip(&abnormal);
        let auroc =
            pairs.map(|((name, normal), (_, abnormal))| (name.clone(), auroc(normal, abnormal)));
        Ok(Comparison {
            abnormal: what.clone(),
            images: [held_out.normal.len(), images.len()],
            auroc: auroc.collect(),
            pixel_auroc: BTreeMap::new(),
            overlap: BTreeMap::new(),
        })
    });
    compared.collect()
}

/// The best score of every comparison.
fn best(comparisons: &[Comparison]) -> String {
    let best = comparisons.iter().filter_map(|Comparison { abnormal, auroc, .. }| {
        let (score, auroc) = auroc.iter().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        Some(format!("{abnormal}: {score} {auroc:.4}"))
    });
    best.collect::<Vec<_>>().join(", ")
}
