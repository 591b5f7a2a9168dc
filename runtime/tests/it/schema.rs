//! The line of `score` is the one that docs/score.schema.json describes.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::fixture::{Copy, all_well, run, succeed};

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/score.schema.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What is wrong with a value by a schema of JSON Schema's draft 2020-12, in the keywords that ours uses; a
/// keyword that it does not know is wrong too.
fn wrong(schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let mut found = vec![];
    for (keyword, rule) in schema.as_object().unwrap() {
        let well = match keyword.as_str() {
            "$schema" | "title" | "description" => true,
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "type" => match rule {
                Value::Array(types) => types.iter().any(|name| is(value, name)),
                name => is(value, name),
            },
            "minimum" => value.as_f64().is_none_or(|v| v >= rule.as_f64().unwrap()),
            "exclusiveMinimum" => value.as_f64().is_none_or(|v| v > rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|v| v <= rule.as_f64().unwrap()),
            "required" => !value.is_object() || names(rule).all(|name| value.get(name).is_some()),
            "dependentRequired" => rule.as_object().unwrap().iter().all(|(name, needed)| {
                value.get(name).is_none() || names(needed).all(|name| value.get(name).is_some())
            }),
            "additionalProperties" => {
                assert_eq!(rule, &Value::Bool(false));
                let known = schema["properties"].as_object().unwrap();
                value.as_object().is_none_or(|v| v.keys().all(|name| known.contains_key(name)))
            }
            "properties" => {
                for (name, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        found.extend(wrong(rule, value, &format!("{place}/{name}")));
                    }
                }
                true
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(wrong(rule, item, &format!("{place}/{i}")));
                }
                true
            }
            _ => false,
        };
        if !well {
            found.push(format!("{place}: {keyword}"));
        }
    }
    found
}

fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap())
}

fn is(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("no type {other}"),
    }
}

/// Lines of the built-in model, of one without a likelihood, with verdicts and with maps.
fn lines() -> Vec<Value> {
    let squared = Copy::new().with_manifest(|manifest| {
        manifest["likelihood"] = json!({ "kind": "squared_error" });
    });
    let bundle = Copy::new();
    let at = |name: &str| bundle.file(name).to_str().unwrap().to_owned();
    let (normal, maps) = (at("normal.npy"), at("maps"));
    succeed(["sample", "-n", "120", "-o", &normal]);
    let model = bundle.path().to_str().unwrap();
    let on = |model: &str, arguments: &[&str]| -> Vec<Value> {
        let output = run(["score", &normal, "--model", model].iter().chain(arguments));
        assert_ne!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let mut lines = on(squared.path().to_str().unwrap(), &["--selftest", "off"]);
    assert!(lines[0]["nll"].is_null() && lines[0]["elbo"].is_null(), "{}", lines[0]);
    for method in ["mse", "nll", "elbo", "probability", "ms-ssim", "gradient"] {
        lines.extend(on(model, &["--method", method]));
    }
    succeed(["sample", "-n", "4", "-o", &at("four.png")]);
    let tiled = succeed(["score", &at("four.png"), "--model", model, "--tile", "28"]);
    lines.push(serde_json::from_str(&tiled).unwrap());
    assert_eq!(lines.last().unwrap()["tiles"], 9);
    lines.extend(on(model, &["--heatmap", &at("more"), "--level", "0.001"]));
    assert!(run(["calibrate", &normal, "--model", model]).status.success());
    let judged = on(model, &["--far", "0.1", "--unsure-band", "0.3", "--heatmap", &maps]);
    for label in ["normal", "unsure", "anomaly"] {
        assert!(judged.iter().any(|line| line["label"] == label), "{label}");
    }
    lines.extend(judged);
    lines
}

#[test]
fn every_line_is_one_of_the_schema_and_uses_all_of_it() {
    let (schema, lines) = (schema(), lines());
    let failures = lines.iter().flat_map(|line| {
        let place = line["name"].to_string();
        wrong(&schema, line, &place)
    });
    all_well(failures.collect());
    let used = |name: &str| lines.iter().any(|line| line.get(name).is_some());
    let properties = schema["properties"].as_object().unwrap();
    all_well(
        properties
            .keys()
            .filter(|name| !used(name))
            .map(|name| format!("{name} is in no line"))
            .collect(),
    );
    assert!(lines.iter().any(|line| line["regions"].as_array().is_some_and(|r| !r.is_empty())));
}

#[test]
fn other_lines_are_not() {
    let schema = schema();
    let region = json!({
        "x": 3, "y": 0, "width": 2, "height": 1, "area": 2, "peak": 0.5, "peak_x": 3, "peak_y": 0, "mean": 0.25
    });
    let line = json!({
        "name": "a.png", "schema": 1, "method": "mse", "score": 0.5, "p_value": 0.25, "label": "normal",
        "mse": 0.5, "nll": 80.5, "kl": null, "elbo": null, "regions": [region], "map": "a", "engine": "tract/cpu"
    });
    assert_eq!(wrong(&schema, &line, ""), [""; 0]);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut line = line.clone();
        change(&mut line);
        line
    };
    let cases: [(&str, Value); 14] = [
        (": type", json!([line])),
        (": required", with(&|line| drop(line.as_object_mut().unwrap().remove("elbo")))),
        (": dependentRequired", with(&|line| drop(line.as_object_mut().unwrap().remove("label")))),
        (": additionalProperties", with(&|line| line["colour"] = "red".into())),
        ("/schema: const", with(&|line| line["schema"] = 2.into())),
        ("/method: enum", with(&|line| line["method"] = "best".into())),
        ("/label: enum", with(&|line| line["label"] = "odd".into())),
        ("/score: type", with(&|line| line["score"] = Value::Null)),
        ("/kl: type", with(&|line| line["kl"] = "0".into())),
        ("/p_value: exclusiveMinimum", with(&|line| line["p_value"] = 0.into())),
        ("/p_value: maximum", with(&|line| line["p_value"] = 1.5.into())),
        ("/mse: minimum", with(&|line| line["mse"] = (-1).into())),
        ("/regions/0/x: type", with(&|line| line["regions"][0]["x"] = 0.5.into())),
        ("/regions/0: additionalProperties", with(&|line| line["regions"][0]["z"] = 1.into())),
    ];
    for (expected, line) in cases {
        assert_eq!(wrong(&schema, &line, ""), [expected], "{line}");
    }
}
