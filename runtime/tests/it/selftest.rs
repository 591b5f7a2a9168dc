//! The self-test on loading: what fails it, and what a machine remembers of it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use vae_infer::selftest::{self, Passed, Stamps};
use vae_infer::{Bundle, Decoder, EngineOptions, Error, Model};

use crate::fixture::{Copy, command, digits, not_refused, rings, succeed};

/// The bundle with a record of an output that the model does not give.
fn with_wrong_record(output: &str) -> Copy {
    let mut golden = Bundle::embedded().golden().unwrap();
    *golden.get_mut(output).unwrap().first_mut().unwrap() = 7.5;
    let golden: Vec<_> =
        golden.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    Copy::new().with_golden(&golden)
}

fn run_with_cache(cache: &Path, arguments: &[&str]) -> Output {
    command(arguments).env("XDG_CACHE_HOME", cache).output().unwrap()
}

fn stamps(cache: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(cache.join("vae-infer").join("selftest")) else { return vec![] };
    let mut stamps: Vec<_> =
        entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    stamps.sort();
    stamps
}

#[test]
fn a_model_that_gives_other_results_does_not_run() {
    let copy = with_wrong_record("mean");
    let at = |name: &str| copy.file(name).to_str().unwrap().to_owned();
    let (model, out, cache) = (copy.path().to_str().unwrap(), at("out.png"), copy.file("cache"));
    let image = rings(copy.path(), 1)[0].to_str().unwrap().to_owned();
    let reconstruct = ["reconstruct", &image, "--model", model, "-o", &out];
    for when in ["once", "always"] {
        let output = run_with_cache(&cache, &[&reconstruct[..], &["--selftest", when]].concat());
        let words = [model, "`mean` differs by ", "native/cpu", "--selftest off"];
        assert_eq!(not_refused(&output, &words), None, "{when}");
        assert!(!Path::new(&out).exists(), "{when}");
        assert!(stamps(&cache).is_empty(), "{when}");
    }
    assert!(succeed(["info", "--model", model]).contains("native/cpu"));

    let output = run_with_cache(&cache, &[&reconstruct[..], &["--selftest", "off"]].concat());
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(Path::new(&out).exists() && stamps(&cache).is_empty());
}

#[test]
fn a_model_whose_verdicts_flip_does_not_run() {
    let copy = with_wrong_record("score");
    let model = copy.path().to_str().unwrap();
    let image = rings(copy.path(), 1)[0].to_str().unwrap().to_owned();
    let output = run_with_cache(&copy.file("cache"), &["score", &image, "--model", model]);
    assert_eq!(not_refused(&output, &[model, "1 of 24", "verdicts", "--selftest off"]), None);

    let output = command(["verify", "--model", model]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(lines.contains("FAILED  1 of 24  native/cpu  verdicts flip"), "{lines}");
}

#[test]
fn each_half_is_tested_where_it_is_loaded() {
    for (output, broken, whole, stamp) in [
        ("log_var", "encode", "decode", "decoder of digits, native/cpu\n"),
        ("reconstruction", "decode", "encode", "encoder of digits, native/cpu\n"),
    ] {
        let copy = with_wrong_record(output);
        let at = |name: &str| copy.file(name).to_str().unwrap().to_owned();
        let (model, cache) = (copy.path().to_str().unwrap(), copy.file("cache"));
        let image = rings(copy.path(), 1)[0].to_str().unwrap().to_owned();
        succeed(["encode", &image, "-o", &at("latents.npy")]);
        let run = |name: &str, out: &str| {
            let input = if name == "encode" { &image } else { &at("latents.npy") };
            run_with_cache(&cache, &[name, input, "--model", model, "-o", &at(out)])
        };
        assert_eq!(not_refused(&run(broken, "a.npy"), &[output]), None);
        assert!(run(whole, "b.npy").status.success(), "{whole} needs no {output}");
        assert_eq!(stamps(&cache), [stamp]);
    }
}

#[test]
fn a_passed_test_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, options) = (Stamps::in_folder(folder.path().join("a")), EngineOptions::default());
    let bundle = Bundle::open(digits()).unwrap();
    let mut model = Model::load(&bundle, &options).unwrap();
    let mut test =
        |stamps: &Stamps| selftest::model(&mut model, &bundle, &options, stamps).unwrap();
    assert_eq!(test(&kept), [Passed::Now; 3]);
    assert_eq!(test(&kept), [Passed::Before; 3]);
    assert_eq!(test(&Stamps::none()), [Passed::Now; 3]);
    assert_eq!(test(&Stamps::in_folder(folder.path().join("b"))), [Passed::Now; 3]);

    let mut decoder = Decoder::load(&bundle, &options).unwrap();
    let half = selftest::decoder(&mut decoder, &bundle, &options, &kept).unwrap();
    assert_eq!(half, Passed::Before, "a stamp of the whole is one of its half");
    let wrong = Bundle::open(with_wrong_record("reconstruction").path()).unwrap();
    for _ in 0..2 {
        let failed = selftest::decoder(&mut decoder, &wrong, &options, &kept);
        assert!(matches!(failed, Err(Error::SelfTest { .. })), "another manifest, another stamp");
    }
}

#[test]
fn a_program_that_was_built_anew_tests_and_chooses_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (program, cache) = (folder.path().join("program"), folder.path().join("cache"));
    fs::copy(env!("CARGO_BIN_EXE_vae-infer"), &program).unwrap();
    let image = rings(folder.path(), 1)[0].to_str().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        let output = command.args(arguments).env("XDG_CACHE_HOME", &cache).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let kept = || {
        run(&["score", &image]);
        (stamps(&cache).len(), run(&["info"]).contains("\ntuned "))
    };
    run(&["tune", "--engine", "tract", "--threads", "1", "--seconds", "0.001"]);
    assert_eq!(kept(), (3, true));
    assert_eq!(kept(), (3, true), "the same program");

    let file = fs::File::options().append(true).open(&program).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    drop(file);
    assert_eq!(kept(), (6, false), "of another time");

    let mut file = fs::File::options().append(true).open(&program).unwrap();
    file.write_all(b"!").unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    drop(file);
    assert_eq!(kept(), (9, false), "of another length");
}

#[test]
fn a_cache_that_cannot_be_written_costs_only_time() {
    let folder = tempfile::tempdir().unwrap();
    let image = rings(folder.path(), 1)[0].to_str().unwrap().to_owned();
    let file = folder.path().join("a file");
    fs::write(&file, "").unwrap();
    for cache in [&file, Path::new("relative"), Path::new("")] {
        for _ in 0..2 {
            let mut score = command(["score", &image]);
            score.env_clear().env("XDG_CACHE_HOME", cache).current_dir(folder.path());
            let output = score.output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{cache:?}: {output:?}");
        }
    }
    assert!(!folder.path().join("relative").exists());

    let cache = folder.path().join("new");
    let output = run_with_cache(&cache, &["score", &image]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(
        stamps(&cache),
        [
            "decoder of digits, native/cpu\n",
            "encoder of digits, native/cpu\n",
            "verdicts of digits, native/cpu\n"
        ]
    );
}
