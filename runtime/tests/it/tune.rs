//! What runs a model fastest, and that `--engine auto` takes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use ndarray::{Array3, Array4};
use serde_json::{Value, json};
use vae_infer::tuning::{Choice, Choices, Goal};
use vae_infer::{Bundle, Engine, EngineOptions, Error, Provider, npy};

use crate::fixture::{Copy, all_well, command, digits, not_refused, rings, run, succeed};

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

/// The program whose choices commands take.
fn vae_infer() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_vae-infer"))
}

/// The choices that commands with this cache take.
fn of_command(cache: &Path) -> Choices {
    Choices::in_folder(cache.join("vae-infer").join("tuning")).made_by(vae_infer())
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
    assert_eq!((report["model"].as_str(), &report["goal"]), (Some("digits"), &Value::Null));
    let rows = report["measured"].as_array().unwrap();
    let batches: Vec<_> = rows.iter().map(|row| row["batch"].as_u64().unwrap()).collect();
    assert_eq!(batches, [1, 8, 64]);
    assert_eq!(report["latency"], rows[0]);
    assert!(rows.contains(&report["throughput"]));
    for goal in ["batch 1, for latency", "for throughput"] {
        let takes = talk.lines().filter(|line| line.starts_with("--engine auto takes tract/cpu"));
        assert_eq!(takes.filter(|line| line.contains(goal)).count(), 1, "{talk}");
    }
    assert_eq!(choices(cache).len(), 1);

    assert_eq!(taken(cache, &[]), chosen);
    assert_ne!(taken(cache, &["--engine", "tract"]), chosen, "an engine is asked for");
    assert_ne!(taken(cache, &["--ep", "cpu"]), chosen, "a provider is asked for");
    assert_eq!(taken(cache, &["--threads", "3"]).1, 3);
    let (info, _) = line(cache, &["info"]);
    assert_eq!(info["engine"], chosen.0);
    for goal in ["latency", "throughput"] {
        let (tuned, best) = (&info["tuned"][goal], &report[goal]);
        assert_eq!((&tuned["threads"], &tuned["batch"]), (&chosen.1, &best["batch"]), "{goal}");
    }
    let info = run_with_cache(cache, &["info"]).stdout;
    let info = String::from_utf8(info).unwrap();
    assert!(
        info.contains("\ntuned       tract/cpu, --threads 37, batch 1, for latency\n"),
        "{info}"
    );

    assert_eq!(line(cache, &["tune", "--forget"]).0["forgotten"], true);
    assert_eq!(line(cache, &["tune", "--forget"]).0["forgotten"], false);
    assert_ne!(taken(cache, &[]), chosen);
    assert_eq!(line(cache, &["info"]).0["tuned"], json!({}));
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
        batch: 8,
        ort_library: None,
        version: String::new(),
    };
    let none = BTreeMap::new();
    assert_eq!(choices.get(&bundle), none);
    assert!(choices.keep(&bundle, Goal::Throughput, &choice).unwrap());
    let kept = BTreeMap::from([(Goal::Throughput, choice.clone())]);
    assert_eq!(choices.get(&Bundle::embedded()), kept, "the same bundle elsewhere");
    assert_eq!(choices.get(&changed), none);
    assert_eq!(choices.clone().made_by(vae_infer()).get(&bundle), none, "another program");

    let one = Choice { batch: 1, ..choice.clone() };
    assert!(choices.keep(&bundle, Goal::Latency, &one).unwrap());
    let both = BTreeMap::from([(Goal::Latency, one), (Goal::Throughput, choice.clone())]);
    assert_eq!(choices.get(&bundle), both);
    assert!(!choices.forget(&changed).unwrap() && choices.forget(&bundle).unwrap());
    assert_eq!(choices.get(&bundle), none);

    let options = choice.options(EngineOptions::default()).unwrap();
    let expected =
        EngineOptions { threads: 5, provider: Provider::Cpu, ..EngineOptions::new(Engine::Tract) };
    assert_eq!(options, expected);
    let other = Choice { version: "0.1".into(), ..choice };
    assert!(matches!(other.options(EngineOptions::default()), Err(Error::Engine { .. })));
}

/// What matters to a command is told by whose choice it takes: one that does not work is named.
#[test]
fn a_command_takes_the_choice_for_what_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    let one = rings(&images, 2)[0].to_str().unwrap().to_owned();
    let many = images.to_str().unwrap();
    let (array, latents, latent) = (at("images.npy"), at("latents.npy"), at("latent.npy"));
    let frame = at("frame");
    fs::write(&frame, [0; 28 * 28]).unwrap();
    fs::write(&array, npy::encode(&Array4::<f32>::zeros((1, 28, 28, 1)))).unwrap();
    succeed(["encode", many, "-o", &latents]);
    succeed(["encode", &one, "-o", &latent]);
    let out = at("out.npy");
    let (latency, throughput) = (Goal::Latency, Goal::Throughput);
    let cases: &[(&[&str], Goal)] = &[
        (&["score", &one], latency),
        (&["score", many], throughput),
        (&["score", &array], throughput),
        (&["score", "--raw", "28x28:gray8", "-"], latency),
        (&["score", &one, "--tile", "28"], throughput),
        (&["watch", many, "--existing", "--count", "1"], latency),
        (&["reconstruct", &one], latency),
        (&["reconstruct", many], throughput),
        (&["encode", &one], latency),
        (&["encode", &one, &one], throughput),
        (&["decode", &latent, "-o", &out], latency),
        (&["decode", &latents, "-o", &out], throughput),
        (&["sample", "-n", "1", "-o", &out], latency),
        (&["sample", "-n", "2", "-o", &out], throughput),
        (&["perturb", &one, "-o", &out], throughput),
        (&["perturb", &one, "--copies", "1", "-o", &out], latency),
        (&["interpolate", &one, &one, "-o", &out], throughput),
        (&["verify"], throughput),
        (&["info"], latency),
        (&["bench", "--runs", "1"], latency),
        (&["bench", "--runs", "1", "--batch", "2"], throughput),
    ];
    let stale = Choice {
        engine: Engine::Tract,
        provider: Provider::Cpu,
        threads: 1,
        batch: 1,
        ort_library: None,
        version: "0.1".into(),
    };
    let mut failures = vec![];
    for kept in Goal::ALL {
        let cache = folder.path().join(kept.to_string());
        of_command(&cache).keep(&Bundle::embedded(), kept, &stale).unwrap();
        for (arguments, goal) in cases {
            for explicit in [&[][..], &["--threads", "1"]] {
                let arguments = [*arguments, explicit, &["--force"]].concat();
                let mut command = command(&arguments);
                command.env("XDG_CACHE_HOME", &cache);
                let output = command.stdin(fs::File::open(&frame).unwrap()).output().unwrap();
                let talk = String::from_utf8(output.stderr).unwrap();
                let taken = talk.contains("passing over what `tune` chose");
                if taken != (kept == *goal && explicit.is_empty()) || !output.status.success() {
                    failures.push(format!("{arguments:?}, for {kept}: {talk}"));
                }
            }
        }
    }
    all_well(failures);
}

/// Of a batch with an array that has no place in the model's range nothing is printed: so its size is seen.
#[test]
fn batches_are_no_larger_than_what_was_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let bad = folder.path().join("bad.npy");
    npy::write(&bad, &Array3::from_elem((1, 28, 28), 1.5_f32)).unwrap();
    let mut images = rings(folder.path(), 5);
    images.push(bad);
    let images: Vec<_> = images.iter().map(|path| path.to_str().unwrap()).collect();
    let mut choice = Choice {
        engine: Engine::Tract,
        provider: Provider::Cpu,
        threads: 1,
        batch: 1,
        ort_library: None,
        version: String::new(),
    };
    for (batch, expected) in [(1, 5), (2, 4), (3, 3), (1000, 0)] {
        choice.batch = batch;
        of_command(&cache).keep(&Bundle::embedded(), Goal::Throughput, &choice).unwrap();
        for command in ["encode", "reconstruct"] {
            let output = run_with_cache(&cache, &[&[command], &images[..]].concat());
            let printed = output.stdout.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(printed, expected, "{command} in batches of {batch}: {output:?}");
        }
    }
}

#[test]
fn a_choice_that_does_not_work_any_more_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    let by_itself = taken(cache, &[]);
    tune(cache, &[]);
    let file = choices(cache).remove(0);
    let choices: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let write = |edit: &dyn Fn(&mut Value)| {
        let mut choices = choices.clone();
        edit(&mut choices["latency"]);
        fs::write(&file, choices.to_string()).unwrap();
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
        &|choice| choice["batch"] = 0.into(),
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
    let kept = of_command(folder.path()).get(&bundle);
    assert_eq!(kept.into_keys().collect::<Vec<_>>(), [Goal::Throughput]);

    let other = Copy::new().with_manifest(|manifest| manifest["name"] = "letters".into());
    let other = other.path().to_str().unwrap().to_owned();
    let output = run(["tune", "--precisions", &other]);
    assert_eq!(not_refused(&output, &[&other, "digits", "precision"]), None);
}

#[test]
fn what_cannot_be_tuned_is_refused() {
    let mut failures = vec![];
    for (arguments, word) in [
        (&["--forget", "--goal", "latency"][..], "--goal"),
        (&["--forget", "--seconds", "1"], "--seconds"),
        (&["--forget", "--precisions", "x"], "--precisions"),
        (&["--goal", "size"], "size"),
        (&["--seconds", "0"], "--seconds"),
        (&["--precisions"], "--precisions"),
        (&["/no/such/bundle"], "/no/such/bundle"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = run_with_cache(folder.path(), &[&["tune"], arguments].concat());
        let kept = choices(folder.path()).len();
        failures.extend(not_refused(&output, &[word]).map(|f| format!("{arguments:?}: {f}")));
        failures.extend((kept > 0).then(|| format!("{arguments:?}: {kept} kept")));
    }
    // What was asked for is tried, and the table says why it is out.
    for arguments in [
        &["--engine", "tract", "--ep", "cuda"][..],
        &["--engine", "ort", "--ort-lib", "/no/such/libonnxruntime.so"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = run_with_cache(folder.path(), &[&["tune"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let none = "error: no engine that was asked for gives the recorded results";
        let ended = said.lines().last().is_some_and(|line| line.starts_with(none));
        if output.status.code() != Some(2) || !ended || !choices(folder.path()).is_empty() {
            failures.push(format!("{arguments:?}: {output:?}"));
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
