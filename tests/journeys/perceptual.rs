//! The perceptual loss, its feature networks, and the sampled KL term.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use vae_tests::data::write_blobs;
use vae_tests::programs::{expect, program, refused};

use crate::export::{agrees, train};
use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("perceptual::emnist_perceptual_from_training_to_inference", Needs::OnnxRuntime, preset),
    ("perceptual::a_feature_network_of_ones_own", Needs::Nothing, own_features),
    ("perceptual::what_does_not_fit_is_one_line", Needs::Nothing, bad_features),
    ("perceptual::a_sampled_kl_is_trained_on", Needs::Nothing, sampled_kl),
];

/// Few images, so that a pass takes seconds.
const SMALL: &str = "data.limit=96";

fn metrics(folder: &Path) -> Result<Vec<Value>, String> {
    let path = folder.join("run").join("metrics.jsonl");
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|e| e.to_string())).collect()
}

fn run_json(folder: &Path) -> Result<Value, String> {
    let text = std::fs::read(folder.join("run").join("run.json")).map_err(|e| e.to_string())?;
    serde_json::from_slice(&text).map_err(|e| e.to_string())
}

/// The term is measured and trained on; the decoder needs the skips, so there is no sampling.
fn preset(ort: PathBuf) -> Result<(), String> {
    let folder = train("emnist-perceptual", &[SMALL])?;
    let folder = folder.path();
    let lines = metrics(folder)?;
    for part in ["train", "validation"] {
        let distance = lines[0][part]["perceptual"].as_f64();
        if distance.is_none_or(|distance| distance <= 0.0) {
            return Err(format!("the {part} line has no perceptual term: {}", lines[0]));
        }
    }
    let info = run_json(folder)?;
    let hash = info["features_sha256"].as_str().map(str::len);
    if hash != Some(64) || !info["metrics"]["test_perceptual"].is_f64() {
        return Err(format!("run.json lacks the feature network or its figure: {info}"));
    }

    agrees("emnist-perceptual", folder, &ort)?;
    let (bundle, out) = (folder.join("bundle"), folder.join("out.png"));
    let manifest = std::fs::read_to_string(bundle.join("manifest.json"));
    let manifest: Value =
        serde_json::from_str(&manifest.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    if manifest["sampling"] != Value::Bool(false) {
        return Err("the manifest does not say that sampling is impossible".into());
    }
    let mut sample = program("vae-infer")?;
    sample.args(["sample", "-n", "2", "-o"]).arg(&out).arg("--model").arg(&bundle);
    refused(&mut sample, &["skip"])?;
    let mut reconstruct = program("vae-infer")?;
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sample.png");
    reconstruct.arg("reconstruct").arg(image).arg("-o").arg(&out).arg("--model").arg(&bundle);
    expect(&mut reconstruct, 0)?;
    if out.is_file() { Ok(()) } else { Err("there is no reconstruction".into()) }
}

fn features(folder: &Path, out: &str, seed: &str) -> Result<std::process::Command, String> {
    let mut features = program("vae-train")?;
    features.args(["features", "--device", "cpu", "--epochs", "1", "--seed", seed, "--data"]);
    features.arg(folder.join("data")).arg("--out").arg(folder.join(out));
    Ok(features)
}

/// A network is trained, used, and held against the one that a run was begun with.
fn own_features(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let folder = folder.path();
    write_blobs(&folder.join("data"), 120).map_err(|e| e.to_string())?;
    let made = expect(&mut features(folder, "mine", "1")?, 0)?;
    if !String::from_utf8_lossy(&made.stdout).contains("held out") {
        return Err("no accuracy is reported".into());
    }
    refused(&mut features(folder, "mine", "1")?, &["mine", "exists already"])?;
    refused(&mut features(folder, "no/where", "1")?, &["cannot write", "where"])?;
    expect(&mut features(folder, "again", "1")?, 0)?;
    expect(&mut features(folder, "other", "2")?, 0)?;
    let weights = |name: &str| std::fs::read(folder.join(name).join("weights.safetensors")).ok();
    if weights("mine") != weights("again") || weights("mine") == weights("other") {
        return Err("the weights are not what the seed decides".into());
    }

    // from the folder that the relative path is meant in, and resumed from it
    let fit = |more: &[&str]| {
        let mut fit = program("vae-train")?;
        fit.current_dir(folder).args(["fit", "mnist-mlp", "--device", "cpu", "--data", "data"]);
        fit.args(["--out", "run", "--set", "train.epochs=1", "--set", "train.validation=20"]);
        fit.args(["--set", "train.perceptual.weight=10", "--set"]);
        fit.arg("train.perceptual.features=mine/features.toml").args(more);
        Ok::<_, String>(fit)
    };
    expect(&mut fit(&[])?, 0)?;
    expect(&mut fit(&["--resume"])?, 0)?;
    for file in ["features.toml", "weights.safetensors"] {
        std::fs::copy(folder.join("other").join(file), folder.join("mine").join(file))
            .map_err(|e| e.to_string())?;
    }
    refused(&mut fit(&["--resume"])?, &["feature network", "begun with"])
}

fn bad_features(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let set = |key: &str, value: &str| format!("train.perceptual.{key}={value}");
    let input = "[input]\nchannels = 1\nheight = 8\nwidth = 8\n";
    let weights = "[weights]\nfile = \"gone.safetensors\"\nlayers = [\"a\"]\n";
    let conv = "{ block = \"conv\", channels = 4, kernel = 9 }";
    let tap = "{ block = \"tap\", skip = \"a\" }";
    let pool = "{ block = \"pool\", kind = \"max\", kernel = 3, stride = 2 }";
    for (name, blocks) in [
        ("large.toml", format!("{conv}, {tap}")),
        ("pool.toml", format!("{pool}, {tap}, {}", conv.replace('9', "1"))),
        ("gone.toml", format!("{}, {tap}", conv.replace('9', "1"))),
        ("none.toml", conv.to_owned()),
    ] {
        let text = format!("name = \"mine\"\nblocks = [{blocks}]\n{input}{weights}");
        std::fs::write(path(name), text).map_err(|e| e.to_string())?;
    }
    let cases = [
        (set("features", "unheard-of"), vec!["unheard-of", "letters", "vgg16-block3"]),
        (set("features", &path("missing.toml")), vec!["missing.toml"]),
        (set("features", "vgg16-block3"), vec!["vgg16-block3", "train.perceptual.weights"]),
        (set("features", &path("large.toml")), vec!["block 1", "`mine`", "8x8"]),
        (set("features", &path("pool.toml")), vec!["block 1", "`mine`", "pool"]),
        (set("features", &path("gone.toml")), vec!["gone.safetensors"]),
        (set("features", &path("none.toml")), vec!["none.toml", "tap"]),
        (set("layers", "[\"conv1\", \"conv7\"]"), vec!["conv7", "conv1, conv2, conv3"]),
        (set("weights", &path("nowhere.pth")), vec!["nowhere.pth"]),
        (set("wait", "3"), vec!["wait"]),
    ];
    let mut wrong = vec![];
    for (setting, words) in cases {
        let mut fit = program("vae-train")?;
        fit.args(["fit", "patterns", "--device", "cpu", "--set", "train.perceptual.weight=1"]);
        fit.args(["--set", &setting, "--out", &path("run")]);
        wrong.extend(refused(&mut fit, &words).err());
        if folder.path().join("run").exists() {
            wrong.push(format!("{setting} leaves a run"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// The estimate and the closed form agree on average, and not to the letter.
fn sampled_kl(_: PathBuf) -> Result<(), String> {
    let kl = |settings: &[&str]| {
        let folder = train("patterns", settings)?;
        let line = metrics(folder.path())?.remove(0);
        line["validation"]["kl"].as_f64().ok_or_else(|| format!("no kl in {line}"))
    };
    let (analytic, sampled) = (kl(&[])?, kl(&["train.kl=sampled"])?);
    let apart = (analytic - sampled).abs();
    if apart > 0.0 && apart < 1.0 {
        return Ok(());
    }
    Err(format!("the KL term is {sampled} by draws and {analytic} in closed form"))
}
