//! The five seeds, small: everything that a reproduction writes is there and opens.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use vae_tests::fetch::PYTHON;
use vae_tests::programs::{expect, program, refused, run};

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("reproduce::all_seeds_in_a_quick_run", Needs::Nothing, all_seeds),
    ("reproduce::unusable_requests_are_one_line", Needs::Nothing, unusable),
    ("reproduce::the_noisy_copies_of_seed_4_open_in_numpy", Needs::PythonOnnx, noisy_copies),
];

fn reproduce(folder: &Path, seed: &str) -> Result<Command, String> {
    let mut reproduce = program("vae-train")?;
    reproduce.args(["reproduce", seed, "--quick", "--device", "cpu", "-o"]).arg(folder);
    Ok(reproduce)
}

fn all_seeds(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let output = expect(&mut reproduce(folder.path(), "all")?, 0)?;
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    for seed in ["seed0", "seed1", "seed2", "seed3", "seed4"] {
        if !table.contains(&format!("| {seed} |")) {
            return Err(format!("{seed} is not in the table\n{table}"));
        }
    }
    let page = folder.path().join("report.html");
    let page = std::fs::read_to_string(page).map_err(|e| e.to_string())?;
    let foreign = ["src=\"http", "href=\"http", "<script", "url(", "@import"];
    if let Some(fetched) = foreign.iter().find(|word| page.contains(**word)) {
        return Err(format!("the report would fetch or run something: {fetched}"));
    }
    for run in [
        "emnist-perceptual",
        "emnist-plain",
        "mnist-mlp",
        "mnist-conv",
        "patterns",
        "eyes-ae",
        "eyes-vae",
        "eyes-spatial",
    ] {
        if !page.contains(&format!("<h2>{run}</h2>")) {
            return Err(format!("the report does not show {run}"));
        }
        let folder = folder.path().join(run);
        for file in ["figures/losses.svg", "figures/reconstructions.png", "bundle/manifest.json"] {
            if !folder.join(file).is_file() {
                return Err(format!("{run} has no {file}"));
            }
        }
    }
    // What is finished is not trained again.
    let again = expect(&mut reproduce(folder.path(), "seed3")?, 0)?;
    let talk = String::from_utf8_lossy(&again.stderr).into_owned();
    if talk.contains("epoch 1:") {
        Err(format!("patterns was trained again\n{talk}"))
    } else {
        Ok(())
    }
}

fn unusable(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    refused(&mut reproduce(folder.path(), "seed9")?, &["seed9", "seed0 to seed4"])?;
    let mut full = program("vae-train")?;
    full.args(["reproduce", "seed4", "-o"]).arg(folder.path().join("out"));
    refused(&mut full, &["--data"])?;
    let mut report = program("vae-train")?;
    refused(report.arg("report").arg(folder.path()), &["is not a run"])
}

/// Twenty chosen images, five noisy copies each, with their labels, in the layout of the input.
fn noisy_copies(packages: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    expect(&mut reproduce(folder.path(), "seed4")?, 0)?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let copies = [
        "perturb",
        &path("made/eyes/train.npy"),
        "--model",
        &path("eyes-vae/bundle"),
        "--ids",
        "1-10,101-110",
        "--copies",
        "5",
        "--labels",
        &path("made/eyes/train_label.npy"),
        "-o",
        &path("gen_data.npy"),
        "--out-labels",
        &path("gen_label.npy"),
    ];
    run("vae-infer", &copies)?;
    let check = "import numpy, sys\n\
                 data, labels, before = (numpy.load(path) for path in sys.argv[1:])\n\
                 ids = list(range(1, 11)) + list(range(101, 111))\n\
                 assert data.shape == (100, 50, 50, 3), data.shape\n\
                 assert labels.tolist() == [before[i] for i in ids for _ in range(5)], labels\n\
                 assert data.std() > 0 and len({image.tobytes() for image in data}) == 100\n";
    let mut python = Command::new(PYTHON);
    python.env("PYTHONPATH", packages).args(["-c", check]);
    python.args(["gen_data.npy", "gen_label.npy", "made/eyes/train_label.npy"].map(path));
    expect(&mut python, 0)?;
    Ok(())
}
