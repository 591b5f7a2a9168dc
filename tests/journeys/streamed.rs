//! Images that do not fit into memory are read while the network trains, and it learns the same.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use vae_tests::data::{write_blob_files, write_blobs};
use vae_tests::programs::{expect, program, refused};

use crate::resume::{fit, same, wait_for};
use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("streamed::a_streamed_run_is_the_run_in_memory", Needs::Nothing, same_run),
    ("streamed::a_file_that_vanishes_stops_the_run", Needs::Nothing, |_| {
        stops(|file| std::fs::remove_file(file))
    }),
    ("streamed::a_file_that_becomes_another_image_stops_the_run", Needs::Nothing, |_| {
        stops(|file| std::fs::copy(file.with_file_name("00014.pgm"), file).map(drop))
    }),
    ("streamed::one_file_is_refused", Needs::Nothing, one_file),
];

fn folder() -> Result<TempDir, String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    write_blob_files(&folder.path().join("data"), 1100).map_err(|e| e.to_string())?;
    Ok(folder)
}

/// A run whose images are read batch by batch.
fn streamed(folder: &Path, run: &str) -> Result<Command, String> {
    let mut fit = fit(folder, run)?;
    fit.args(["--set", "data.memory_mib=0", "--set", "data.without=[\"3\"]"]);
    Ok(fit)
}

/// In memory on the device, in memory beside it, and from the files, which is killed and goes on.
fn same_run(_: PathBuf) -> Result<(), String> {
    let folder = folder()?;
    let folder = folder.path();
    let without = ["--set", "data.without=[\"3\"]"];
    expect(fit(folder, "device")?.args(without), 0)?;
    expect(fit(folder, "host")?.args(without).args(["--set", "train.resident_mib=0"]), 0)?;
    same(folder, "device", "host")?;

    let mut child =
        streamed(folder, "files")?.stderr(Stdio::null()).spawn().map_err(|e| e.to_string())?;
    wait_for(&folder.join("files").join("metrics.jsonl"), 2, &mut child)?;
    child.kill().and_then(|()| child.wait()).map_err(|e| e.to_string())?;
    let output = expect(streamed(folder, "files")?.arg("--resume"), 0)?;
    if !String::from_utf8_lossy(&output.stderr).contains("read batch by batch") {
        return Err("the run does not say that its images are read batch by batch".into());
    }
    same(folder, "device", "files")?;
    if looked_at(folder, "device")? != looked_at(folder, "files")? {
        return Err("the run from files is evaluated or drawn otherwise".into());
    }
    Ok(())
}

/// What a run's images are read for again: its evaluation, and a picture of some.
fn looked_at(folder: &Path, run: &str) -> Result<[Vec<u8>; 2], String> {
    let run = folder.join(run);
    let mut evaluate = program("vae-train")?;
    evaluate.arg("evaluate").arg(&run).args(["--device", "cpu", "--samples", "2"]);
    let evaluation = expect(evaluate.args(["--format", "json"]), 0)?.stdout;
    let picture = std::fs::read(run.join("figures").join("reconstructions.png"));
    Ok([evaluation, picture.map_err(|e| e.to_string())?])
}

/// The run stops and names the file that something is done to; with the file as it was it goes on to the same end.
fn stops(change: fn(&Path) -> std::io::Result<()>) -> Result<(), String> {
    let folder = folder()?;
    let folder = folder.path();
    expect(&mut streamed(folder, "whole")?, 0)?;
    let (file, aside) = (folder.join("data/4/00004.pgm"), folder.join("aside.pgm"));
    let mut child =
        streamed(folder, "run")?.stderr(Stdio::piped()).spawn().map_err(|e| e.to_string())?;
    wait_for(&folder.join("run").join("metrics.jsonl"), 1, &mut child)?;
    std::fs::copy(&file, &aside).and_then(|_| change(&file)).map_err(|e| e.to_string())?;
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    if output.status.code() != Some(2)
        || !last.starts_with("error: ")
        || !last.contains("00004.pgm")
    {
        return Err(format!("the file is not named: {}, {said}", output.status));
    }
    let saved = last.split_once("those of step ").and_then(|(_, step)| step.split_once(' '));
    let Some((step, "(hint: with that image there again, --resume goes on)")) = saved else {
        return Err(format!("it is not said where the run goes on: {last}"));
    };
    let checkpoint = folder.join("run/checkpoints").join(format!("step-{step:0>9}"));
    if !checkpoint.is_dir() {
        return Err(format!("the checkpoint of step {step} is not there"));
    }
    refused(streamed(folder, "run")?.arg("--resume"), &["training data"])?;
    std::fs::rename(&aside, &file).map_err(|e| e.to_string())?;
    expect(streamed(folder, "run")?.arg("--resume"), 0)?;
    same(folder, "whole", "run")
}

fn one_file(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    write_blobs(&folder.path().join("data"), 20).map_err(|e| e.to_string())?;
    refused(&mut streamed(folder.path(), "run")?, &["memory_mib", "folder of image files"])
}
