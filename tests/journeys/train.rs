//! Training learns, and says clearly where it cannot.

use std::path::PathBuf;

use tempfile::TempDir;
use vae_tests::data::write_blobs;
use vae_tests::programs::{broken_off, expect, program, refused, run};

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("train::patterns_are_learned", Needs::Nothing, patterns_are_learned),
    ("train::it_goes_on_where_nobody_listens", Needs::Nothing, nobody_listens),
    ("train::a_broken_loss_stops_the_run", Needs::Nothing, broken_loss),
    ("train::the_term_that_broke_first_is_named", Needs::Nothing, broken_term),
    ("train::early_stopping", Needs::Nothing, early_stopping),
    ("train::bad_input_is_one_line", Needs::Nothing, bad_input),
    ("train::dense_layers_in_bf16_learn_as_in_f32", Needs::Nothing, |_| {
        as_in_f32(&["patterns", "train.epochs=8"])
    }),
    ("train::convolutions_in_bf16_learn_as_in_f32", Needs::Nothing, |_| {
        as_in_f32(&["mnist-conv", "train.learning_rate=1e-3", "train.epochs=2"])
    }),
    ("train::presets_are_configurations", Needs::Nothing, presets_are_configurations),
];

fn patterns(settings: &[&str]) -> Result<(TempDir, std::process::Command), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let mut fit = program("vae-train")?;
    fit.args(["fit", "patterns", "--device", "cpu", "--out"]).arg(folder.path().join("run"));
    for setting in settings {
        fit.args(["--set", setting]);
    }
    Ok((folder, fit))
}

fn losses(folder: &TempDir) -> Result<Vec<f64>, String> {
    let path = folder.path().join("run").join("metrics.jsonl");
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let loss = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
        let terms = &line["validation"];
        let term = |name: &str| terms[name].as_f64().ok_or_else(|| format!("no {name} in {line}"));
        Ok(term("reconstruction")? + term("kl")?)
    };
    text.lines().map(loss).collect()
}

/// Sixteen fair coins cost 11.1 nats; a model that knows the patterns needs far fewer.
fn patterns_are_learned(_: PathBuf) -> Result<(), String> {
    let (folder, mut fit) = patterns(&["train.epochs=30"])?;
    expect(&mut fit, 0)?;
    let losses = losses(&folder)?;
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    if losses.len() == 30 && last < 7.0 && last < first - 2.0 {
        return Ok(());
    }
    Err(format!("the validation loss went from {first} to {last} nats"))
}

/// A terminal that is closed, or a full disk under a log: nothing that is said can be written.
fn nobody_listens(_: PathBuf) -> Result<(), String> {
    let (folder, mut fit) = patterns(&["train.epochs=2"])?;
    if let Ok(full) = std::fs::File::options().write(true).open("/dev/full") {
        fit.stderr(full);
    }
    expect(&mut fit, 0)?;
    match losses(&folder)?.len() {
        2 => Ok(()),
        epochs => Err(format!("{epochs} epochs are noted")),
    }
}

/// A learning rate that is too high, or rises until it is: terms break before an epoch's end, and where every step is an
/// epoch the weights before any term, terms in the third epoch, and on the validation images alone.
fn broken_loss(_: PathBuf) -> Result<(), String> {
    let rising = "train.schedule={ kind = \"constant\", warmup_steps = 1000000000 }";
    let (few, alone) = ("data.patterns={ count = 30 }", "train.validation=0");
    let cases: [(&[&str], &[&str]); 4] = [
        (
            &["train.learning_rate=1e6", alone],
            &["at step 3 the KL term is not", "posterior overflowed", "no weights had been saved"],
        ),
        (
            &["train.learning_rate=1e300", few, alone],
            &["after step 1 the weight `", "no weights had been saved"],
        ),
        (
            &["train.learning_rate=1e12", rising, few, alone],
            &["at step 3 the KL term is not", "good weights are those of step 2 "],
        ),
        (
            &["train.learning_rate=1e12", rising, few],
            &[
                "on the validation images after step 2 the KL term is not",
                "(reconstruction NaN, KL inf)",
                "good weights are those of step 1 ",
            ],
        ),
    ];
    for (settings, words) in cases {
        let (folder, mut fit) = patterns(settings)?;
        broken_off(&mut fit, &[words, &["finite", "step", "hint"]].concat())?;
        let run = folder.path().join("run");
        let info = std::fs::read_to_string(run.join("run.json")).map_err(|e| e.to_string())?;
        if info.contains("test_loss") {
            return Err("a broken run has final figures".into());
        }
        let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
        let newest = run.join("checkpoints").join(format!("step-{:09}", lines.lines().count()));
        if newest.exists() == lines.is_empty() {
            return Err(format!("the metrics are not those of the weights that are kept: {lines}"));
        }
        // The weights that are kept are whole, and can be evaluated.
        if words.iter().any(|word| word.contains("good weights")) {
            expect(program("vae-train")?.arg("evaluate").arg(&run), 0)?;
        }
    }
    Ok(())
}

/// Weights that make the posterior so narrow that the ratio of its density to the prior's is no number, while the
/// images are still reconstructed; the gradient breaks every term from the next step on, long before a look at them.
fn broken_term(_: PathBuf) -> Result<(), String> {
    let settings = ["train.learning_rate=12", "train.kl=sampled", "train.beta=0"];
    let words = ["at step 2 the KL term is not a finite number (NaN); no weights had been saved"];
    for ways in [&[][..], &["--devices", "0,1"], &["--set", "train.precision=bf16"]] {
        let (_folder, mut fit) = patterns(&settings)?;
        broken_off(fit.env("RAYON_NUM_THREADS", "2").args(ways), &words)?;
    }
    Ok(())
}

fn early_stopping(_: PathBuf) -> Result<(), String> {
    let (folder, mut fit) = patterns(&["train.learning_rate=1e-12", "train.patience=2"])?;
    expect(&mut fit, 0)?;
    let epochs = losses(&folder)?.len();
    if epochs < 20 { Ok(()) } else { Err(format!("{epochs} epochs without progress")) }
}

/// The loss after every epoch, in both precisions: it parts by what 8 bits do to it.
fn as_in_f32(settings: &[&str]) -> Result<(), String> {
    let curve = |precision: &str| -> Result<Vec<f64>, String> {
        let folder = TempDir::new().map_err(|e| e.to_string())?;
        let mut fit = program("vae-train")?;
        fit.args(["fit", settings[0], "--device", "cpu", "--no-figures", "--out"]);
        fit.arg(folder.path().join("run")).args(["--set", precision]);
        for setting in &settings[1..] {
            fit.args(["--set", setting]);
        }
        if settings[0] != "patterns" {
            write_blobs(&folder.path().join("data"), 200).map_err(|e| e.to_string())?;
            fit.arg("--data").arg(folder.path().join("data"));
        }
        expect(&mut fit, 0)?;
        losses(&folder)
    };
    let (full, half) = (curve("train.precision=f32")?, curve("train.precision=bf16")?);
    let parts = full.iter().zip(&half).map(|(full, half)| (half / full - 1.0).abs());
    let most = parts.fold(0.0, f64::max);
    if full == half || full.len() != half.len() || most > 0.03 {
        return Err(format!("in f32 the loss is {full:?}, in bf16 {half:?}"));
    }
    let (first, last) = (half[0], half[half.len() - 1]);
    if last < 0.95 * first { Ok(()) } else { Err(format!("bf16 learns nothing: {half:?}")) }
}

fn bad_input(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    write_blobs(&folder.path().join("data"), 20).map_err(|e| e.to_string())?;
    std::fs::write(path("bad.toml"), "name = 3").map_err(|e| e.to_string())?;
    let (data, out) = (path("data"), path("run"));
    let cases: [(&[&str], &[&str]); 9] = [
        (&["nothing-of-the-kind"], &["nothing-of-the-kind", "mnist-conv"]),
        (&[&path("missing.toml")], &["missing.toml"]),
        (&[&path("bad.toml")], &["bad.toml"]),
        (&["mnist-mlp"], &["--data"]),
        (&["mnist-mlp", "--data", &path("nowhere")], &["nowhere"]),
        (&["mnist-mlp", "--data", &data, "--set", "model.latent=0"], &["latent size"]),
        (&["mnist-mlp", "--data", &data, "--set", "train.epoch=1"], &["epoch"]),
        (&["mnist-conv", "--data", &data, "--set", "image.width=27"], &["block", "decoder"]),
        (&["mnist-mlp", "--data", &data, "--device", "cuda"], &["cuda", "--features cuda"]),
    ];
    let mut wrong = vec![];
    for (arguments, words) in cases {
        let mut fit = program("vae-train")?;
        fit.arg("fit").args(arguments).args(["--out", &out]);
        wrong.extend(refused(&mut fit, words).err());
        if folder.path().join("run").exists() {
            wrong.push(format!("{arguments:?} leaves a run"));
        }
    }
    // Before any image is looked for.
    let mut fit = program("vae-train")?;
    fit.args(["fit", "mnist-mlp", "--data", &path("nowhere"), "--out", &path("bad.toml/run")]);
    wrong.extend(refused(&mut fit, &["cannot create", "bad.toml/run"]).err());
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn presets_are_configurations(_: PathBuf) -> Result<(), String> {
    let list = run("vae-train", &["presets"])?;
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    for line in list.lines() {
        let name = line.split_whitespace().next().ok_or("an empty line")?;
        let preset = run("vae-train", &["presets", name])?;
        let text = String::from_utf8_lossy(&preset.stdout).into_owned();
        vae_train::config::RunConfig::parse(&text, &[]).map_err(|e| format!("{name}: {e:#}"))?;
    }
    if list.lines().count() >= 4 { Ok(()) } else { Err(list) }
}
