//! Which score tells anomalies from normal images best: compared on validation images.

use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::Array3;
use vae_infer::anomaly::Method;
use vae_infer::npy;
use vae_tests::programs::{expect, program, refused};
use vae_train::anomaly::{Comparison, Row, made::Kind};
use vae_train::run::Run;

use crate::export::{export, train};
use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("proposal::scores_are_compared_on_validation_images", Needs::Nothing, scores_are_compared),
    ("proposal::real_anomalies_come_from_a_folder", Needs::Nothing, real_anomalies),
    ("proposal::a_plain_autoencoder_has_fewer_scores", Needs::Nothing, plain_autoencoder),
    ("proposal::what_cannot_be_compared_is_refused", Needs::Nothing, refusals),
];

fn evaluate(folder: &Path, arguments: &[&str]) -> Result<Command, String> {
    let mut evaluate = program("vae-train")?;
    evaluate.arg("evaluate").arg(folder.join("run")).arg("--anomaly");
    evaluate.args(arguments);
    Ok(evaluate)
}

fn said(command: &mut Command) -> Result<String, String> {
    Ok(String::from_utf8_lossy(&expect(command, 0)?.stdout).into_owned())
}

fn compare(folder: &Path, arguments: &[&str]) -> Result<Comparison, String> {
    let line = said(evaluate(folder, arguments)?.args(["--format", "json"]))?;
    if line.lines().count() != 1 {
        return Err(format!("not one line: {line}"));
    }
    serde_json::from_str(&line).map_err(|e| format!("{e}: {line}"))
}

fn check(what: &str, holds: bool, of: &Comparison) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{what} fails:\n{of:#?}")) }
}

/// Blobs, 51 of which validate: anomalies are made of them, and the proposal can be exported.
fn scores_are_compared(_: PathBuf) -> Result<(), String> {
    let folder = train("mnist-mlp", &[])?;
    let folder = folder.path();
    let comparison = compare(folder, &["--draws", "2"])?;
    let Comparison { images, images_in_part, draws, methods, kinds, proposal, .. } = &comparison;
    check("the images", (*images, *images_in_part, *draws) == (51, 51, 2), &comparison)?;
    let names: Vec<&str> = methods.iter().map(|row| row.name.as_str()).collect();
    check("the methods", names == Method::ALL.map(|m| m.to_string()), &comparison)?;
    // Blobs are as blurred as they can be.
    let expected = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Blur).map(|k| k.to_string());
    let names = kinds.iter().map(|kind| kind.name.clone());
    check("the kinds", names.eq(expected), &comparison)?;
    let baselines = comparison.baselines.value().ok_or("no baselines")?;
    check("the training images", baselines.images == 205, &comparison)?;
    let whole = |row: &Row| {
        let mean = row.auroc.iter().sum::<f64>() / kinds.len() as f64;
        row.auroc.iter().all(|area| (0.0..=1.0).contains(area)) && (row.mean - mean).abs() < 1e-9
    };
    let rows = || methods.iter().chain(&baselines.rows);
    check("the areas", rows().count() == 13 && rows().all(whole), &comparison)?;
    // A blob with a block in it is no blob to anyone who has seen one.
    check("the block", rows().any(|row| row.auroc[0] > 0.8), &comparison)?;
    let best = methods.iter().map(|row| row.mean).fold(0.0, f64::max);
    let proposed = methods.iter().find(|row| row.name == proposal.to_string());
    let mean = proposed.ok_or("no such method")?.mean;
    check("the proposal", mean > best - 1e-3, &comparison)?;
    check("the notes", comparison.notes.len() == 2, &comparison)?;

    let run = folder.join("run");
    let file = run.join(format!("anomaly/made-{:04}.json", comparison.epoch));
    let kept = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let kept: Comparison = serde_json::from_slice(&kept).map_err(|e| e.to_string())?;
    check("what was kept", kept == comparison, &comparison)?;
    check("a second time", compare(folder, &["--draws", "2"])? == comparison, &comparison)?;
    let evaluations = Run::open(&run).and_then(|run| run.evaluations());
    let evaluations = evaluations.map_err(|e| format!("{e:#}"))?;
    check("evaluations are other files", evaluations.is_empty(), &comparison)?;

    let table = said(&mut evaluate(folder, &["--limit", "20", "--part", "validation"])?)?;
    for words in ["20 of 51 validation images", "scratch", "\nnap ", "\nlof ", "proposed: ", "few"]
    {
        if !table.contains(words) {
            return Err(format!("no `{words}` in\n{table}"));
        }
    }
    expect(export(folder)?.args(["--score", &proposal.to_string()]), 0).map(drop)
}

fn real_anomalies(_: PathBuf) -> Result<(), String> {
    let folder = train("mnist-mlp", &[])?;
    let folder = folder.path();
    let given = folder.join("given");
    std::fs::create_dir(&given).map_err(|e| e.to_string())?;
    let stripe = |n: usize, y: usize, x: usize| 255 * u8::from((x + y * (n % 2)) % 4 < 2);
    let stripes = Array3::from_shape_fn((30, 28, 28), |(n, y, x)| stripe(n, y, x));
    let write = |name: &str, array: Array3<u8>| {
        npy::write(&given.join(name), &array).map_err(|e| e.to_string())
    };
    write("data.npy", stripes)?;
    let path = given.to_string_lossy();
    let comparison = compare(folder, &["--anomalies", &path])?;
    let kinds: Vec<_> = comparison.kinds.iter().map(|kind| (&*kind.name, kind.images)).collect();
    check("the kind", kinds == [("anomalies", 30)], &comparison)?;
    check("the folder", comparison.folder.as_deref() == Some(&*given), &comparison)?;
    let best = comparison.methods.iter().map(|row| row.mean).fold(0.0, f64::max);
    check("stripes are no blobs", best > 0.99, &comparison)?;
    let file = folder.join("run").join(format!("anomaly/given-{:04}.json", comparison.epoch));
    check("what was kept", file.is_file(), &comparison)?;

    let labels = ndarray::Array1::from_shape_fn(30, |n| (n % 2) as i64);
    npy::write(&given.join("label.npy"), &labels).map_err(|e| e.to_string())?;
    let comparison = compare(folder, &["--anomalies", &path, "--limit", "10"])?;
    let kinds: Vec<_> = comparison.kinds.iter().map(|kind| (&*kind.name, kind.images)).collect();
    check("a kind a class", kinds == [("0", 10), ("1", 10)], &comparison)?;
    check("the limit", comparison.images == 10, &comparison)
}

/// It has no posterior and no likelihood, and the table says so.
fn plain_autoencoder(_: PathBuf) -> Result<(), String> {
    let settings = ["model.variational=false", "model.likelihood={ kind = \"squared_error\" }"];
    let folder = train("patterns", &settings)?;
    let comparison = compare(folder.path(), &["--limit", "30"])?;
    let names: Vec<&str> = comparison.methods.iter().map(|row| row.name.as_str()).collect();
    let expected = ["mse", "mahalanobis", "sap", "nap", "ms-ssim", "gradient"];
    check("the methods", names == expected, &comparison)?;
    let named = |method: &str| comparison.notes.iter().any(|note| note.contains(method));
    check("the reasons", named("`elbo`") && named("`path`"), &comparison)
}

fn refusals(_: PathBuf) -> Result<(), String> {
    let folder = train("mnist-mlp", &["train.validation=0"])?;
    let folder = folder.path();
    refused(&mut evaluate(folder, &[])?, &["no validation images", "train.validation"])?;
    for part in ["test", "train"] {
        refused(&mut evaluate(folder, &["--part", part])?, &["validation images", "never"])?;
    }
    let other = train("mnist-mlp", &[])?;
    let missing = folder.join("nowhere");
    let missing = missing.to_string_lossy();
    refused(&mut evaluate(other.path(), &["--anomalies", &missing])?, &["anomalies", "nowhere"])?;
    let small = folder.join("small");
    std::fs::create_dir(&small).map_err(|e| e.to_string())?;
    let array = Array3::<u8>::zeros((4, 9, 9));
    npy::write(&small.join("data.npy"), &array).map_err(|e| e.to_string())?;
    let small = small.to_string_lossy();
    refused(&mut evaluate(other.path(), &["--anomalies", &small])?, &["data.npy", "9x9"])?;
    if other.path().join("run").join("anomaly").exists() {
        return Err("a refused comparison is written".into());
    }
    for arguments in
        [&["--samples", "5"][..], &["--device", "cpu"], &["--draws", "0"], &["--limit", "0"]]
    {
        refused(&mut evaluate(folder, arguments)?, &[])?;
    }
    for arguments in [["--anomalies", "x"], ["--draws", "3"]] {
        let mut plain = program("vae-train")?;
        refused(plain.arg("evaluate").arg(folder.join("run")).args(arguments), &["--anomaly"])?;
    }
    Ok(())
}
