//! Two bundles, held against each other.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tract_onnx::pb::GraphProto;

use crate::dense::autoencoder;
use crate::fixture::{Copy, all_well, digits, not_refused, rings, run};

/// Compares two bundles, which must succeed with this exit code and say nothing on standard error.
fn diff(a: &Path, b: &Path, arguments: &[&str], code: i32) -> String {
    let paths = [a.to_str().unwrap(), b.to_str().unwrap()];
    let output = run(["diff"].iter().chain(&paths).chain(arguments));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(code) && stderr.is_empty(),
        "{:?}: {stderr}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

fn report(a: &Path, b: &Path, arguments: &[&str], code: i32) -> Value {
    let text = diff(a, b, &[arguments, &["--format", "json"]].concat(), code);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn fields(report: &Value) -> Vec<&str> {
    let fields = report["manifest"].as_array().unwrap();
    fields.iter().map(|field| field["field"].as_str().unwrap()).collect()
}

/// Changes the largest stored tensor by a factor.
fn scaled(factor: f32) -> impl FnOnce(&mut GraphProto) {
    move |graph| {
        let largest = graph.initializer.iter_mut().max_by_key(|t| t.raw_data.len()).unwrap();
        let (values, _) = largest.raw_data.as_chunks_mut::<4>();
        for value in values {
            *value = (f32::from_le_bytes(*value) * factor).to_le_bytes();
        }
    }
}

#[test]
fn a_bundle_is_the_same_as_itself() {
    let report = report(&digits(), Copy::new().path(), &[], 0);
    assert_eq!((&report["same"], fields(&report).len()), (&true.into(), 0));
    assert_eq!(report["cost"]["a"], report["cost"]["b"]);
    let answers = &report["answers"];
    assert_eq!(answers["engine"], json!({"a": "native/cpu", "b": "native/cpu"}));
    assert_eq!(answers["images"], 3);
    for output in answers["outputs"].as_array().unwrap() {
        assert_eq!(output["difference"], 0.0, "{output}");
    }
    assert_eq!(answers["outputs"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&answers["psnr"]["lost"], &answers["psnr"]["between"]),
        (&0.0.into(), &150.0.into())
    );
    let rank = answers["decisions"][0]["rank_correlation"].as_f64().unwrap();
    assert!((rank - 1.0).abs() < 1e-12);

    let text = diff(&digits(), &digits(), &[], 0);
    assert!(text.contains("the manifests are the same"), "{text}");
    assert!(
        text.contains("too few images for verdicts at the quantile 0.99: 3 where 100 are needed"),
        "{text}"
    );
    assert!(text.trim_end().ends_with("the same answers"), "{text}");
}

#[test]
fn changed_weights_change_answers_and_verdicts() {
    let folder = tempfile::tempdir().unwrap();
    rings(folder.path(), 8);
    let images = ["--images", folder.path().to_str().unwrap(), "--quantile", "0.75"];
    let other = Copy::new().with_graph("decoder", scaled(1.5));
    let report = report(&digits(), other.path(), &images, 1);
    assert_eq!(report["same"], false);
    assert_eq!(fields(&report), ["decoder.sha256"], "the graph has as many bytes as before");
    assert_eq!(report["cost"]["a"], report["cost"]["b"]);
    let answers = &report["answers"];
    assert_eq!((&answers["images"], &answers["golden"]), (&8.into(), &false.into()));
    let difference = |output: usize| answers["outputs"][output]["difference"].as_f64().unwrap();
    assert_eq!([difference(0), difference(1)], [0.0, 0.0], "the encoder is the same");
    let worst = difference(2);
    assert!((0.01..1.0).contains(&worst), "{worst}");
    assert!(answers["outputs"][2]["mean_difference"].as_f64().unwrap() < worst);
    let [a, b, lost] = ["a", "b", "lost"].map(|key| answers["psnr"][key].as_f64().unwrap());
    assert!((lost - (a - b)).abs() < 1e-9, "{a} - {b} is not {lost}");
    let decisions = answers["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 2);
    for decision in decisions {
        let (needed, flips) = (&decision["needed"], decision["flips"].as_u64().unwrap());
        assert!(*needed == 4 && flips <= 8, "{decision}");
        assert!(decision["threshold"].is_number() && decision["rank_correlation"].is_number());
    }

    let text = diff(&digits(), other.path(), &images, 1);
    assert!(text.contains("decoder.sha256") && text.contains("..."), "{text}");
    assert!(text.contains(" of 8 verdicts flip at A's quantile 0.75"), "{text}");
    assert!(text.trim_end().ends_with("not the same answers"), "{text}");
    diff(&digits(), other.path(), &["--tolerance", "2"], 0);
}

#[test]
fn other_outputs_are_named_and_the_common_ones_compared() {
    let plain = autoencoder(true);
    let report = report(&digits(), plain.path(), &[], 1);
    let names: Vec<_> = fields(&report);
    for field in ["name", "latent", "posterior", "encoder.outputs"] {
        assert!(names.contains(&field), "{names:?}");
    }
    let answers = &report["answers"];
    assert_eq!(answers["outputs"].as_array().unwrap().len(), 1);
    assert_eq!(answers["outputs"][0]["output"], "reconstruction");
    let expected = [
        "mean is [10] in A and [3] in B",
        "log_var is an output of A alone",
        "skip0 is an output of B alone",
    ];
    assert_eq!(answers["not_compared"], json!(expected));
    assert_ne!(report["cost"]["a"]["flops"], report["cost"]["b"]["flops"]);
    // 784 inputs to 3 and 4, 7 to 784.
    let parameters = 784 * 3 + 3 + 784 * 4 + 4 + 7 * 784 + 784;
    assert_eq!(report["cost"]["b"]["parameters"], parameters);
    assert_eq!(report["cost"]["b"]["flops"], 2 * 784 * (3 + 4 + 7));
    let text = diff(&digits(), plain.path(), &[], 1);
    assert!(text.contains("not compared: mean is [10]"), "{text}");
}

#[test]
fn other_images_are_a_reason_and_the_rest_is_still_told() {
    let other = Copy::new().with_manifest(|manifest| {
        manifest["image"]["range"] = json!([-1, 1]);
        manifest["likelihood"] = json!({"kind": "squared_error"});
    });
    let report = report(&digits(), other.path(), &[], 1);
    assert!(report["not_compared"].as_str().unwrap().contains("pixels are from"), "{report}");
    assert!(report["answers"].is_null() && report["cost"]["a"]["flops"].is_number());
    assert_eq!(fields(&report), ["image.range", "likelihood.kind"]);

    let larger = larger();
    let text = diff(&digits(), larger.path(), &[], 1);
    let expected = "answers are not compared: A takes images of 28x28 with 1 channels, B of 14x56";
    assert!(text.contains(expected) && text.contains("decoder FLOPs"), "{text}");
}

/// A plain autoencoder of images 14 pixels wide and 56 high.
fn larger() -> Copy {
    let resize = |graph: &mut GraphProto, first: usize| {
        use tract_onnx::pb::tensor_shape_proto::dimension::Value::DimValue;
        use tract_onnx::pb::type_proto::Value::TensorType;
        let edge = if first == 0 { &mut graph.input[0] } else { &mut graph.output[0] };
        let Some(TensorType(tensor)) = &mut edge.r#type.as_mut().unwrap().value else {
            panic!("images are tensors")
        };
        let dims = &mut tensor.shape.as_mut().unwrap().dim;
        (dims[2].value, dims[3].value) = (Some(DimValue(56)), Some(DimValue(14)));
    };
    let shape = json!([1, 56, 14]);
    autoencoder(false)
        .with_graph("encoder", |graph| resize(graph, 0))
        .with_graph("decoder", |graph| {
            resize(graph, 1);
            let shape = graph.initializer.iter_mut().find(|t| t.name == "shape").unwrap();
            shape.raw_data = [-1_i64, 1, 56, 14].into_iter().flat_map(i64::to_le_bytes).collect();
        })
        .with_manifest(|manifest| {
            (manifest["image"]["height"], manifest["image"]["width"]) = (56.into(), 14.into());
            manifest["encoder"]["inputs"][0]["shape"] = shape.clone();
            manifest["decoder"]["outputs"][0]["shape"] = shape;
        })
}

#[test]
fn what_cannot_be_read_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.png");
    fs::write(&broken, b"\x89PNG\r\n\x1a\nno more").unwrap();
    let broken = broken.to_str().unwrap();
    let (digits, empty) = (digits(), tempfile::tempdir().unwrap());
    let (digits, empty) = (digits.to_str().unwrap(), empty.path().to_str().unwrap());
    let cases: [(&[&str], &str); 8] = [
        (&["diff", digits, digits, "--images", broken], "broken.png"),
        (&["diff", digits, digits, "--images", "/no/such"], "/no/such"),
        (&["diff", digits, digits, "--images", empty], "holds no file"),
        (&["diff", digits, "/no/such"], "/no/such"),
        (&["diff", empty, digits], "no bundle"),
        (&["diff", digits, digits, "--model", digits], "--model"),
        (&["diff", digits, digits, "--quantile", "1"], "below 1"),
        (&["diff", digits, digits, "--tolerance", "NaN"], "finite"),
    ];
    let mut failures = Vec::new();
    for (arguments, word) in cases {
        let refused = not_refused(&run(arguments), &[word]);
        failures.extend(refused.map(|wrong| format!("{arguments:?}: {wrong}")));
    }
    all_well(failures);
}
