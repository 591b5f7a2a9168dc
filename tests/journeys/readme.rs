//! The README's five minutes, from a folder of images to scores.

use std::path::PathBuf;

use tempfile::TempDir;
use vae_tests::programs::{expect, program, run};

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] =
    &[("readme::from_a_folder_of_images_to_scores", Needs::Nothing, images_to_scores)];

fn images_to_scores(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (samples, images) = (path("samples.npy"), path("images"));
    run("vae-infer", &["sample", "-n", "60", "-o", &samples])?;
    run("vae-infer", &["reconstruct", &samples, "-o", &images])?;

    let (out, bundle) = (path("run"), path("bundle"));
    let fit = ["fit", "digits", "--data", &images, "--out", &out, "--set", "name=parts"];
    let quick = ["--set", "image.resize=stretch", "--set", "train.epochs=2"];
    expect(program("vae-train")?.args(fit).args(quick), 0)?;
    run("vae-train", &["figures", &out])?;
    run("vae-train", &["export", &out, "-o", &bundle])?;
    run("vae-infer", &["verify", "--model", &bundle])?;
    let scores = run("vae-infer", &["score", &images, "--model", &bundle])?;
    let scores = String::from_utf8_lossy(&scores.stdout).into_owned();
    let parsed = scores.lines().filter(|line| {
        let value: Result<serde_json::Value, _> = serde_json::from_str(line);
        value.is_ok_and(|value| value["nll"].is_f64() && value["name"].is_string())
    });
    match parsed.count() {
        60 => Ok(()),
        count => Err(format!("{count} scores of 60 images\n{scores}")),
    }
}
