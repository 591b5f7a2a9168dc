//! What runs a model fastest, and that `--engine auto` takes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use vae_infer::tuning::{Choice, Choices, Goal};
use vae_infer::{Bundle, Engine, EngineOptions, Error, Provider};

use crate::fixture::{Copy, all_well, command, digits, not_refused, run};

/// More threads than commands take by themselves on most machines.
const THREADS: &str = "37";

fn run_with_cache(cache: &Path, arguments: &[&str]) -> Output {
    command(arguments).env("XDG_CACHE_HOME", cache).output().unwrap()
}

/// The one JSON object of a command that succeeds, and its talk.
fn line(cache: &Path, arguments: &[&str]) -> (Value, String) {
    let output = run_with_cache(cache, &[arguments, &["--format", "json"]].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    (serde_json::from_slice(&output.stdout).unwrap(), stderr)
}

/// The engine and the threads that a command takes by itself.
fn taken(cache: &Path, arguments: &[&str]) -> (Value, Value) {
    let (line, stderr) = line(cache, &[&["bench", "--runs", "1"], arguments].concat());
    assert!(stderr.is_empty(), "{stderr}");
    (line["decoder"].clone(), line["threads"].clone())
}

fn tune(cache: &Path, arguments: &[&str]) -> (Value, String) {
    let short = ["tune", "--seconds", "0.001", "--engine", "tract", "--threads", THREADS];
    line(cache, &[&short, arguments].concat())
}

fn choices(cache: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(cache.join("vae-infer").join("tuning")) else { return vec![] };
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn auto_takes_what_was_chosen_until_it_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    let chosen = ("tract/cpu".into(), 37.into());
    assert_ne!(taken(cache, &[]), chosen);

    let (report, talk) = tune(cache, &[]);
    assert_eq!(
        (report["model"].as_str(), report["goal"].as_str()),
        (Some("digits"), Some("latency"))
    );
    let rows = report["measured"].as_array().unwrap();
    let batches: Vec<_> = rows.iter().map(|row| row["batch"].as_u64().unwrap()).collect();
    assert_eq!(batches, [1, 8, 64]);
    assert_eq!(report["latency"], rows[0]);
    assert!(rows.contains(&report["throughput"]));
    assert!(
        talk.contains("--engine auto takes tract/cpu with --threads 37, for latency"),
        "{talk}"
    );
    assert_eq!(choices(cache).len(), 1);

    assert_eq!(taken(cache, &[]), chosen);
    assert_ne!(taken(cache, &["--engine", "tract"]), chosen, "an engine is asked for");
    assert_ne!(taken(cache, &["--ep", "cpu"]), chosen, "a provider is asked for");
    assert_eq!(taken(cache, &["--threads", "3"]).1, 3);
    let (info, _) = line(cache, &["info"]);
    assert_eq!((&info["engine"], &info["tuned"]["threads"]), (&chosen.0, &chosen.1));
    let info = run_with_cache(cache, &["info"]).stdout;
    let info = String::from_utf8(info).unwrap();
    assert!(info.contains("\ntuned       tract/cpu with --threads 37, for latency\n"), "{info}");

    assert_eq!(line(cache, &["tune", "--forget"]).0["forgotten"], true);
    assert_eq!(line(cache, &["tune", "--forget"]).0["forgotten"], false);
    assert_ne!(taken(cache, &[]), chosen);
    assert_eq!(line(cache, &["info"]).0["tuned"], Value::Null);
}

#[test]
fn a_choice_is_of_one_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let choices = Choices::in_folder(folder.path().join("new"));
    let changed = Copy::new().with_manifest(|manifest| manifest["beta"] = 1.5.into());
    let changed = Bundle::open(changed.path()).unwrap();
    let bundle = Bundle::open(digits()).unwrap();
    let choice = Choice {
        engine: Engine::Tract,
        provider: Provider::Cpu,
        threads: 5,
        ort_library: None,
        version: String::new(),
        goal: Goal::Throughput,
    };
    assert_eq!(choices.get(&bundle), None);
    assert!(choices.keep(&bundle, &choice).unwrap());
    assert_eq!(choices.get(&Bundle::embedded()), Some(choice.clone()), "the same bundle elsewhere");
    assert_eq!(choices.get(&changed), None);
    assert!(!choices.forget(&changed).unwrap() && choices.forget(&bundle).unwrap());
    assert_eq!(choices.get(&bundle), None);

    let options = choice.options(EngineOptions::default()).unwrap();
    let expected =
        EngineOptions { threads: 5, provider: Provider::Cpu, ..EngineOptions::new(Engine::Tract) };
    assert_eq!(options, expected);
    let other = Choice { version: "0.1".into(), ..choice };
    assert!(matches!(other.options(EngineOptions::default()), Err(Error::Engine { .. })));
}

#[test]
fn a_choice_that_does_not_work_any_more_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    let by_itself = taken(cache, &[]);
    tune(cache, &[]);
    let file = choices(cache).remove(0);
    let choice: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let write = |edit: &dyn Fn(&mut Value)| {
        let mut choice = choice.clone();
        edit(&mut choice);
        fs::write(&file, choice.to_string()).unwrap();
    };
    let missing = "/no/such/libonnxruntime.so";
    for (edit, word) in [
        (&(|choice: &mut Value| choice["version"] = "0.1".into()) as &dyn Fn(&mut Value), "0.1"),
        (&|choice| choice["provider"] = "cuda".into(), "cuda"),
        (
            &|choice| {
                choice["engine"] = "ort".into();
                choice["ort_library"] = missing.into();
            },
            missing,
        ),
    ] {
        write(edit);
        let (line, talk) = line(cache, &["bench", "--runs", "1"]);
        assert_eq!((line["decoder"].clone(), line["threads"].clone()), by_itself);
        assert_eq!(talk.lines().count(), 1, "{talk}");
        assert!(
            talk.starts_with("passing over what `tune` chose") && talk.contains(word),
            "{talk}"
        );
    }
    for edit in [
        &(|choice: &mut Value| choice["threads"] = 0.into()) as &dyn Fn(&mut Value),
        &|choice| choice["threads"] = 1_000_000.into(),
        &|choice| choice["engine"] = "auto".into(),
        &|choice| choice["engine"] = "abacus".into(),
        &|choice| *choice = Value::Null,
    ] {
        write(edit);
        assert_eq!(taken(cache, &[]), by_itself, "a file that is no choice is none");
    }
}

#[test]
fn an_engine_with_other_results_is_out() {
    let mut golden = Bundle::embedded().golden().unwrap();
    *golden.get_mut("mean").unwrap().first_mut().unwrap() = 7.5;
    let golden: Vec<_> =
        golden.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    let copy = Copy::new().with_golden(&golden);
    let (model, cache) = (copy.path().to_str().unwrap(), copy.file("cache"));
    let arguments = ["tune", model, "--engine", "tract", "--seconds", "0.001", "--format", "json"];
    let output = run_with_cache(&cache, &arguments);
    assert_eq!(output.status.code(), Some(2));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let reason = report["out"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("`mean` differs by"), "{reason}");
    assert_eq!((&report["measured"], &report["latency"]), (&Value::Array(vec![]), &Value::Null));
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.lines().last().unwrap().starts_with("error: no engine"), "{talk}");
    assert!(choices(&cache).is_empty());
}

#[test]
fn other_precisions_are_measured_and_not_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let digits = digits();
    let digits = digits.to_str().unwrap();
    let (report, _) =
        tune(folder.path(), &["--goal", "throughput", "--precisions", digits, digits]);
    let rows = report["measured"].as_array().unwrap();
    let sources: Vec<_> = rows.iter().map(|row| row["source"].as_str().unwrap()).collect();
    assert_eq!(sources[..3], ["digits (embedded)"; 3]);
    assert_eq!(sources[3..], [digits; 3]);
    assert_eq!(report["throughput"]["source"], "digits (embedded)");
    let bundle = Bundle::embedded();
    let kept = Choices::in_folder(folder.path().join("vae-infer/tuning")).get(&bundle).unwrap();
    assert_eq!(kept.goal, Goal::Throughput);

    let other = Copy::new().with_manifest(|manifest| manifest["name"] = "letters".into());
    let other = other.path().to_str().unwrap().to_owned();
    let output = run(["tune", "--precisions", &other]);
    assert_eq!(not_refused(&output, &[&other, "digits", "precision"]), None);
}

#[test]
fn what_cannot_be_tuned_is_refused() {
    let mut failures = vec![];
    for arguments in [
        &["--forget", "--goal", "latency"][..],
        &["--forget", "--seconds", "1"],
        &["--forget", "--precisions", "x"],
        &["--goal", "size"],
        &["--seconds", "0"],
        &["--precisions"],
        &["/no/such/bundle"],
        &["--engine", "tract", "--ep", "cuda"],
        &["--engine", "ort", "--ort-lib", "/no/such/libonnxruntime.so"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = run_with_cache(folder.path(), &[&["tune"], arguments].concat());
        let kept = choices(folder.path()).len();
        if output.status.code() != Some(2) || kept > 0 {
            failures.push(format!("{arguments:?}: {output:?}, {kept} kept"));
        }
    }
    all_well(failures);
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    fs::write(&file, "").unwrap();
    let arguments = ["tune", "--engine", "tract", "--threads", "1", "--seconds", "0.001"];
    let output = run_with_cache(&file, &arguments);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{talk}");
    assert!(talk.contains("cannot write") && talk.contains("a file"), "{talk}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("best latency: tract/cpu"));

    let mut tune = command(arguments);
    let output = tune.env_clear().output().unwrap();
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && talk.contains("no cache"), "{talk}");
}
