//! How fast a model is, and limits that must hold.

use std::process::Output;

use serde_json::Value;

use crate::fixture::{Copy, all_well, command, digits, not_refused, run, succeed};
use crate::onnx::{integers, node};

fn json(output: &str) -> Value {
    serde_json::from_str(output).unwrap()
}

/// A short measurement.
fn bench(arguments: &[&str]) -> Output {
    run([&["bench", "--runs", "5", "--format", "json"], arguments].concat())
}

fn measured(arguments: &[&str]) -> Value {
    let output = bench(arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    json(std::str::from_utf8(&output.stdout).unwrap())
}

fn number(line: &Value, name: &str) -> f64 {
    line[name].as_f64().unwrap_or_else(|| panic!("{name} of {line}"))
}

#[test]
fn every_part_is_measured_and_its_figures_fit_together() {
    let digits = digits();
    let info = json(&succeed(["info", "--format", "json"]));
    for (part, batch, halves) in
        [("reconstruct", 1, [true; 2]), ("encode", 3, [true, false]), ("decode", 2, [false, true])]
    {
        let size = batch.to_string();
        let engine = ["--engine", "tract", "--threads", "1"];
        let model = ["--part", part, "--batch", &size, digits.to_str().unwrap()];
        let line = measured(&[&engine[..], &model].concat());
        assert_eq!((&line["model"], &line["part"]), (&"digits".into(), &part.into()));
        assert_eq!((&line["batch"], &line["threads"]), (&batch.into(), &1.into()));
        assert_eq!(line["runs"], 5);
        for (half, is_run) in ["encoder", "decoder"].into_iter().zip(halves) {
            let expected = if is_run { "tract/cpu".into() } else { Value::Null };
            assert_eq!(line[half], expected, "{part}");
        }
        let times = ["p50_us", "p90_us", "p99_us", "p999_us"].map(|name| number(&line, name));
        assert!(times[0] > 0.0 && times.is_sorted(), "{times:?}");
        assert!(number(&line, "load_us") > 0.0 && number(&line, "first_us") > 0.0);
        let rate = number(&line, "images_per_second") / f64::from(batch);
        // Three of five calls take the median or more, and all of them at most the largest time.
        assert!(rate * 3.0 * times[0] <= 5.001e6 && rate * times[3] >= 0.999e6, "{line}");
        assert_eq!(line["peak_rss_bytes"].is_number(), cfg!(target_os = "linux"));

        let flops = |half: &str| info[half]["flops"].as_u64().unwrap();
        let flops: u64 = ["encoder", "decoder"]
            .into_iter()
            .zip(halves)
            .map(|(h, on)| u64::from(on) * flops(h))
            .sum();
        assert_eq!(line["arithmetic"]["work"], flops * u64::from(batch as u32), "{part}");
        for share in [&line["arithmetic"], &line["weights"]] {
            let expected = number(share, "work") / times[0] * 1e6;
            assert!((number(share, "rate") / expected - 1.0).abs() < 1e-6, "{share}");
            let of_peak = number(share, "rate") / number(share, "peak");
            assert!((number(share, "share") / of_peak - 1.0).abs() < 1e-6, "{share}");
        }
        assert_eq!((&line["cold"], &line["layers"]), (&Value::Null, &Value::Null));
    }
}

#[test]
fn the_share_of_the_peak_is_of_what_is_computed() {
    // The decoder's second transposed convolution cuts rows and columns away behind it.
    let copy = Copy::new().with_graph("decoder", |graph| {
        let place =
            graph.node.iter().rposition(|node| node.op_type == "ConvTranspose").unwrap() - 2;
        let deconv = &mut graph.node[place];
        let pads = deconv.attribute.iter_mut().find(|attribute| attribute.name == "pads").unwrap();
        assert_eq!(std::mem::replace(&mut pads.ints, vec![0; 4]), [1; 4]);
        let kept = std::mem::replace(&mut deconv.output[0], "whole".into());
        graph.initializer.push(integers("from", &[1, 1]));
        graph.initializer.push(integers("to", &[-1, -1]));
        graph.initializer.push(integers("axes", &[2, 3]));
        graph.node.insert(place + 1, node("Slice", &["whole", "from", "to", "axes"], &kept));
    });
    let model = copy.path().to_str().unwrap();
    let work = |line: &Value| line["arithmetic"]["work"].as_u64().unwrap();
    let line =
        measured(&["--engine", "native", "--part", "decode", "--batch", "2", "--layers", model]);
    let layers = line["layers"].as_array().unwrap();
    let flops = |layer: &Value| layer["flops"].as_u64().unwrap();
    assert_eq!(work(&line), layers.iter().map(flops).sum::<u64>());
    let info = json(&succeed(["info", "--format", "json", "--model", model]));
    assert!(work(&line) < 2 * info["decoder"]["flops"].as_u64().unwrap(), "{line}");
}

#[test]
fn fresh_processes_are_measured_where_they_are_asked_for() {
    let folder = Copy::new();
    let model = folder.path().to_str().unwrap();
    let line = measured(&["--cold=3", "--part", "decode", "--assert", "cold<3600s", model]);
    let cold = &line["cold"];
    let times = ["min_us", "p50_us", "max_us"].map(|name| number(cold, name));
    assert_eq!(cold["processes"], 3);
    assert!(times[0] > 0.0 && times.is_sorted(), "{cold}");
    assert_eq!(cold["peak_rss_bytes"].is_number(), cfg!(target_os = "linux"));

    let copy = folder.file("inspector");
    let copy = copy.to_str().unwrap();
    succeed(["bundle", "--model", model, "-o", copy]);
    let output = std::process::Command::new(copy)
        .args(["bench", "--runs", "1", "--cold=1", "--selftest", "off", "--format", "json"])
        .output()
        .unwrap();
    let line = json(std::str::from_utf8(&output.stdout).unwrap());
    assert!(line["source"].as_str().unwrap().contains("inside this program"), "{output:?}");
    assert_eq!(line["cold"]["processes"], 1);
}

#[test]
fn a_limit_that_does_not_hold_is_exit_code_1_and_one_line() {
    let held = measured(&["--assert", "load<3600s,first<3600s, p50<3600s,p90<3600s,p99.9<3600s"]);
    assert!(held["p50_us"].is_number());

    let output = bench(&["--assert", "p99<3600s,p50<0.001us,load<0.001us"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("p50<0.001us (") && stderr.contains("load<0.001us ("), "{stderr}");
    assert!(!stderr.contains("p99"), "{stderr}");
    let line = json(std::str::from_utf8(&output.stdout).unwrap());
    assert!(line["p99_us"].is_number(), "the figures are there all the same");

    if cfg!(target_os = "linux") {
        measured(&["--assert", "rss<1000GB,cold-rss<1000GB", "--cold=1"]);
        for limit in ["rss<1KB", "cold-rss<1KB", "cold<0.001us"] {
            let output = bench(&["--cold=1", "--assert", limit]);
            assert_eq!(output.status.code(), Some(1), "{limit}: {output:?}");
        }
    }
}

#[test]
fn limits_that_cannot_be_told_are_refused_before_anything_is_read() {
    let mut failures = vec![];
    for limit in ["cold<1s", "cold-rss<1GB", "p99<1s,cold<1s"] {
        let output = bench(&["--assert", limit, "/no/such/bundle"]);
        failures.extend(not_refused(&output, &["cold", "--cold"]).map(|f| format!("{limit}: {f}")));
    }
    for wrong in ["", "p95<1s", "p99", "p99>1s", "p99<1", "p99<1h", "p99<1MB", "rss<1s", "p99<0s"] {
        let output = bench(&["--assert", wrong, "/no/such/bundle"]);
        failures.extend(not_refused(&output, &["--assert"]).map(|f| format!("{wrong}: {f}")));
    }
    all_well(failures);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let digits = digits();
    let digits = digits.to_str().unwrap();
    let mut failures = vec![];
    for (arguments, words) in [
        (&["--layers", "--engine", "tract"][..], &["tract/cpu", "layers", "--engine native"][..]),
        (&["/no/such/bundle"], &["/no/such/bundle"]),
        (&[digits, "--model", digits], &["named twice", "--model"]),
        (&["--engine", "tract", "--ep", "cuda"], &["tract", "cuda"]),
    ] {
        let refused = not_refused(&bench(arguments), words);
        failures.extend(refused.map(|f| format!("{arguments:?}: {f}")));
    }
    for (arguments, word) in [
        (&["--batch", "0"][..], "0 is not in"),
        (&["--batch", "70000"], "70000 is not in"),
        (&["--runs", "0"], "0 is not in"),
        (&["--seconds", "0"], "--seconds"),
        (&["--seconds=-1"], "--seconds"),
        (&["--seconds", "NaN"], "--seconds"),
        (&["--seconds", "1e9"], "--seconds"),
        (&["--cold=0", "--layers"], "--cold"),
        (&["--part", "all"], "all"),
        (&["--runs", "5", "--seconds", "1"], "--seconds"),
    ] {
        let refused = not_refused(&run([&["bench"], arguments].concat()), &[word]);
        failures.extend(refused.map(|f| format!("{arguments:?}: {f}")));
    }
    all_well(failures);
}

#[test]
fn a_model_with_other_results_is_not_measured() {
    let mut golden = vae_infer::Bundle::embedded().golden().unwrap();
    *golden.get_mut("reconstruction").unwrap().first_mut().unwrap() = 7.5;
    let golden: Vec<_> =
        golden.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    let copy = Copy::new().with_golden(&golden);
    let model = copy.path().to_str().unwrap();
    assert_eq!(not_refused(&bench(&[model]), &[model, "self-test", "reconstruction"]), None);
    measured(&[model, "--part", "encode"]);
    measured(&[model, "--selftest", "off"]);
}

#[test]
fn figures_are_read_by_people_too() {
    let text = succeed(["bench", "--runs", "3", "--cold=1", "--seed", "3"]);
    let keys: Vec<_> = text.lines().map(|line| line[..11].trim_end()).collect();
    let expected = [
        "model",
        "engine",
        "call",
        "load",
        "first call",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "throughput",
        "memory",
        "arithmetic",
        "weights",
        "cold",
    ];
    assert_eq!(keys, expected, "{text}");
    let help = command(["bench", "--help"]).output().unwrap().stdout;
    assert!(!String::from_utf8(help).unwrap().contains("--once"));
}
