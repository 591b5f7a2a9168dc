//! The bundle inside `vae-infer`.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vae_infer::{Bundle, sha256};
use vae_tests::programs::{expect, program, root};
use vae_train::config::RunConfig;

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("embedded::is_small_whole_and_of_its_recipe", Needs::Nothing, is_of_its_recipe),
    ("embedded::verifies_on_onnx_runtime", Needs::OnnxRuntime, verifies),
    ("embedded::latents_are_the_same_on_both_engines", Needs::OnnxRuntime, latents),
];

fn is_of_its_recipe(_: PathBuf) -> Result<(), String> {
    let assets = root().join("runtime").join("assets").join("digits");
    let bundle = Bundle::open(&assets).map_err(|e| e.to_string())?;
    let size: u64 = std::fs::read_dir(&assets)
        .map_err(|e| e.to_string())?
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|metadata| metadata.len())
        .sum();
    if size > 400_000 {
        return Err(format!("the embedded bundle takes {size} bytes, more than 400 KB"));
    }
    let manifest = &bundle.manifest;
    if *manifest != Bundle::embedded().manifest {
        return Err("the program embeds another bundle".into());
    }
    let recipe = RunConfig::load("digits", &[]).map_err(|e| format!("{e:#}"))?;
    if manifest.provenance.config_sha256 != Some(sha256(recipe.to_toml().as_bytes())) {
        return Err("the preset `digits` is not what the bundle was made of".into());
    }
    let worst = manifest.parity.iter().map(|row| row.difference).fold(0.0, f64::max);
    let engines = ["tract", "ort"].map(|e| manifest.parity.iter().any(|row| row.engine == e));
    if engines == [true; 2] && worst <= 1e-5 { Ok(()) } else { Err(format!("parity: {worst:e}")) }
}

fn verifies(ort: PathBuf) -> Result<(), String> {
    for engine in ["native", "tract", "ort"] {
        let mut verify = program("vae-infer")?;
        expect(verify.args(["verify", "--engine", engine]).arg("--ort-lib").arg(&ort), 0)?;
    }
    Ok(())
}

/// The same seed draws the same latent vectors, and the same images within the tolerance.
fn latents(ort: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let sample = |engine: &str, threads: &str| -> Result<(String, Vec<f32>), String> {
        let path = |name: &str| folder.path().join(format!("{engine}-{threads}-{name}.npy"));
        let mut sample = program("vae-infer")?;
        sample.args(["sample", "-n", "70", "--seed", "7", "--engine", engine]);
        sample.args(["--threads", threads]).arg("--ort-lib").arg(&ort);
        sample.arg("-o").arg(path("images")).arg("--out-latents").arg(path("latents"));
        expect(&mut sample, 0)?;
        Ok((sha256(&read(&path("latents"))?), floats(&path("images"))?))
    };
    let (hash, images) = sample("tract", "1")?;
    for (engine, threads) in
        [("tract", "2"), ("native", "1"), ("native", "2"), ("ort", "1"), ("ort", "2")]
    {
        let (other_hash, other) = sample(engine, threads)?;
        if other_hash != hash {
            return Err(format!("{engine} with {threads} threads draws other latents"));
        }
        let differences = images.iter().zip(&other).map(|(a, b)| (a - b).abs());
        let worst = differences.fold(0.0, f32::max);
        if images.len() != other.len() || worst > 1e-5 {
            return Err(format!("{engine} with {threads} threads differs by {worst}"));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn floats(path: &Path) -> Result<Vec<f32>, String> {
    let array = vae_infer::npy::floats(&path.display().to_string(), &read(path)?);
    Ok(array.map_err(|e| e.to_string())?.into_iter().collect())
}
