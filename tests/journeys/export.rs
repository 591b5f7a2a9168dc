//! From training through export to inference: the trainer's answers on both engines.

#[cfg(unix)]
use std::collections::BTreeSet;
#[cfg(unix)]
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
#[cfg(unix)]
use std::process::Stdio;
#[cfg(unix)]
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vae_infer::manifest::Manifest;
use vae_tests::data::{write_blob_array, write_blobs};
use vae_tests::programs::{expect, program, refused, run};

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("export::parity_of_mnist_mlp", Needs::OnnxRuntime, |ort| parity("mnist-mlp", &ort)),
    ("export::parity_of_mnist_conv", Needs::OnnxRuntime, |ort| parity("mnist-conv", &ort)),
    ("export::parity_of_patterns", Needs::OnnxRuntime, |ort| parity("patterns", &ort)),
    ("export::parity_of_digits", Needs::OnnxRuntime, |ort| parity("digits", &ort)),
    ("export::parity_of_eyes_vae", Needs::OnnxRuntime, |ort| parity_of_eyes("eyes-vae", &ort)),
    ("export::parity_of_eyes_ae", Needs::OnnxRuntime, |ort| parity_of_eyes("eyes-ae", &ort)),
    ("export::parity_of_a_spatial_code", Needs::OnnxRuntime, |ort| {
        parity_of_eyes("eyes-spatial", &ort)
    }),
    ("export::parity_of_every_block", Needs::OnnxRuntime, every_block),
    ("export::parity_of_a_plain_autoencoder", Needs::OnnxRuntime, plain_autoencoder),
    ("export::a_kept_epoch_is_exported", Needs::Nothing, a_kept_epoch_is_exported),
    #[cfg(unix)]
    ("export::a_signal_leaves_nothing", Needs::Nothing, a_signal_leaves_nothing),
    ("export::a_run_that_holds_nothing_out_has_statistics", Needs::Nothing, |_| nothing_held_out()),
    ("export::nothing_is_overwritten", Needs::Nothing, nothing_is_overwritten),
    ("export::two_exports_are_the_same_bytes", Needs::Nothing, two_exports_are_the_same_bytes),
];

/// A network with every block and activation, which no preset has.
pub(crate) const EVERY_BLOCK: &str = include_str!("every-block.toml");

/// The settings that train the colour presets on a few grey images, scaled up.
pub(crate) const EYES: &[&str] = &["image.resize=stretch", "data.limit=40", "train.keep=[]"];

/// A training of one epoch, in a temporary folder that holds `data`, `run` and `bundle`.
pub(crate) fn train(config: &str, settings: &[&str]) -> Result<TempDir, String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let path = |name: &str| folder.path().join(name);
    write_blobs(&path("data"), 256).map_err(|e| e.to_string())?;
    let mut fit = program("vae-train")?;
    fit.args(["fit", config, "--device", "cpu", "--set", "train.epochs=1"]);
    fit.args(["--set", "train.validation=64", "--data"]).arg(path("data"));
    fit.arg("--out").arg(path("run"));
    for setting in settings {
        fit.args(["--set", setting]);
    }
    expect(&mut fit, 0)?;
    Ok(folder)
}

pub(crate) fn export(folder: &Path) -> Result<Command, String> {
    let mut export = program("vae-train")?;
    export.arg("export").arg(folder.join("run")).arg("-o").arg(folder.join("bundle"));
    Ok(export)
}

fn nothing_held_out() -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("data")).map_err(|e| e.to_string())?;
    write_blob_array(&path("data/data.npy"), 0..128)?;
    let mut fit = program("vae-train")?;
    fit.args(["fit", "digits", "--device", "cpu", "--no-figures", "--set", "train.epochs=1"]);
    fit.args(["--set", "train.validation=0", "--data"]).arg(path("data"));
    expect(fit.arg("--out").arg(path("run")), 0)?;
    let output = expect(export(folder.path())?.args(["--score", "nap"]), 0)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !said.contains("note: the run holds no images out") {
        return Err(format!("no note: {said}"));
    }
    let statistics = folder.path().join("bundle/statistics.safetensors");
    if statistics.is_file() { Ok(()) } else { Err("no statistics".into()) }
}

fn manifest(folder: &Path) -> Result<Manifest, String> {
    let path = folder.join("bundle").join("manifest.json");
    Manifest::from_json(&std::fs::read(path).map_err(|e| e.to_string())?)
}

fn parity(preset: &str, ort: &Path) -> Result<(), String> {
    let folder = train(preset, &[])?;
    agrees(preset, folder.path(), ort)
}

fn parity_of_eyes(preset: &str, ort: &Path) -> Result<(), String> {
    let folder = train(preset, EYES)?;
    agrees(preset, folder.path(), ort)
}

/// Exports with all engines in the gate, then replays the golden vectors as a user would.
pub(crate) fn agrees(name: &str, folder: &Path, ort: &Path) -> Result<(), String> {
    expect(export(folder)?.arg("--ort-lib").arg(ort), 0)?;
    let manifest = manifest(folder)?;
    let outputs = manifest.encoder.outputs.len() + 1;
    let expected = 3 * 3 * 2 * outputs;
    if manifest.parity.len() != expected {
        return Err(format!("{} rows of parity, not {expected}", manifest.parity.len()));
    }
    for engine in ["native", "tract", "ort"] {
        let rows = manifest.parity.iter().filter(|row| row.engine == engine);
        let worst = rows.map(|row| row.difference).fold(0.0, f64::max);
        eprintln!("parity of {name}: {engine} is at most {worst:.1e} from Burn");
        if worst > 1e-5 {
            return Err(format!("{engine} differs by {worst:.1e}"));
        }
        let mut verify = program("vae-infer")?;
        verify.arg("verify").arg("--model").arg(folder.join("bundle"));
        expect(verify.args(["--engine", engine]).arg("--ort-lib").arg(ort), 0)?;
    }
    Ok(())
}

fn every_block(ort: PathBuf) -> Result<(), String> {
    let config = TempDir::new().map_err(|e| e.to_string())?;
    let path = config.path().join("every-block.toml");
    std::fs::write(&path, EVERY_BLOCK).map_err(|e| e.to_string())?;
    let folder = train(&path.to_string_lossy(), &[])?;
    agrees("every-block", folder.path(), &ort)?;

    let bundle = folder.path().join("bundle");
    let mut sample = program("vae-infer")?;
    sample.args(["sample", "-n", "2", "-o"]).arg(folder.path().join("out.png"));
    refused(sample.arg("--model").arg(&bundle), &["skip"])
}

fn plain_autoencoder(ort: PathBuf) -> Result<(), String> {
    let settings = ["model.variational=false", "model.likelihood={ kind = \"squared_error\" }"];
    let folder = train("mnist-mlp", &settings)?;
    agrees("a plain autoencoder", folder.path(), &ort)
}

fn a_kept_epoch_is_exported(_: PathBuf) -> Result<(), String> {
    let folder = train("patterns", &["train.epochs=5", "train.keep=[1, 2]"])?;
    let decoder = || std::fs::read(folder.path().join("bundle").join("decoder.onnx"));
    let mut graphs = vec![];
    for epoch in ["1", "2", "5"] {
        expect(export(folder.path())?.args(["--force", "--epoch", epoch]), 0)?;
        graphs.push(decoder().map_err(|e| e.to_string())?);
    }
    graphs.dedup();
    if graphs.len() != 3 {
        return Err("two epochs have the same weights".into());
    }
    refused(export(folder.path())?.args(["--force", "--epoch", "3"]), &["epoch 3", "keep=[3]"])?;
    refused(export(folder.path())?.args(["--force", "--epoch", "9"]), &["no epoch 9"])
}

/// Stops an export while the bundle is being filled under its temporary name.
#[cfg(unix)]
fn a_signal_leaves_nothing(_: PathBuf) -> Result<(), String> {
    let folder = train("mnist-mlp", &[])?;
    let entries = || -> Result<BTreeSet<OsString>, String> {
        let entries = std::fs::read_dir(folder.path()).map_err(|e| e.to_string())?;
        Ok(entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect())
    };
    let before = entries()?;
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        // What these scores know of the training images takes a while.
        let mut child = export(folder.path())?
            .args(["--score", "nap"])
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let started = Instant::now();
        while entries()? == before {
            if started.elapsed() > Duration::from_secs(120) {
                return Err("the export makes no folder".into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let kill = format!("kill -{signal} {}", child.id());
        expect(Command::new("sh").args(["-c", &kill]), 0)?;
        let status = child.wait().map_err(|e| e.to_string())?;
        let left = entries()?;
        if status.code() != Some(code) || left != before {
            return Err(format!("SIG{signal} ends the export with {status} and leaves {left:?}"));
        }
    }
    Ok(())
}

fn nothing_is_overwritten(_: PathBuf) -> Result<(), String> {
    let folder = train("patterns", &[])?;
    let bundle = folder.path().join("bundle");
    std::fs::create_dir(&bundle).map_err(|e| e.to_string())?;
    std::fs::write(bundle.join("mine.txt"), "mine").map_err(|e| e.to_string())?;
    refused(&mut export(folder.path())?, &["exists"])?;
    refused(export(folder.path())?.arg("--force"), &["exists"])?;
    let left = std::fs::read_dir(&bundle).map_err(|e| e.to_string())?.count();
    if left == 1 { Ok(()) } else { Err(format!("{left} files are left of one")) }
}

fn two_exports_are_the_same_bytes(_: PathBuf) -> Result<(), String> {
    let folder = train("patterns", &[])?;
    expect(&mut export(folder.path())?, 0)?;
    let read = |name: &str| {
        std::fs::read(folder.path().join("bundle").join(name)).map_err(|e| e.to_string())
    };
    let files = ["encoder.onnx", "decoder.onnx", "golden.safetensors"];
    let first = files.map(read);
    expect(export(folder.path())?.arg("--force"), 0)?;
    run("vae-infer", &["verify", "--model", &folder.path().join("bundle").to_string_lossy()])?;
    if first == files.map(read) { Ok(()) } else { Err("a second export differs".into()) }
}
