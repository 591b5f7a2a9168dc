//! Bundles in fewer bits: what they cost, and what is refused.

use std::path::{Path, PathBuf};

use vae_infer::manifest::{Manifest, Precision};
use vae_tests::programs::{expect, program, refused};

use crate::export::{EVERY_BLOCK, EYES, export, train};
use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("precision::f16_halves_the_graphs", Needs::OnnxRuntime, |ort| {
        f16("mnist-conv", &ort)?;
        f16("mnist-mlp", &ort)
    }),
    ("precision::f16_of_every_block", Needs::OnnxRuntime, |ort| every_block(&["f16"], &ort)),
    ("precision::f16_gpu_of_every_block", Needs::OnnxRuntime, |ort| {
        every_block(&["f16-gpu"], &ort)
    }),
    ("precision::int8_quarters_the_graphs", Needs::OnnxRuntime, |ort| {
        int8_quarters("mnist-mlp", LONGER, &ort)
    }),
    ("precision::int8_quarters_small_graphs", Needs::OnnxRuntime, |ort| {
        int8_quarters("mnist-conv", &[], &ort)?;
        int8_quarters("eyes-spatial", EYES, &ort)
    }),
    ("precision::int8_of_every_block", Needs::OnnxRuntime, int8_of_every_block),
    ("precision::int8_needs_images_of_its_kind", Needs::Nothing, int8_needs_images_of_its_kind),
    ("precision::int8_is_timed", Needs::OnnxRuntime, int8_is_timed),
];

/// Long enough for a model that tells its images from noise.
const LONGER: &[&str] = &["train.epochs=20", "model.latent=8", "train.batch_size=16"];

fn manifest(folder: &Path) -> Result<Manifest, String> {
    let path = folder.join("bundle").join("manifest.json");
    Manifest::from_json(&std::fs::read(path).map_err(|e| e.to_string())?)
}

fn graph_bytes(manifest: &Manifest) -> u64 {
    manifest.encoder.file.bytes + manifest.decoder.file.bytes
}

/// Replays a bundle as a user would, on both engines.
fn verify(folder: &Path, engines: &[&str], ort: &Path) -> Result<(), String> {
    for engine in engines {
        let mut verify = program("vae-infer")?;
        verify.arg("verify").arg("--model").arg(folder.join("bundle"));
        expect(verify.args(["--engine", engine]).arg("--ort-lib").arg(ort), 0)?;
    }
    Ok(())
}

fn f16(preset: &str, ort: &Path) -> Result<(), String> {
    let folder = train(preset, &[])?;
    let folder = folder.path();
    expect(export(folder)?.arg("--ort-lib").arg(ort), 0)?;
    let full = graph_bytes(&manifest(folder)?);
    let mut half = export(folder)?;
    expect(half.args(["--precision", "f16", "--force", "--ort-lib"]).arg(ort), 0)?;
    let manifest = manifest(folder)?;
    let (bytes, verdicts) = (graph_bytes(&manifest), manifest.verdicts.ok_or("no verdicts")?);
    if manifest.precision != Precision::F16 || bytes * 100 > full * 54 || verdicts.flips > 0 {
        return Err(format!("{preset}: {bytes} of {full} bytes, {verdicts:?}"));
    }
    verify(folder, &["native", "tract", "ort"], ort)
}

/// A network with every block and activation.
fn every_block(precision: &[&str], ort: &Path) -> Result<(), String> {
    let config = tempfile::TempDir::new().map_err(|e| e.to_string())?;
    let path = config.path().join("every-block.toml");
    std::fs::write(&path, EVERY_BLOCK).map_err(|e| e.to_string())?;
    let folder = train(&path.to_string_lossy(), &[])?;
    let mut export = export(folder.path())?;
    export.arg("--precision").args(precision).arg("--ort-lib").arg(ort);
    expect(&mut export, 0)?;
    let engines: &[&str] = match precision[0] {
        "f16-gpu" => &["ort"],
        _ => &["native", "tract", "ort"],
    };
    verify(folder.path(), engines, ort)
}

fn int8_of_every_block(ort: PathBuf) -> Result<(), String> {
    let config = tempfile::TempDir::new().map_err(|e| e.to_string())?;
    let data = config.path().join("data");
    vae_tests::data::write_blobs(&data, 64).map_err(|e| e.to_string())?;
    let data = data.to_string_lossy();
    every_block(&["int8", "--allow-slower", "--calibrate", &data], &ort)
}

/// Whether it is faster is not asked: a busy machine would answer.
fn int8_quarters(preset: &str, settings: &[&str], ort: &Path) -> Result<(), String> {
    let folder = train(preset, settings)?;
    let folder = folder.path();
    expect(export(folder)?.arg("--ort-lib").arg(ort), 0)?;
    let full = graph_bytes(&manifest(folder)?);
    let mut int8 = export(folder)?;
    int8.args(["--precision", "int8", "--allow-slower", "--force", "--calibrate"]);
    expect(int8.arg(folder.join("data")).arg("--ort-lib").arg(ort), 0)?;
    let manifest = manifest(folder)?;
    let (bytes, verdicts) = (graph_bytes(&manifest), manifest.verdicts.ok_or("no verdicts")?);
    let small = bytes * 100 <= full * 27;
    if !small || verdicts.psnr_lost > 0.5 {
        return Err(format!("{preset}: {bytes} of {full} bytes, {verdicts:?}"));
    }
    verify(folder, &["native", "tract", "ort"], ort)
}

fn int8_needs_images_of_its_kind(_: PathBuf) -> Result<(), String> {
    let folder = train("mnist-mlp", LONGER)?;
    let folder = folder.path();
    let int8 = || -> Result<_, String> {
        let mut int8 = export(folder)?;
        int8.args(["--precision", "int8", "--allow-slower"]);
        Ok(int8)
    };
    let usage = int8()?.output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&usage.stderr).into_owned();
    if usage.status.code() != Some(2) || !text.contains("--calibrate") {
        return Err(format!("int8 without images says {text}"));
    }
    let few = folder.join("few");
    vae_tests::data::write_blobs(&few, 8).map_err(|e| e.to_string())?;
    refused(int8()?.arg("--calibrate").arg(&few), &["8 calibration images", "16"])?;
    let noise = folder.join("noise");
    std::fs::create_dir(&noise).map_err(|e| e.to_string())?;
    for i in 0..20_u32 {
        let draw = |p: u32| (p * 31 + i * 7919 + 17).wrapping_mul(2_654_435_761) >> 24;
        let pixels: Vec<u8> = (0..784).map(|p| draw(p) as u8).collect();
        let picture = [b"P5 28 28 255\n".as_slice(), &pixels].concat();
        std::fs::write(noise.join(format!("{i}.pgm")), picture).map_err(|e| e.to_string())?;
    }
    refused(int8()?.arg("--calibrate").arg(&noise), &["not of the model's kind"])?;
    match folder.join("bundle").exists() {
        true => Err("a refused export left a bundle".into()),
        false => Ok(()),
    }
}

/// The processor and its load say whether it is faster; where it is not, both times are named.
fn int8_is_timed(ort: PathBuf) -> Result<(), String> {
    let config = tempfile::TempDir::new().map_err(|e| e.to_string())?;
    let path = config.path().join("every-block.toml");
    std::fs::write(&path, EVERY_BLOCK).map_err(|e| e.to_string())?;
    let folder = train(&path.to_string_lossy(), &[])?;
    let data = folder.path().join("data");
    let mut int8 = export(folder.path())?;
    int8.args(["--precision", "int8", "--force", "--calibrate"]).arg(&data);
    int8.arg("--ort-lib").arg(&ort);
    let words = ["in int8", "in f32", "on native", "--allow-slower"];
    match expect(&mut int8, 0) {
        Err(said) if !words.iter().all(|word| said.contains(word)) => Err(said),
        _ => Ok(()),
    }
}
