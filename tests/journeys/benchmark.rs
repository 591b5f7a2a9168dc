//! The benchmark of anomalies, small: it stops and goes on, and ends in a table of everything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use vae_infer::npy;
use vae_tests::programs::{expect, program, refused};

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("benchmark::a_quick_run_is_stopped_and_goes_on", Needs::Nothing, quick),
    ("benchmark::unusable_requests_are_one_line", Needs::Nothing, unusable),
    ("benchmark::training_is_measured_and_begins_anywhere", Needs::Nothing, training),
];

/// A case of the quick run, which is measured early.
const CASE: &str = "normal/mnist/1-0";

fn benchmark(out: &Path) -> Result<Command, String> {
    let mut benchmark = program("vae-train")?;
    benchmark.args(["benchmark", "anomaly", "--quick", "--device", "cpu", "-o"]).arg(out);
    Ok(benchmark)
}

fn quick(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let out = folder.path();
    #[cfg(unix)]
    interrupted(out)?;
    let output = expect(&mut benchmark(out)?, 0)?;
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let sections =
        ["One class normal", "One class anomalous", "Across data sets", "Magnetic tiles"];
    for words in sections.into_iter().chain(["| `nap` |", "| `lof` |", "| `error map` |"]) {
        if !table.contains(words) {
            return Err(format!("there is no {words} in\n{table}"));
        }
    }
    figures(out)?;
    let scores = out.join(CASE).join("scores.json");
    let time = |path: &Path| path.metadata().and_then(|m| m.modified()).map_err(|e| e.to_string());
    let before = time(&scores)?;

    // What is measured is not trained again, and what another process measures is passed over.
    let again = expect(&mut benchmark(out)?, 0)?;
    let talk = String::from_utf8_lossy(&again.stderr).into_owned();
    if talk.contains("epoch 1:") || again.stdout != output.stdout || time(&scores)? != before {
        return Err(format!("something was measured again\n{talk}"));
    }
    std::fs::remove_file(&scores).map_err(|e| e.to_string())?;
    let lock = std::fs::File::open(out.join(CASE).join("lock")).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    let shared = expect(&mut benchmark(out)?, 0)?;
    let talk = String::from_utf8_lossy(&shared.stderr).into_owned();
    if !talk.contains("1 of the networks") || talk.contains("epoch 1:") {
        return Err(format!("a locked case was not passed over\n{talk}"));
    }
    drop(lock);
    std::fs::write(&scores, "{").map_err(|e| e.to_string())?;
    refused(&mut benchmark(out)?, &[CASE, "scores.json", "damaged"])
}

/// Stops the benchmark after its first case.
#[cfg(unix)]
fn interrupted(out: &Path) -> Result<(), String> {
    let mut child = benchmark(out)?.stderr(Stdio::null()).spawn().map_err(|e| e.to_string())?;
    let first = out.join("normal/mnist/0-0/scores.json");
    let started = Instant::now();
    while !first.exists() && started.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let kill = format!("kill -INT {}", child.id());
    expect(Command::new("sh").args(["-c", &kill]), 0)?;
    let status = child.wait().map_err(|e| e.to_string())?;
    match status.code() {
        Some(130) if first.exists() && !out.join("anomaly.md").exists() => Ok(()),
        _ => Err(format!("the benchmark ended with {status}")),
    }
}

/// Every figure is a share, and every case has all scores.
fn figures(out: &Path) -> Result<(), String> {
    let text = std::fs::read(out.join("anomaly.json")).map_err(|e| e.to_string())?;
    let json: Value = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    let cases = json["cases"].as_array().ok_or("there are no cases")?;
    let comparisons: Vec<&Value> =
        cases.iter().filter_map(|case| case["comparisons"].as_array()).flatten().collect();
    if cases.len() != 11 || comparisons.len() != 2 * 4 + 4 + 3 + 2 {
        return Err(format!("{} cases, {} comparisons", cases.len(), comparisons.len()));
    }
    for comparison in comparisons {
        for figures in ["auroc", "pixel_auroc", "overlap"] {
            let Some(figures) = comparison[figures].as_object() else { continue };
            let shares =
                figures.values().all(|v| v.as_f64().is_some_and(|v| (0.0..=1.0).contains(&v)));
            if figures.len() < 13 || !shares {
                return Err(format!("{comparison}"));
            }
        }
    }
    Ok(())
}

fn unusable(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let anomaly = || -> Result<Command, String> {
        let mut anomaly = program("vae-train")?;
        anomaly.args(["benchmark", "anomaly", "-o"]).arg(folder.path().join("out"));
        Ok(anomaly)
    };
    refused(&mut anomaly()?, &["MNIST", "--data"])?;
    refused(anomaly()?.arg("--data").arg(folder.path()), &["MNIST", "mnist"])?;
    let tiles = folder.path().join("magnetic-tile");
    std::fs::create_dir(&tiles).map_err(|e| e.to_string())?;
    let with_tiles = || -> Result<Command, String> {
        let mut command = anomaly()?;
        command.args(["tiles", "--data"]).arg(folder.path());
        Ok(command)
    };
    refused(&mut with_tiles()?, &["magnetic-tile", "0 archives"])?;
    std::fs::write(tiles.join("a.tar.gz"), "no archive").map_err(|e| e.to_string())?;
    refused(&mut with_tiles()?, &["a.tar.gz"])?;
    let run = folder.path().join("out");
    std::fs::create_dir_all(&run).map_err(|e| e.to_string())?;
    std::fs::write(run.join("config.toml"), "").map_err(|e| e.to_string())?;
    refused(anomaly()?.arg("--quick"), &["is a run", "another -o"])
}

fn train_patterns(arguments: &[&str]) -> Result<Command, String> {
    let mut training = program("vae-train")?;
    training.args(["benchmark", "training", "patterns", "--warmup", "2"]).args(arguments);
    Ok(training)
}

/// The loss is that of the seed, and what another framework begins with is what was trained on.
fn training(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let start = folder.path().join("start");
    let measured = |start: &Path| -> Result<Value, String> {
        let arguments = ["--steps", "20", "--batch", "8", "--device", "cpu", "--format", "json"];
        let output = expect(train_patterns(&arguments)?.arg("--start").arg(start), 0)?;
        serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())
    };
    let (first, again) = (measured(&start)?, measured(&start)?);
    if first["losses"] != again["losses"] || first["images_per_second"][0].as_f64() <= Some(0.0) {
        return Err(format!("{first} and {again}"));
    }
    let read = |name: &str| std::fs::read(start.join(name)).map_err(|e| format!("{name}: {e}"));
    let images = npy::floats("images.npy", &read("images.npy")?).map_err(|e| e.to_string())?;
    if images.shape() != [1024, 1, 4, 4] {
        return Err(format!("the images are {:?}", images.shape()));
    }
    let noise = npy::floats("noise.npy", &read("noise.npy")?).map_err(|e| e.to_string())?;
    if noise.shape() != [22, 8, 2] || !(0.8..1.2).contains(&noise.std(0.0)) {
        return Err(format!("the noise is {:?}, {}", noise.shape(), noise.std(0.0)));
    }
    let config = String::from_utf8_lossy(&read("config.toml")?).into_owned();
    if !config.contains("name = \"patterns\"") {
        return Err(format!("the configuration is another one: {config}"));
    }
    let order = read("order.npy")?;
    let order = order.get(128..).ok_or("the order is short")?;
    let one_pass: BTreeSet<&[u8]> = order.chunks(size_of::<i64>()).collect();
    if order.len() != 22 * 8 * size_of::<i64>() || one_pass.len() != 22 * 8 {
        return Err(format!("{} images in {} bytes", one_pass.len(), order.len()));
    }
    if !String::from_utf8_lossy(&read("weights.safetensors")?)
        .contains("encoder.layers.1.Dense.weight")
    {
        return Err("the weights have other names".into());
    }
    let text = expect(&mut train_patterns(&["--steps", "10", "--device", "auto"])?, 0)?;
    let note = String::from_utf8_lossy(&text.stderr).into_owned();
    if !note.contains("the device is cpu: ") || !note.contains("cuda") {
        return Err(format!("it does not say why it took that device: {note}"));
    }
    refused(&mut train_patterns(&["--steps", "5"])?, &["--steps"])?;
    refused(&mut train_patterns(&["--steps", "15"])?, &["--steps 15", "windows"])?;
    let most = usize::MAX.to_string();
    refused(&mut train_patterns(&["--batch", &most])?, &["no memory"])?;
    std::fs::create_dir(start.join("checkpoints")).map_err(|e| e.to_string())?;
    refused(train_patterns(&[])?.arg("--start").arg(&start), &["is a run", "another --start"])?;
    refused(&mut train_patterns(&["--device", "cuda"])?, &["cuda", "not in this build"])
}
