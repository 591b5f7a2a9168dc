//! A batch that is cut over devices trains as on one of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use vae_tests::data::write_blobs;
use vae_tests::programs::{expect, program, refused};

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("devices::a_dense_network_trains_as_on_one", Needs::Nothing, |_| {
        as_on_one(&["mnist-mlp", "train.batch_size=25", "train.epochs=4"])
    }),
    ("devices::convolutions_train_as_on_one", Needs::Nothing, |_| {
        let faster = ["train.learning_rate=1e-3", "train.epochs=3"];
        as_on_one(&[
            "mnist-conv",
            "train.batch_size=31",
            "train.clip_norm=0.5",
            faster[0],
            faster[1],
        ])
    }),
    ("devices::a_run_goes_on_with_more_of_them", Needs::Nothing, goes_on_with_more),
    ("devices::unusable_numbers_are_one_line", Needs::Nothing, unusable),
    ("devices::their_speed_is_measured", Needs::Nothing, speed),
];

/// The trainer, on a CPU of two threads: the devices 0 and 1.
fn trainer(arguments: &[&str]) -> Result<Command, String> {
    let mut trainer = program("vae-train")?;
    trainer.env("RAYON_NUM_THREADS", "2").args(arguments).args(["--device", "cpu"]);
    Ok(trainer)
}

fn fit(folder: &Path, run: &str, settings: &[&str]) -> Result<Command, String> {
    let mut fit = trainer(&["fit", settings[0], "--no-figures"])?;
    fit.arg("--data").arg(folder.join("data")).arg("--out").arg(folder.join(run));
    for setting in &settings[1..] {
        fit.args(["--set", setting]);
    }
    fit.args(["--set", "train.validation=40"]);
    Ok(fit)
}

fn folder() -> Result<TempDir, String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    write_blobs(&folder.path().join("data"), 300).map_err(|e| e.to_string())?;
    Ok(folder)
}

/// The terms of every epoch on the images to train on and to validate on.
fn curve(folder: &Path, run: &str) -> Result<Vec<f64>, String> {
    let path = folder.join(run).join("metrics.jsonl");
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let mut curve = vec![];
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
        for part in ["train", "validation"] {
            for term in ["reconstruction", "kl"] {
                curve.push(line[part][term].as_f64().ok_or("a term is missing")?);
            }
        }
    }
    Ok(curve)
}

/// Expects two curves that part by what rounding does to sums in another order.
fn near(left: &[f64], right: &[f64]) -> Result<(), String> {
    let parts = left.iter().zip(right).map(|(left, right)| (left / right - 1.0).abs());
    let most = parts.fold(0.0, f64::max);
    if left.len() != right.len() || left.len() < 12 || most > ROUNDING {
        return Err(format!("{most} lies between {left:?} and {right:?}"));
    }
    Ok(())
}

const ROUNDING: f64 = 1e-5;

fn as_on_one(settings: &[&str]) -> Result<(), String> {
    let folder = folder()?;
    let folder = folder.path();
    expect(&mut fit(folder, "one", settings)?, 0)?;
    let talk = expect(fit(folder, "two", settings)?.args(["--devices", "0,1"]), 0)?.stderr;
    if !String::from_utf8_lossy(&talk).contains("device cpu 0,1") {
        return Err("the devices are not named".into());
    }
    let (one, two) = (curve(folder, "one")?, curve(folder, "two")?);
    if one[one.len() - 2] > 0.95 * one[2] {
        return Err(format!("it learns nothing: {one:?}"));
    }
    near(&two, &one)
}

/// A run that was left after its first epoch on one device.
fn goes_on_with_more(_: PathBuf) -> Result<(), String> {
    let folder = folder()?;
    let folder = folder.path();
    let settings = ["mnist-mlp", "train.batch_size=20", "train.epochs=3", "train.keep=[1]"];
    expect(&mut fit(folder, "run", &settings)?, 0)?;
    let whole = curve(folder, "run")?;
    let checkpoints = folder.join("run").join("checkpoints");
    let entries = std::fs::read_dir(checkpoints).map_err(|e| e.to_string())?;
    let mut steps: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    steps.sort();
    for later in &steps[1..] {
        std::fs::remove_dir_all(later).map_err(|e| e.to_string())?;
    }
    let output = expect(fit(folder, "run", &settings)?.args(["--resume", "--devices", "1,0"]), 0)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !said.contains("device cpu 1,0") {
        return Err(format!("another device is named than those that train: {said}"));
    }
    let resumed = curve(folder, "run")?;
    if resumed == whole || resumed[..4] != whole[..4] {
        return Err(format!("two devices did not go on after the first epoch: {resumed:?}"));
    }
    near(&resumed, &whole)
}

fn unusable(_: PathBuf) -> Result<(), String> {
    let folder = folder()?;
    let cases: [(&str, &[&str]); 3] = [
        ("0,2", &["cpu has no device 2", "0 to 1"]),
        ("1,0,1", &["--devices", "1 twice"]),
        ("0,1", &["2 devices", "a batch of 1"]),
    ];
    let mut wrong = vec![];
    for (numbers, words) in cases {
        let batch = if numbers == "0,1" { "train.batch_size=1" } else { "train.batch_size=8" };
        let mut fit = fit(folder.path(), "run", &["mnist-mlp", batch])?;
        wrong.extend(refused(fit.args(["--devices", numbers]), words).err());
    }
    let mut speed = trainer(&["benchmark", "training", "patterns", "--batch", "1"])?;
    wrong.extend(refused(speed.args(["--devices", "0,1"]), &["a batch of 1"]).err());
    if folder.path().join("run").exists() {
        wrong.push("a run is left".into());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn speed(_: PathBuf) -> Result<(), String> {
    let measured = |devices: &[&str]| -> Result<Value, String> {
        let arguments = ["benchmark", "training", "patterns", "--format", "json"];
        let mut speed = trainer(&arguments)?;
        speed.args(["--warmup", "2", "--steps", "20", "--batch", "9"]).args(devices);
        serde_json::from_slice(&expect(&mut speed, 0)?.stdout).map_err(|e| e.to_string())
    };
    let (one, two) = (measured(&[])?, measured(&["--devices", "0,1"])?);
    if (one["device"].as_str(), two["device"].as_str()) != (Some("cpu"), Some("cpu 0,1")) {
        return Err(format!("the devices are {} and {}", one["device"], two["device"]));
    }
    let loss = |speed: &Value| speed["losses"][1].as_f64().ok_or("there is no loss");
    let part = (loss(&one)? / loss(&two)? - 1.0).abs();
    if part < ROUNDING { Ok(()) } else { Err(format!("the losses part by {part}")) }
}
