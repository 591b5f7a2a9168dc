//! The pictures of a run.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use vae_tests::data::write_blobs;
use vae_tests::programs::{expect, program, refused};

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("figures::of_a_variational_autoencoder", Needs::Nothing, variational),
    ("figures::of_a_decoder_with_skips", Needs::Nothing, skips),
    ("figures::of_a_plain_autoencoder_and_both_under_noise", Needs::Nothing, plain),
];

/// A network with every block, whose decoder joins skips of the encoder.
const EVERY_BLOCK: &str = include_str!("every-block.toml");

/// The figures of the preset `patterns`, which leaves none out.
const FILES: [&str; 12] = [
    "losses.png",
    "losses.svg",
    "reconstructions.png",
    "samples.png",
    "latent.png",
    "latent.svg",
    "manifold.png",
    "epochs.gif",
    "interpolation.png",
    "posterior.png",
    "posterior.svg",
    "noise.png",
];

fn fit(folder: &Path, run: &str, settings: &[&str]) -> Result<String, String> {
    let mut fit = program("vae-train")?;
    fit.args(["fit", "patterns", "--device", "cpu", "--out"]).arg(folder.join(run));
    for setting in ["train.epochs=3"].iter().chain(settings) {
        fit.args(["--set", setting]);
    }
    let output = expect(&mut fit, 0)?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn figures(folder: &Path, runs: &[&str], out: &str) -> Result<Command, String> {
    let mut figures = program("vae-train")?;
    figures.arg("figures").args(runs.iter().map(|run| folder.join(run)));
    figures.args(["--device", "cpu", "-o"]).arg(folder.join(out));
    Ok(figures)
}

/// Runs the command and gives the names of the files that it prints, after it has opened them.
fn drawn(figures: &mut Command) -> Result<Vec<String>, String> {
    let output = expect(figures, 0)?;
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    lines.lines().map(|line| opened(Path::new(line))).collect()
}

fn opened(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.ends_with(".svg") {
        let text = String::from_utf8(bytes).map_err(|e| format!("{name}: {e}"))?;
        let whole = text.starts_with("<svg") && text.trim_end().ends_with("</svg>");
        return if whole { Ok(name) } else { Err(format!("{name} is no SVG")) };
    }
    let picture = vae_infer::images::decode(&bytes).map_err(|e| format!("{name}: {e}"))?;
    let grey = picture.to_luma8();
    let blank = grey.iter().min() == grey.iter().max();
    if blank || grey.width() < 200 { Err(format!("{name} is blank or small")) } else { Ok(name) }
}

fn variational(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let folder = folder.path();
    fit(folder, "run", &[])?;
    for file in FILES {
        opened(&folder.join("run").join("figures").join(file))?;
    }
    let frames: Vec<_> = (0..=3).map(|epoch| format!("epoch-{epoch:04}.png")).collect();
    for frame in &frames {
        let path = folder.join("run").join("frames").join(frame);
        vae_infer::images::read(&path).map_err(|e| e.to_string())?;
    }
    let names = drawn(&mut figures(folder, &["run"], "elsewhere")?)?;
    if names != FILES {
        return Err(format!("the figures are {names:?}"));
    }
    for file in FILES {
        let read = |folder: PathBuf| std::fs::read(folder.join(file)).map_err(|e| e.to_string());
        if read(folder.join("run").join("figures"))? != read(folder.join("elsewhere"))? {
            return Err(format!("{file} is another one when it is drawn again"));
        }
    }
    Ok(())
}

/// Expects one line for each figure that is left out, with words of its reason.
fn left_out(said: &str, reasons: &[(&str, &str)]) -> Result<(), String> {
    for (figure, reason) in reasons {
        let line = said.lines().find(|line| line.contains(&format!("`{figure}`")));
        if !line.is_some_and(|line| line.contains(reason)) {
            return Err(format!("it is not said why there is no `{figure}`:\n{said}"));
        }
    }
    Ok(())
}

fn skips(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let path = |name: &str| folder.path().join(name);
    write_blobs(&path("data"), 100).map_err(|e| e.to_string())?;
    std::fs::write(path("every-block.toml"), EVERY_BLOCK).map_err(|e| e.to_string())?;
    let mut fit = program("vae-train")?;
    fit.arg("fit").arg(path("every-block.toml")).args(["--device", "cpu", "--data"]);
    fit.arg(path("data")).arg("--out").arg(path("run")).args(["--set", "train.epochs=1"]);
    let said = String::from_utf8_lossy(&expect(&mut fit, 0)?.stderr).into_owned();
    left_out(&said, &[("samples", "skips"), ("interpolation", "skips")])?;
    for file in ["reconstructions.png", "noise.png", "latent.svg", "epochs.gif"] {
        opened(&path("run").join("figures").join(file))?;
    }
    Ok(())
}

fn plain(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let folder = folder.path();
    let said = fit(folder, "plain", &["model.variational=false"])?;
    let reasons = [("samples", "no prior"), ("manifold", "no prior"), ("posterior", "a point")];
    left_out(&said, &reasons)?;
    fit(folder, "run", &[])?;
    let names = drawn(&mut figures(folder, &["run", "plain"], "both")?)?;
    if names.last().map(String::as_str) != Some("noise-comparison.png") {
        return Err(format!("the figures of two runs are {names:?}"));
    }
    fit(folder, "other", &["seed=1", "data.patterns.test_count=0"])?;
    refused(&mut figures(folder, &["run", "other"], "other-images")?, &["held-out", "other"])
}
