//! The benchmark of anomalies, small: it stops and goes on, and ends in a table of everything.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use vae_tests::programs::{expect, program, refused};

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("benchmark::a_quick_run_is_stopped_and_goes_on", Needs::Nothing, quick),
    ("benchmark::unusable_requests_are_one_line", Needs::Nothing, unusable),
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
