//! A run that is stopped and resumed is the run that was never stopped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vae_tests::data::write_blobs;
use vae_tests::programs::{expect, program, refused};

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    #[cfg(unix)]
    ("resume::after_sigterm", Needs::Nothing, |_| after_signal("TERM", 143)),
    #[cfg(unix)]
    ("resume::after_sigint", Needs::Nothing, |_| after_signal("INT", 130)),
    #[cfg(unix)]
    ("resume::after_sigkill", Needs::Nothing, |_| after_signal("KILL", 0)),
    ("resume::killed_within_an_epoch", Needs::Nothing, killed_within_an_epoch),
    ("resume::killed_while_a_checkpoint_is_written", Needs::Nothing, killed_while_saving),
    ("resume::a_damaged_checkpoint_is_passed_over", Needs::Nothing, damaged_checkpoint),
    ("resume::a_best_epoch_that_is_lost", Needs::Nothing, lost_best),
    ("resume::a_run_killed_at_its_beginning", Needs::Nothing, killed_at_its_beginning),
    ("resume::another_configuration_is_refused", Needs::Nothing, another_configuration),
    ("resume::other_data_is_refused", Needs::Nothing, other_data),
    ("resume::two_processes_do_not_share_a_run", Needs::Nothing, two_processes),
    ("resume::a_run_is_never_cleared", Needs::Nothing, a_run_is_never_cleared),
];

/// A run of an MLP on blobs: long enough to be stopped within.
pub(crate) fn fit(folder: &Path, run: &str) -> Result<Command, String> {
    let mut fit = program("vae-train")?;
    fit.args(["fit", "mnist-mlp", "--device", "cpu", "--data"]).arg(folder.join("data"));
    fit.arg("--out").arg(folder.join(run));
    for setting in ["train.epochs=4", "train.validation=100", "train.batch_size=16"] {
        fit.args(["--set", setting]);
    }
    fit.args(["--set", "train.beta_warmup=2", "--set", "train.clip_norm=50.0"]);
    fit.args(["--set", "train.schedule={ kind = \"cosine\" }"]);
    Ok(fit)
}

fn folder() -> Result<TempDir, String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    write_blobs(&folder.path().join("data"), 1100).map_err(|e| e.to_string())?;
    Ok(folder)
}

/// What a run leaves: its metrics, the graphs of its best epoch, and the pictures of all epochs.
fn outcome(folder: &Path, run: &str) -> Result<[Vec<u8>; 4], String> {
    let bundle = folder.join(format!("{run}-bundle"));
    let mut export = program("vae-train")?;
    expect(export.args(["export", "--force"]).arg(folder.join(run)).arg("-o").arg(&bundle), 0)?;
    let read = |path: PathBuf| std::fs::read(&path).map_err(|e| format!("{path:?}: {e}"));
    let frames = (0..=4).map(|epoch| format!("epoch-{epoch:04}.png"));
    let frames = frames.map(|frame| read(folder.join(run).join("frames").join(frame)));
    Ok([
        read(folder.join(run).join("metrics.jsonl"))?,
        read(bundle.join("encoder.onnx"))?,
        read(bundle.join("decoder.onnx"))?,
        frames.collect::<Result<Vec<_>, _>>()?.concat(),
    ])
}

pub(crate) fn same(folder: &Path, left: &str, right: &str) -> Result<(), String> {
    let (left, right) = (outcome(folder, left)?, outcome(folder, right)?);
    let parts = ["metrics", "encoder", "decoder", "frames"];
    for (what, (l, r)) in parts.iter().zip(left.iter().zip(&right)) {
        if l != r {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let detail = if *what == "metrics" { text(l) + &text(r) } else { String::new() };
            return Err(format!("the {what} differ from the uninterrupted run's\n{detail}"));
        }
    }
    Ok(())
}

/// Stops a run by a signal at several moments, resumes it each time, and expects the outcome of a
/// run that was left alone. `code` is the exit code after the signal, 0 where there is none.
#[cfg(unix)]
fn after_signal(signal: &str, code: i32) -> Result<(), String> {
    let folder = folder()?;
    let folder = folder.path();
    expect(&mut fit(folder, "whole")?, 0)?;
    let log = folder.join("stopped").join("metrics.jsonl");
    let mut command = fit(folder, "stopped")?;
    for lines in 1..=2 {
        let mut child = command.stderr(Stdio::null()).spawn().map_err(|e| e.to_string())?;
        wait_for(&log, lines, &mut child)?;
        let kill = format!("kill -{signal} {}", child.id());
        expect(Command::new("sh").args(["-c", &kill]), 0)?;
        let status = child.wait().map_err(|e| e.to_string())?;
        if code != 0 && status.code() != Some(code) {
            return Err(format!("SIG{signal} ended the run with {status}, not with {code}"));
        }
        command = fit(folder, "stopped")?;
        command.arg("--resume");
    }
    expect(&mut command, 0)?;
    same(folder, "whole", "stopped")
}

/// Waits until the run has logged a number of epochs.
pub(crate) fn wait_for(log: &Path, lines: usize, child: &mut Child) -> Result<(), String> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(120) {
        let logged = std::fs::read_to_string(log).map_or(0, |text| text.lines().count());
        if logged >= lines {
            return Ok(());
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("the run ended by itself: {status}"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err("the run logs nothing".into())
}

/// Kills a run in its first epoch, once a checkpoint is there, and goes on with other settings of what changes no
/// result.
fn killed_within_an_epoch(_: PathBuf) -> Result<(), String> {
    let folder = folder()?;
    let folder = folder.path();
    let long = |run, save_minutes| {
        let mut command = fit(folder, run)?;
        command.args(["--set", "train.batch_size=2", "--set", save_minutes]);
        Ok::<_, String>(command)
    };
    expect(&mut long("whole", "train.save_minutes=60")?, 0)?;
    let run = folder.join("killed");
    // A busy machine may look too late.
    while !kill_within_an_epoch(long("killed", "train.save_minutes=0")?, &run)? {
        std::fs::remove_dir_all(&run).map_err(|e| e.to_string())?;
    }
    let mut command = long("killed", "train.save_minutes=5")?;
    command.args(["--resume", "--set", "data.memory_mib=1000", "--set", "train.resident_mib=0"]);
    let said = expect(&mut command, 0)?.stderr;
    if !String::from_utf8_lossy(&said).contains("going on after step ") {
        return Err("the run began again".into());
    }
    same(folder, "whole", "killed")
}

/// Kills a run as soon as it has saved a checkpoint, and says whether its first epoch was not over.
fn kill_within_an_epoch(mut command: Command, run: &Path) -> Result<bool, String> {
    let checkpoints = run.join("checkpoints");
    let mut child = command.stderr(Stdio::null()).spawn().map_err(|e| e.to_string())?;
    let saved = || {
        let entries = std::fs::read_dir(&checkpoints).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name())
            .any(|name| name.to_string_lossy().starts_with("step-"))
    };
    while !saved() {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Err(format!("the run ended by itself: {status}"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().and_then(|()| child.wait()).map_err(|e| e.to_string())?;
    Ok(!run.join("metrics.jsonl").exists())
}

/// Kills a run whenever a checkpoint is half written, some megabytes long, and goes on with it: what
/// was half written is passed over, whatever the run had logged.
fn killed_while_saving(_: PathBuf) -> Result<(), String> {
    let folder = folder()?;
    let folder = folder.path();
    let wide = |run| {
        let mut command = fit(folder, run)?;
        command.args(["--set", "model.latent=1500", "--set", "train.batch_size=100"]);
        Ok::<_, String>(command)
    };
    expect(&mut wide("whole")?, 0)?;
    let run = folder.join("killed");
    let mut command = wide("killed")?;
    let mut killed = 0;
    for _ in 0..6 {
        let mut child = command.stderr(Stdio::null()).spawn().map_err(|e| e.to_string())?;
        killed += usize::from(kill_while_saving(&run.join("checkpoints"), &mut child)?);
        command = wide("killed")?;
        command.arg("--resume");
    }
    expect(&mut command, 0)?;
    let left = std::fs::read_dir(run.join("checkpoints")).map_err(|e| e.to_string())?;
    let half = |name: std::ffi::OsString| name.to_string_lossy().starts_with(".saving-");
    if killed == 0 || left.flatten().any(|entry| half(entry.file_name())) {
        return Err(format!("killed {killed} times, and something half written is left"));
    }
    same(folder, "whole", "killed")
}

/// Kills a run as soon as a checkpoint is being written, and says whether it had not ended before.
fn kill_while_saving(checkpoints: &Path, child: &mut Child) -> Result<bool, String> {
    let names = || -> Vec<_> {
        let entries = std::fs::read_dir(checkpoints).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).collect()
    };
    let before = names();
    loop {
        if child.try_wait().map_err(|e| e.to_string())?.is_some() {
            return Ok(false);
        }
        let begun = |name: &std::ffi::OsString| name.to_string_lossy().starts_with(".saving-");
        if names().iter().any(|name| begun(name) && !before.contains(name)) {
            child.kill().map_err(|e| e.to_string())?;
            child.wait().map_err(|e| e.to_string())?;
            return Ok(true);
        }
    }
}

fn damaged_checkpoint(_: PathBuf) -> Result<(), String> {
    let folder = folder()?;
    let folder = folder.path();
    expect(&mut fit(folder, "whole")?, 0)?;
    expect(&mut fit(folder, "damaged")?, 0)?;
    let checkpoints = folder.join("damaged").join("checkpoints");
    let entries = std::fs::read_dir(checkpoints).map_err(|e| e.to_string())?;
    let newest = entries.filter_map(|entry| Some(entry.ok()?.path())).max();
    let model = newest.ok_or("there is no checkpoint")?.join("model.bpk");
    let bytes = std::fs::read(&model).map_err(|e| e.to_string())?;
    std::fs::write(&model, &bytes[..bytes.len() / 2]).map_err(|e| e.to_string())?;

    let output = expect(fit(folder, "damaged")?.arg("--resume"), 0)?;
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    if !err.contains("model.bpk") {
        return Err(format!("the damage is not named: {err}"));
    }
    same(folder, "whole", "damaged")
}

/// The best epoch is not the last, and its weights are damaged once no other can be better.
fn lost_best(_: PathBuf) -> Result<(), String> {
    let folder = folder()?;
    let run = folder.path().join("run");
    let vae_train = |arguments: &[&str]| -> Result<Command, String> {
        let mut command = program("vae-train")?;
        command.args(arguments).arg(&run);
        Ok(command)
    };
    let fit = ["fit", "patterns", "--device", "cpu", "--no-figures", "--set", "train.epochs=12"];
    let fit = [&fit[..], &["--set", "train.learning_rate=0.2", "--out"]].concat();
    expect(&mut vae_train(&fit)?, 0)?;
    let json = |text: &str| -> Result<serde_json::Value, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    };
    let read = |file: &str| std::fs::read_to_string(run.join(file)).map_err(|e| e.to_string());
    let (info, lines) = (json(&read("run.json")?)?, read("metrics.jsonl")?);
    let best = info["metrics"]["epoch"].as_f64().ok_or("no epoch is the best")? as usize;
    let line = json(lines.lines().nth(best - 1).ok_or("its line is missing")?)?;
    let step = line["step"].as_u64().ok_or("its step is missing")?;
    if best == 12 {
        return Err("the last epoch is the best, nothing can be lost".into());
    }
    let model = run.join("checkpoints").join(format!("step-{step:09}")).join("model.bpk");
    std::fs::write(&model, "damaged").map_err(|e| e.to_string())?;
    refused(&mut vae_train(&["evaluate"])?, &["model.bpk", &format!("{best}"), "--epoch"])?;
    refused(vae_train(&fit)?.arg("--resume"), &["model.bpk", "none is to come", "--epoch 12"])?;
    expect(&mut vae_train(&["evaluate", "--epoch", "12"])?, 0)?;

    let newest = run.join("checkpoints").join(format!("step-{:09}", 12 * step / best as u64));
    std::fs::remove_dir_all(newest).map_err(|e| e.to_string())?;
    let output = expect(vae_train(&fit)?.arg("--resume"), 0)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match said.contains("among those to come") && said.contains("model.bpk") {
        true => expect(&mut vae_train(&["evaluate"])?, 0).map(drop),
        false => Err(format!("that the best epoch is lost is not said: {said}")),
    }
}

/// A run that was killed before it noted its data, or anything after that.
fn killed_at_its_beginning(_: PathBuf) -> Result<(), String> {
    let folder = folder()?;
    let folder = folder.path();
    expect(&mut fit(folder, "whole")?, 0)?;
    let run = folder.join("killed");
    std::fs::create_dir_all(run.join("checkpoints")).map_err(|e| e.to_string())?;
    std::fs::copy(folder.join("whole").join("config.toml"), run.join("config.toml"))
        .map_err(|e| e.to_string())?;
    expect(fit(folder, "killed")?.arg("--resume"), 0)?;
    same(folder, "whole", "killed")
}

fn another_configuration(_: PathBuf) -> Result<(), String> {
    let folder = folder()?;
    expect(&mut fit(folder.path(), "run")?, 0)?;
    let mut other = fit(folder.path(), "run")?;
    other.args(["--resume", "--set", "train.learning_rate=0.5"]);
    refused(&mut other, &["learning_rate = 0.5", "learning_rate = 0.001"])
}

fn other_data(_: PathBuf) -> Result<(), String> {
    let folder = folder()?;
    expect(&mut fit(folder.path(), "run")?, 0)?;
    write_blobs(&folder.path().join("data"), 1200).map_err(|e| e.to_string())?;
    refused(fit(folder.path(), "run")?.arg("--resume"), &["training data"])
}

/// This process holds the run as another training would.
fn two_processes(_: PathBuf) -> Result<(), String> {
    let folder = folder()?;
    expect(&mut fit(folder.path(), "run")?, 0)?;
    let lock = std::fs::File::open(folder.path().join("run").join("lock"));
    let held = lock.and_then(|file| file.lock().map(|()| file)).map_err(|e| e.to_string())?;
    let mut resumed = fit(folder.path(), "run")?;
    resumed.arg("--resume");
    refused(&mut resumed, &["another process"])?;
    let said = expect(&mut resumed, 2)?.stderr;
    drop(held);
    match String::from_utf8_lossy(&said).lines().count() {
        1 => Ok(()),
        lines => Err(format!("a run in use is refused in {lines} lines")),
    }
}

fn a_run_is_never_cleared(_: PathBuf) -> Result<(), String> {
    let folder = folder()?;
    std::fs::create_dir(folder.path().join("run")).map_err(|e| e.to_string())?;
    let mine = folder.path().join("run").join("mine.txt");
    std::fs::write(&mine, "mine").map_err(|e| e.to_string())?;
    refused(&mut fit(folder.path(), "run")?, &["not empty", "--resume"])?;
    refused(fit(folder.path(), "run")?.arg("--resume"), &["config.toml"])?;
    if mine.exists() { Ok(()) } else { Err("the file is gone".into()) }
}
