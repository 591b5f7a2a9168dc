use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use ndarray::{Array4, Axis};

use crate::batches::Batches;
use crate::checkpoint::Checkpoint;
use crate::cli::Fit;
use crate::config::RunConfig;
use crate::data::{self, Loaded};
use crate::device::Chosen;
use crate::draws::{self, Purpose};
use crate::evaluate::{Means, evaluate};
use crate::fit::{self, Data, Loop, Outcome};
use crate::progress::Progress;
use crate::run::{Run, RunInfo};
use crate::signals::Signals;

pub(super) fn run(options: Fit) -> Result<ExitCode> {
    let config = RunConfig::load(&options.config, &options.settings)?;
    let (run, checkpoint) = match options.resume {
        true => resume(&options, &config)?,
        false => (None, None),
    };
    let Chosen { device, name } = options.device.open()?;
    let loaded = data::load(&config.data, options.data.as_deref(), &config.image)?;
    for note in &loaded.notes {
        eprintln!("note: {note}");
    }
    let hash = loaded.train.hash.clone();
    if let Some(run) = &run
        && run.info()?.data_sha256 != hash
    {
        bail!("the training data is not the data that the run was begun with");
    }
    let Images { train, validation, test, classes } = split(loaded, &config)?;
    let counts = [&train, &validation, &test].map(|images| images.len_of(Axis(0)));
    let info = RunInfo {
        preset: config.name.clone(),
        data_sha256: hash,
        classes,
        images: counts,
        device: name.to_owned(),
        versions: versions(),
        metrics: BTreeMap::new(),
    };
    let run = match run {
        Some(run) => run,
        None => Run::create(&options.out, &config)?,
    };
    let probe = if counts[1] > 0 { &validation } else { &train };
    run.write_probe(probe)?;
    run.write_info(&info)?;

    let resident = |images| Batches::new(images, config.train.resident_mib, &device);
    let data = Data {
        train: resident(train),
        validation: (counts[1] > 0).then(|| resident(validation)),
    };
    announce(&config, &info, &data)?;
    let signals = Signals::watch()?;
    let outcome = Loop::new(&config, &run, &data, &device, checkpoint.as_ref())?
        .run(&Progress::stderr(), &signals)?;
    if let Outcome::Interrupted(signal) = outcome {
        eprintln!("stopped and saved; the same command with --resume goes on");
        return Ok(ExitCode::from(128 + signal as u8));
    }
    let test = (counts[2] > 0).then(|| resident(test));
    finish(&run, &config, info, test.as_ref(), &device)?;
    Ok(ExitCode::SUCCESS)
}

fn resume(options: &Fit, config: &RunConfig) -> Result<(Option<Run>, Option<Checkpoint>)> {
    let run = Run::open(&options.out)?;
    let begun = run.config()?;
    if begun != *config {
        let differences = begun.diff(config);
        bail!("the run was begun with another configuration: {differences}");
    }
    let Some((checkpoint, damaged)) = Checkpoint::newest(&run.checkpoints())? else {
        eprintln!("note: nothing has been saved yet, the run begins again");
        return Ok((Some(run), None));
    };
    for reason in damaged {
        eprintln!("note: an older checkpoint is taken, since {reason}");
    }
    eprintln!("going on after step {}", checkpoint.state.step);
    Ok((Some(run), Some(checkpoint)))
}

/// Images by their part in a run, `[N, C, H, W]` each.
struct Images {
    train: Array4<f32>,
    validation: Array4<f32>,
    test: Array4<f32>,
    classes: Vec<String>,
}

/// Holds images out for validation, chosen by the seed.
fn split(loaded: Loaded, config: &RunConfig) -> Result<Images> {
    let Loaded { train, test, .. } = loaded;
    let (images, classes) = (train.images, train.classes);
    let (count, held_out) = (images.len_of(Axis(0)), config.train.validation);
    if held_out >= count {
        bail!("train.validation holds out {held_out} of {count} images: none is left to train on");
    }
    let place = draws::seed(config.seed, Purpose::Validation, 0);
    let order = draws::permutation(place, count);
    let mut chosen = [order[held_out..].to_vec(), order[..held_out].to_vec()];
    chosen.iter_mut().for_each(|indices| indices.sort_unstable());
    let [train, validation] = chosen.map(|indices| images.select(Axis(0), &indices));
    let none = || {
        let [c, h, w] = config.image.shape();
        Array4::zeros((0, c, h, w))
    };
    Ok(Images { train, validation, test: test.map_or_else(none, |test| test.images), classes })
}

fn announce(config: &RunConfig, info: &RunInfo, data: &Data) -> Result<()> {
    let [encoder, decoder] = config.model.cost(config.image.shape())?;
    let cost = encoder + decoder;
    let [train, validation, test] = info.images;
    let place = if data.train.resident() { "on the device" } else { "copied batch by batch" };
    eprintln!(
        "{}: {} parameters, {:.1} MFLOP an image; {train} images to train on ({place}), {validation} \
         to validate, {test} to test; device {}",
        config.name,
        cost.parameters,
        cost.flops as f64 / 1e6,
        info.device
    );
    Ok(())
}

/// Evaluates the best epoch on the test images, or on nothing, and writes the final figures.
fn finish(
    run: &Run,
    config: &RunConfig,
    mut info: RunInfo,
    test: Option<&Batches>,
    device: &Device,
) -> Result<()> {
    let (vae, epoch) = fit::best(run, config, device)?;
    let lines = run.metrics()?;
    let best = lines.iter().find(|line| line.epoch == epoch).context("metrics.jsonl is short")?;
    let beta = config.train.beta;
    let test = test.map(|test| evaluate(&vae, test, config.model.latent, config.seed, device));
    info.metrics.insert("epoch".into(), epoch as f64);
    let parts = [("train", Some(best.train)), ("validation", best.validation), ("test", test)];
    for (part, means) in parts {
        let Some(means) = means else { continue };
        for (name, value) in figures(&means, beta) {
            info.metrics.insert(format!("{part}_{name}"), value);
        }
    }
    run.write_info(&info)?;
    if let Some(means) = test {
        let binarized = config.image.binarize.map_or("grey".into(), |t| format!("binarized at {t}"));
        let likelihood = serde_json::to_value(config.model.likelihood)?;
        eprintln!(
            "best epoch {epoch}: test loss {:.3} = {:.3} + {beta} x {:.3}, ELBO {:.3} ({} images, {binarized}; \
             {} likelihood, sums over pixels, one draw of z, KL in closed form)",
            means.loss(beta),
            means.reconstruction,
            means.kl,
            means.elbo(),
            info.images[2],
            likelihood["kind"].as_str().unwrap_or_default(),
        );
    } else {
        eprintln!("best epoch {epoch}");
    }
    Ok(())
}

fn figures(means: &Means, beta: f64) -> [(&'static str, f64); 4] {
    [
        ("loss", means.loss(beta)),
        ("reconstruction", means.reconstruction),
        ("kl", means.kl),
        ("elbo", means.elbo()),
    ]
}

fn versions() -> BTreeMap<String, String> {
    BTreeMap::from([("vae-train".into(), env!("CARGO_PKG_VERSION").into())])
}
