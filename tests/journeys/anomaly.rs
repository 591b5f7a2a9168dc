//! From a run to verdicts: statistics in the bundle, the same scores on every engine.

use std::path::{Path, PathBuf};

use serde_json::Value;
use vae_infer::anomaly::Method;
use vae_infer::manifest::Manifest;
use vae_tests::data::write_blob_array;
use vae_tests::programs::{expect, program, refused};

use crate::export::{EVERY_BLOCK, export, train};
use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("anomaly::engines_give_the_same_scores", Needs::OnnxRuntime, engines_give_the_same_scores),
    ("anomaly::layers_of_every_block_and_precision", Needs::OnnxRuntime, layers_of_every_block),
    ("anomaly::training_images_calibrate_nothing", Needs::Nothing, training_images),
];

/// The largest difference of a score on two engines, over the score: whitening divides by spreads that
/// are small beside the layers' values.
const TOLERANCE: f64 = 1e-2;

/// Blobs that no run of [`train`] was trained on.
const OTHERS: std::ops::Range<usize> = 256..280;

fn engines_give_the_same_scores(ort: PathBuf) -> Result<(), String> {
    let folder = train("mnist-conv", &[])?;
    let folder = folder.path();
    expect(export(folder)?.args(["--score", "nap", "--ort-lib"]).arg(&ort), 0)?;
    let path = folder.join("bundle").join("manifest.json");
    let manifest = Manifest::from_json(&std::fs::read(path).map_err(|e| e.to_string())?)?;
    if manifest.anomaly.as_ref().map(|anomaly| anomaly.method) != Some(Method::Nap) {
        return Err(format!("{:?}", manifest.anomaly));
    }
    Method::ALL.into_iter().try_for_each(|method| agree(folder, method, &ort))
}

/// A decoder with skips, in every precision whose layers can be shown.
fn layers_of_every_block(ort: PathBuf) -> Result<(), String> {
    let config = tempfile::TempDir::new().map_err(|e| e.to_string())?;
    let path = config.path().join("every-block.toml");
    std::fs::write(&path, EVERY_BLOCK).map_err(|e| e.to_string())?;
    let folder = train(&path.to_string_lossy(), &[])?;
    let folder = folder.path();
    for precision in ["f32", "f16"] {
        let mut export = export(folder)?;
        export.args(["--score", "nap", "--force", "--precision", precision]);
        expect(export.arg("--ort-lib").arg(&ort), 0)?;
        agree(folder, Method::Nap, &ort)?;
    }
    let mut gpu = export(folder)?;
    gpu.args(["--score", "nap", "--force", "--precision", "f16-gpu"]);
    refused(gpu.arg("--ort-lib").arg(&ort), &["`nap`", "layers"])
}

/// Scores images on both engines.
fn agree(folder: &Path, method: Method, ort: &Path) -> Result<(), String> {
    let [tract, other] = ["tract", "ort"].map(|engine| scores(folder, method, engine, ort));
    for (a, b) in tract?.into_iter().zip(other?) {
        let difference = (a - b).abs() / a.abs().max(1e-6);
        if difference.is_nan() || difference > TOLERANCE {
            return Err(format!("{method}: {a} on tract, {b} on ONNX Runtime"));
        }
    }
    Ok(())
}

fn scores(folder: &Path, method: Method, engine: &str, ort: &Path) -> Result<Vec<f64>, String> {
    let data = folder.join("others.npy");
    write_blob_array(&data, OTHERS)?;
    let mut score = program("vae-infer")?;
    score.arg("score").arg(data).arg("--model").arg(folder.join("bundle"));
    score.args(["--method", &method.to_string(), "--engine", engine, "--ort-lib"]).arg(ort);
    let lines = String::from_utf8_lossy(&expect(&mut score, 0)?.stdout).into_owned();
    let score = |line: &str| {
        let line: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
        line["score"].as_f64().ok_or(format!("{line} has no score"))
    };
    lines.lines().map(score).collect()
}

/// Images that the run was trained on are known by their content, whatever file they are in.
fn training_images(_: PathBuf) -> Result<(), String> {
    let folder = train("mnist-mlp", &[])?;
    let folder = folder.path();
    expect(export(folder)?.args(["--score", "path"]), 0)?;
    let calibrate = |numbers| {
        let data = folder.join("normal.npy");
        write_blob_array(&data, numbers)?;
        let mut calibrate = program("vae-infer")?;
        calibrate.args(["calibrate", "--far", "0.05"]).arg(data);
        calibrate.arg("--model").arg(folder.join("bundle"));
        Ok::<_, String>(calibrate)
    };
    refused(&mut calibrate(0..50)?, &["normal.npy", "was trained on", "promise too much"])?;
    expect(&mut calibrate(OTHERS)?, 0).map(drop)
}
