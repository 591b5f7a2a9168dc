//! Evaluation measures what training said, names its protocol, and reports a collapse.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use vae_tests::data::write_blobs;
use vae_tests::programs::{expect, program, refused};
use vae_train::evaluation::{Evaluation, Measured, Statistic};

use crate::export::{EVERY_BLOCK, export, train};
use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("evaluate::the_figures_are_those_of_training", Needs::Nothing, figures_of_training),
    ("evaluate::a_pca_stands_beside_the_model", Needs::Nothing, a_pca_stands_beside_the_model),
    ("evaluate::other_images_are_refused", Needs::Nothing, other_images_are_refused),
    ("evaluate::a_collapse_is_reported", Needs::Nothing, a_collapse_is_reported),
    ("evaluate::what_has_no_likelihood_gets_none", Needs::Nothing, no_likelihood),
    ("evaluate::a_decoder_with_skips_has_no_bound", Needs::Nothing, skips_have_no_bound),
];

fn evaluate(folder: &Path, arguments: &[&str]) -> Result<Command, String> {
    let mut evaluate = program("vae-train")?;
    evaluate.arg("evaluate").arg(folder.join("run")).args(["--device", "cpu"]).args(arguments);
    Ok(evaluate)
}

fn text(command: &mut Command) -> Result<String, String> {
    Ok(String::from_utf8_lossy(&expect(command, 0)?.stdout).into_owned())
}

fn json(folder: &Path, arguments: &[&str]) -> Result<Evaluation, String> {
    let line = text(evaluate(folder, arguments)?.args(["--format", "json"]))?;
    if line.lines().count() != 1 {
        return Err(format!("not one line: {line}"));
    }
    serde_json::from_str(&line).map_err(|e| format!("{e}: {line}"))
}

fn read(path: &Path) -> Result<Value, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_slice(&bytes).map_err(|e| e.to_string())
}

fn check(what: &str, holds: bool, of: &Evaluation) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{what} fails:\n{of:#?}")) }
}

fn figures_of_training(_: PathBuf) -> Result<(), String> {
    let folder = train("patterns", &["train.epochs=5"])?;
    let run = folder.path().join("run");
    let evaluation = json(folder.path(), &["--samples", "20"])?;
    let Evaluation { protocol, elbo, nll, latents, fidelity, .. } = &evaluation;

    let info = read(&run.join("run.json"))?;
    let (elbo, nll) = (elbo.value().ok_or("no ELBO")?, nll.value().ok_or("no NLL")?);
    let trained = info["metrics"]["test_elbo"].as_f64().ok_or("no test_elbo")?;
    check("the ELBO is that of the fit", (elbo.mean - trained).abs() < 1e-3, &evaluation)?;
    check("the NLL is below -ELBO", nll.mean < -elbo.mean && nll.mean > 0.0, &evaluation)?;
    check("the errors are small", (0.0..1.0).contains(&elbo.standard_error), &evaluation)?;
    let hash = info["test_sha256"].as_str().ok_or("no test_sha256")?;
    let of = (protocol.part.to_string(), protocol.images, protocol.samples);
    let named = of == ("test".into(), 500, 20) && protocol.source_sha256 == hash;
    check("the protocol", named && protocol.notes.len() == 1, &evaluation)?;
    let latents = latents.value().ok_or("no latents")?;
    let total: f64 = latents.kl_per_dimension.iter().sum();
    let agrees = (total - evaluation.kl.mean).abs() < 1e-9 && latents.active_units <= 2;
    check("the latents", agrees && latents.size == 2 && !latents.collapsed, &evaluation)?;
    check("the PSNR", (5.0..60.0).contains(&fidelity.psnr_pooled), &evaluation)?;
    check("the SSIM", (0.0..1.0).contains(&fidelity.ssim.mean), &evaluation)?;
    check("the window", fidelity.ssim_window == 3, &evaluation)?;

    let file = format!("evaluations/test-{:04}-k20.json", protocol.epoch);
    let written: Evaluation =
        serde_json::from_value(read(&run.join(file))?).map_err(|e| e.to_string())?;
    check("what was kept is the same", written == evaluation, &evaluation)?;
    let table = text(&mut evaluate(folder.path(), &["--part", "validation", "--limit", "10"])?)?;
    for words in ["10 of 64 validation images", "grey", "not a likelihood", "ELBO", "PCA-2"] {
        if !table.contains(words) {
            return Err(format!("no `{words}` in\n{table}"));
        }
    }
    Ok(())
}

/// Blobs vary in many directions: a PCA of two components sees some of them.
fn a_pca_stands_beside_the_model(_: PathBuf) -> Result<(), String> {
    let folder = train("mnist-mlp", &["image.binarize=0.5"])?;
    let evaluation = json(folder.path(), &[])?;
    let pca = evaluation.pca.value().ok_or("no PCA")?;
    check("the PCA", (pca.components, pca.fitted_on) == (2, 205), &evaluation)?;
    check("its PSNR", (5.0..40.0).contains(&pca.fidelity.psnr.mean), &evaluation)?;
    check("the window", pca.fidelity.ssim_window == 11, &evaluation)?;
    check("the threshold", evaluation.protocol.threshold == Some(0.5), &evaluation)?;
    check("no note", evaluation.protocol.notes.is_empty(), &evaluation)
}

fn other_images_are_refused(_: PathBuf) -> Result<(), String> {
    let folder = train("mnist-mlp", &[])?;
    let other = TempDir::new().map_err(|e| e.to_string())?;
    write_blobs(other.path(), 128).map_err(|e| e.to_string())?;
    let other = other.path().to_string_lossy();
    refused(&mut evaluate(folder.path(), &["--data", &other])?, &["not those", &other])?;
    if folder.path().join("run").join("evaluations").exists() {
        return Err("a refused evaluation is written".into());
    }
    Ok(())
}

fn a_collapse_is_reported(_: PathBuf) -> Result<(), String> {
    let folder = train("patterns", &["train.beta=1000", "train.epochs=5"])?;
    let evaluation = json(folder.path(), &[])?;
    let latents = evaluation.latents.value().ok_or("no latents")?;
    check("the collapse", latents.collapsed && latents.collapsed_share == 1.0, &evaluation)?;
    let table = text(&mut evaluate(folder.path(), &[])?)?;
    let output = expect(&mut export(folder.path())?, 0)?;
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    match [table, talk].iter().find(|said| !said.contains("warning: posterior collapse: 2 of 2")) {
        Some(said) => Err(format!("no warning in\n{said}")),
        None => Ok(()),
    }
}

fn no_likelihood(_: PathBuf) -> Result<(), String> {
    let plain = ["model.variational=false", "model.likelihood={ kind = \"squared_error\" }"];
    let wide = ["model.latent=16", plain[1], "data.patterns={ test_count = 0 }"];
    for (settings, word) in [(&plain[..], "plain autoencoder"), (&wide[..], "squared error")] {
        let folder = train("patterns", settings)?;
        let evaluation = json(folder.path(), &["--samples", "5"])?;
        let absent = evaluation.elbo.value().is_none() && evaluation.nll.value().is_none();
        check("there is no bound", absent, &evaluation)?;
        let table = text(&mut evaluate(folder.path(), &[])?)?;
        if !table.contains(word) {
            return Err(format!("no `{word}` in\n{table}"));
        }
        if settings.len() == 3 {
            let part = evaluation.protocol.part.to_string();
            check("the part", part == "validation" && table.contains(&part), &evaluation)?;
            check("no PCA", evaluation.pca.value().is_none(), &evaluation)?;
            refused(&mut evaluate(folder.path(), &["--part", "test"])?, &["no test images"])?;
        }
    }
    Ok(())
}

fn skips_have_no_bound(_: PathBuf) -> Result<(), String> {
    let config = TempDir::new().map_err(|e| e.to_string())?;
    let path = config.path().join("every-block.toml");
    std::fs::write(&path, EVERY_BLOCK).map_err(|e| e.to_string())?;
    let folder = train(&path.to_string_lossy(), &[])?;
    let evaluation = json(folder.path(), &["--samples", "5", "--limit", "8"])?;
    let reasons = [&evaluation.elbo, &evaluation.nll];
    let named = |figure: &&Measured<Statistic>| matches!(figure, Measured::Absent { reason } if reason.contains("skips"));
    check("the skips are named", reasons.iter().all(named), &evaluation)?;
    check("there is a loss", evaluation.loss.mean.is_finite(), &evaluation)
}
