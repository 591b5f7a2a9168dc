use std::collections::BTreeMap;
use std::fs::File;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;

use crate::batches::Batches;
use crate::checkpoint::Checkpoint;
use crate::cli::Fit;
use crate::config::RunConfig;
use crate::data::{self, Images};
use crate::device::Chosen;
use crate::evaluation::no_bound;
use crate::figures::Selection;
use crate::fit::{Data, Loop, Outcome};
use crate::frames::Frames;
use crate::kept;
use crate::means::{Means, evaluate};
use crate::objective::{KlEstimate, Objective, TermWeights};
use crate::progress::Progress;
use crate::run::{PROBE, Run, RunInfo};
use crate::say::say;
use crate::signals::Signals;
use crate::split::{Part, Split, split};
use crate::trained::Trained;

pub(super) fn run(options: Fit) -> Result<ExitCode> {
    match fit(options, &Signals::watch()?)? {
        Outcome::Finished => Ok(ExitCode::SUCCESS),
        Outcome::Interrupted(signal) => {
            say("stopped and saved; the same command with --resume goes on");
            Ok(ExitCode::from(128 + signal as u8))
        }
    }
}

/// Trains a model, or goes on with a run, and evaluates its best epoch.
///
/// # Errors
///
/// Where the configuration, the data and the run do not fit together, and as [`Loop::run`].
pub(crate) fn fit(options: Fit, signals: &Signals) -> Result<Outcome> {
    let config = RunConfig::load(&options.config, &options.settings)?;
    let resumed = match options.resume {
        true => Some(resume(&options, &config)?),
        false => Run::check_place(&options.out).map(|()| None)?,
    };
    let chosen = options.device.numbered(&options.devices, config.train.batch_size)?;
    config.train.precision.check(&chosen)?;
    let Chosen { device, name, .. } = &chosen;
    let objective = Objective::new(&config, device)?;
    let (source, folder, image) = (config.data.clone(), options.data.clone(), config.image.clone());
    let load = move || data::load(&source, folder.as_deref(), &image);
    let loaded = signals.clone().interruptible(load)?;
    let mut notes: Vec<String> = chosen.note().into_iter().chain(loaded.notes.clone()).collect();
    let mut info = RunInfo {
        data_sha256: loaded.train.hash.clone(),
        test_sha256: loaded.test.as_ref().map(|test| test.hash.clone()),
        features_sha256: objective.features_sha256().map(str::to_owned),
        classes: loaded.train.classes.clone(),
        images: [0; 3],
        data: options.data.as_deref().map(std::path::absolute).transpose()?,
        device: name.clone(),
        versions: versions(),
        metrics: BTreeMap::new(),
    };
    let split = split(loaded, &config);
    let shown = (!options.no_figures).then(|| Selection::of(&split));
    let Split { train, validation, test } = split;
    info.images = [&train, &validation, &test].map(Part::len);
    if validation.len() < config.train.validation {
        let (asked, held_out) = (config.train.validation, validation.len());
        notes.push(format!("{held_out} images are held out, a fifth of all, and not {asked}"));
    }
    let (run, _lock, checkpoint) = match resumed {
        Some(Resumed { run, lock, checkpoint, notes: more }) => {
            notes.extend(more);
            (run, lock, checkpoint)
        }
        None => {
            let run = Run::create(&options.out, &config)?;
            let lock = run.lock()?;
            (run, lock, None)
        }
    };
    match run.info()? {
        Some(begun) => {
            same_inputs(&begun, &info)?;
            match checkpoint {
                Some(_) => (info.device, info.versions) = (begun.device, begun.versions),
                None => run.write_info(&info)?,
            }
        }
        None => {
            let probe = if validation.is_empty() { &train } else { &validation };
            let places: Vec<usize> = (0..probe.len().min(PROBE)).collect();
            run.write_probe(&probe.images.read(&places)?)?;
            run.write_info(&info)?;
        }
    }
    let resident = |images: Images| {
        let batches = Batches::new(images, config.train.resident_mib, device);
        (!batches.is_empty()).then_some(batches)
    };
    let train = resident(train.images).context("there is no image to train on")?;
    let data = Data { train, validation: resident(validation.images) };
    super::tell(notes);
    if let Some(checkpoint) = &checkpoint {
        say(format!("going on after step {}", checkpoint.state.step));
    }
    announce(&config, &info, name, &data)?;
    let frames = (!options.no_figures).then(|| Frames::new(&config, &run, device)).transpose()?;
    let training =
        Loop::new(&config, &objective, &run, &data, &chosen, frames, checkpoint.as_ref());
    let outcome = training?.run(&Progress::stderr(), signals)?;
    if outcome == Outcome::Finished {
        finish(&run, &config, &objective, info, resident(test.images).as_ref(), device)?;
    }
    if let (Outcome::Finished, Some(shown)) = (outcome, shown) {
        let trained = Trained::open(&options.out, None, device.clone())?;
        let draw = move || super::figures::draw(&trained, &shown.read()?, &trained.run.figures());
        match signals.clone().interruptible(draw) {
            Ok(files) => {
                say(format!("{} figures are in `{}`", files.len(), run.figures().display()))
            }
            Err(error) => say(format!("warning: the run is whole, its figures are not: {error:#}")),
        }
    }
    Ok(outcome)
}

/// Holds the data and the feature network against those of the run's beginning.
fn same_inputs(begun: &RunInfo, info: &RunInfo) -> Result<()> {
    let hashes = |info: &RunInfo| (info.data_sha256.clone(), info.test_sha256.clone());
    if hashes(begun) != hashes(info) {
        bail!("the training data is not the data that the run was begun with");
    }
    if begun.features_sha256 != info.features_sha256 {
        bail!("the feature network is not the one that the run was begun with");
    }
    Ok(())
}

/// A run that was begun, its lock, its newest checkpoint, and what a user should know of it.
struct Resumed {
    run: Run,
    lock: File,
    checkpoint: Option<Checkpoint>,
    notes: Vec<String>,
}

/// Opens a run that was begun, locks it, and reads its newest checkpoint.
fn resume(options: &Fit, config: &RunConfig) -> Result<Resumed> {
    let run = Run::open(&options.out)?;
    let begun = run.config()?.stored_like(config);
    if begun != *config {
        let differences = begun.diff(config);
        bail!(
            "the run was begun with another configuration: {differences} (hint: `fit RUN/config.toml \
             --resume` takes it as it is)"
        );
    }
    let lock = run.lock()?;
    let Some((mut checkpoint, damaged)) = Checkpoint::newest(&run.checkpoints())? else {
        let notes = vec!["nothing has been saved yet, the run begins again".into()];
        return Ok(Resumed { run, lock, checkpoint: None, notes });
    };
    let older = |reason| format!("an older checkpoint is taken, since {reason}");
    let mut notes: Vec<String> = damaged.into_iter().map(older).collect();
    if let Some(broken) = checkpoint.forget_broken_best(&run.checkpoints()) {
        let done = checkpoint.state.epoch;
        if done >= config.train.epochs {
            bail!(
                "the weights of the best epoch are lost, and none is to come: {broken:#} (hint: `export --epoch {done}` \
                 and the like take the last one's)"
            );
        }
        notes.push(format!("the best epoch is chosen among those to come, since {broken:#}"));
    }
    Ok(Resumed { run, lock, checkpoint: Some(checkpoint), notes })
}

fn announce(config: &RunConfig, info: &RunInfo, device: &str, data: &Data) -> Result<()> {
    let [encoder, decoder] = config.model.cost(config.image.shape())?;
    let cost = encoder + decoder;
    let [train, validation, test] = info.images;
    let place = data.train.place();
    say(format!(
        "{}: {} parameters, {:.1} MFLOP an image; {train} images to train on ({place}), {validation} \
         to validate, {test} to test; device {device}",
        config.name,
        cost.parameters,
        cost.flops as f64 / 1e6,
    ));
    Ok(())
}

/// Evaluates the best epoch on the test images, or on nothing, and writes the final figures.
fn finish(
    run: &Run,
    config: &RunConfig,
    objective: &Objective,
    mut info: RunInfo,
    test: Option<&Batches>,
    device: &Device,
) -> Result<()> {
    let (vae, epoch) = kept::best(run, config, device)?;
    let lines = run.metrics()?;
    let best = lines.iter().find(|line| line.epoch == epoch).context("metrics.jsonl is short")?;
    let weights = config.weights();
    let (latent, seed) = (config.model.latent, config.seed);
    let test = test.map(|test| evaluate(&vae, objective, test, latent, seed, device));
    let test = test.transpose().context("on the test images")?;
    info.metrics.insert("epoch".into(), epoch as f64);
    let bounded = no_bound(config)?.is_none();
    let parts = [("train", Some(best.train)), ("validation", best.validation), ("test", test)];
    for (part, means) in parts {
        let Some(means) = means else { continue };
        for (name, value) in figures(&means, weights, bounded) {
            info.metrics.insert(format!("{part}_{name}"), value);
        }
    }
    run.write_info(&info)?;
    if let Some(means) = test {
        let binarized =
            config.image.binarize.map_or("grey".into(), |t| format!("binarized at {t}"));
        let likelihood = serde_json::to_value(config.model.likelihood)?;
        let TermWeights { beta, perceptual: weight } = weights;
        let perceptual = means.perceptual.map(|distance| format!(" + {weight} x {distance:.5}"));
        let elbo = if bounded { format!(", ELBO {:.3}", means.elbo()) } else { String::new() };
        let kl = match config.train.kl {
            KlEstimate::Analytic => "KL in closed form",
            KlEstimate::Sampled => "KL at that draw",
        };
        say(format!(
            "best epoch {epoch}: test loss {:.3} = {:.3} + {beta} x {:.3}{}{} ({} images, {binarized}; \
             {} likelihood, sums over pixels, one draw of z, {kl})",
            means.loss(weights),
            means.reconstruction,
            means.kl,
            perceptual.unwrap_or_default(),
            elbo,
            info.images[2],
            likelihood["kind"].as_str().unwrap_or_default(),
        ));
    } else {
        say(format!("best epoch {epoch}"));
    }
    Ok(())
}

/// The final figures of a part, with the evidence lower bound where the model has one.
fn figures(means: &Means, weights: TermWeights, bounded: bool) -> Vec<(&'static str, f64)> {
    let mut figures = vec![
        ("loss", means.loss(weights)),
        ("reconstruction", means.reconstruction),
        ("kl", means.kl),
    ];
    figures.extend(bounded.then(|| ("elbo", means.elbo())));
    figures.extend(means.perceptual.map(|distance| ("perceptual", distance)));
    figures
}

/// The version of Burn that the workspace asks for.
const BURN: &str = "0.22";

fn versions() -> BTreeMap<String, String> {
    let versions = [("vae-train", env!("CARGO_PKG_VERSION")), ("burn", BURN)];
    versions.map(|(name, version)| (name.to_owned(), version.to_owned())).into()
}
