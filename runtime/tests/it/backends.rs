//! A model whose halves run on different engines: what is said of it, tested and measured.

use std::fs;

use serde_json::Value;

use crate::fixture::{Copy, command, digits, not_refused, rings, run, succeed};

const MIXED: &str = "encoder tract/cpu, decoder native/cpu";

fn lines(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_command_says_what_runs_each_half() {
    let copy = Copy::mixed();
    let model = copy.path().to_str().unwrap();
    let image = rings(copy.path(), 1)[0].to_str().unwrap().to_owned();
    let digits = digits();
    let digits = digits.to_str().unwrap();
    for command in ["score", "reconstruct"] {
        let line = lines(&succeed([command, &image, "--model", model])).remove(0);
        assert_eq!(line["engine"], MIXED, "{command}");
    }
    let row = format!("\nengine      {MIXED}");
    for arguments in [&["info", "--model", model][..], &["bench", "--runs", "1", model]] {
        let text = succeed(arguments);
        assert!(text.contains(&row), "{text}");
    }
    let diff = run(["diff", model, digits, "--format", "json"]);
    let diff: Value = serde_json::from_slice(&diff.stdout).unwrap();
    let engine = &diff["answers"]["engine"];
    assert_eq!((&engine["a"], &engine["b"]), (&MIXED.into(), &"native/cpu".into()));

    let verified = lines(&succeed(["verify", "--model", model, "--format", "json"]));
    let by = |line: &Value| (line["output"].clone(), line["engine"].clone());
    let by: Vec<_> = verified.iter().map(by).collect();
    let expected = [
        ("mean".into(), "tract/cpu".into()),
        ("log_var".into(), "tract/cpu".into()),
        ("reconstruction".into(), "native/cpu".into()),
        (Value::Null, MIXED.into()),
    ];
    assert_eq!(by, expected);
}

#[test]
fn verdicts_are_tested_for_each_pair_of_engines() {
    let copy = Copy::mixed();
    let model = copy.path().to_str().unwrap();
    let image = rings(copy.path(), 1)[0].to_str().unwrap().to_owned();
    let cache = copy.file("cache");
    for engine in ["auto", "tract"] {
        let arguments = ["score", &image, "--model", model, "--engine", engine];
        let output = command(arguments).env("XDG_CACHE_HOME", &cache).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let stamps = fs::read_dir(cache.join("vae-infer").join("selftest")).unwrap();
    let stamps = stamps.map(|stamp| fs::read_to_string(stamp.unwrap().path()).unwrap());
    let mut stamps: Vec<_> = stamps.collect();
    stamps.sort();
    assert_eq!(
        stamps,
        [
            "decoder of digits, native/cpu\n".to_owned(),
            "decoder of digits, tract/cpu\n".into(),
            "encoder of digits, tract/cpu\n".into(),
            format!("verdicts of digits, {MIXED}\n"),
            "verdicts of digits, tract/cpu\n".into(),
        ]
    );
}

#[test]
fn layers_are_those_of_the_half_that_tells() {
    let copy = Copy::mixed();
    let model = copy.path().to_str().unwrap();
    let names = |arguments: &[&str]| {
        let bench = ["bench", "--runs", "1", "--layers", "--format", "json"];
        let output = run([&bench, arguments].concat());
        let line: Value = serde_json::from_slice(&output.stdout).unwrap();
        let layers = line["layers"].as_array().unwrap().iter();
        let names: Vec<_> =
            layers.map(|layer| layer["name"].as_str().unwrap().to_owned()).collect();
        (names, String::from_utf8(output.stderr).unwrap())
    };
    let (decoder, silence) = names(&["--part", "decode", model]);
    assert!(!decoder.is_empty() && silence.is_empty(), "{silence}");
    let (both, talk) = names(&[model]);
    assert_eq!(both, decoder);
    assert_eq!(talk, "the encoder's layers are left out: tract/cpu does not tell them\n");

    let output = run(["bench", "--runs", "1", "--layers", "--part", "encode", model]);
    assert_eq!(not_refused(&output, &["tract/cpu does not tell", "where it takes"]), None);
}

#[test]
fn a_refusal_leaves_out_a_name_that_is_empty() {
    for (name, title) in [("", "operator Celu is"), ("first", "operator Celu (`first`) is")] {
        let copy = Copy::mixed().with_graph("encoder", |graph| graph.node[0].name = name.into());
        let model = copy.path().to_str().unwrap();
        let output = run(["bench", "--engine", "native", model]);
        assert_eq!(not_refused(&output, &["not for this engine", title]), None);
    }
}
