//! The rules of the house.

use std::path::{Path, PathBuf};
use std::process::Command;

use vae_tests::programs::{expect, root};

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("house::no_burn_below_the_runtime", Needs::Nothing, no_burn_below_the_runtime),
    ("house::files_stay_small", Needs::Nothing, files_stay_small),
    ("house::the_version_is_in_the_changelog", Needs::Nothing, the_version_is_in_the_changelog),
];

/// The runtime compiles no Burn, whatever its features; the models know nothing of inference.
fn no_burn_below_the_runtime(_: PathBuf) -> Result<(), String> {
    let tree = |package: &str, arguments: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).args(["tree", "--offline", "--prefix", "none", "-p", package]);
        let output = expect(cargo.args(arguments), 0)?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let runtime = tree("vae-infer", &["--all-features", "-e", "normal,build"])?;
    if let Some(burn) = runtime.lines().find(|l| l.starts_with("burn") || l.starts_with("cubecl")) {
        return Err(format!("vae-infer depends on {burn}"));
    }
    let models = tree("vae-models", &["-e", "normal"])?;
    match models.lines().find(|line| line.starts_with("vae-infer") || line.starts_with("tract")) {
        Some(engine) => Err(format!("vae-models depends on {engine}")),
        None => Ok(()),
    }
}

/// No file of ours is longer than 400 lines.
fn files_stay_small(_: PathBuf) -> Result<(), String> {
    let mut long = vec![];
    for folder in ["models", "onnx", "runtime", "trainer", "tests", "benches"] {
        measure(&root().join(folder), &mut long)?;
    }
    if long.is_empty() { Ok(()) } else { Err(long.join("\n")) }
}

fn measure(folder: &Path, long: &mut Vec<String>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.is_dir() {
            measure(&path, long)?;
        } else if path.extension().is_some_and(|e| e == "rs" || e == "py") {
            let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
            let lines = text.lines().count();
            if lines > 400 {
                long.push(format!("{} has {lines} lines", path.display()));
            }
        }
    }
    Ok(())
}

fn the_version_is_in_the_changelog(_: PathBuf) -> Result<(), String> {
    let changelog = root().join("CHANGELOG.md");
    let changelog = std::fs::read_to_string(changelog).map_err(|e| e.to_string())?;
    let heading = format!("## {}", env!("CARGO_PKG_VERSION"));
    if changelog.contains(&heading) { Ok(()) } else { Err(format!("no `{heading}`")) }
}
