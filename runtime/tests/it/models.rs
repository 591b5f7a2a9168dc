//! Models that must be refused, one case for each way to be wrong (letters as in the catalogue of
//! bad inputs).

use std::fs;

use prost::Message;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tract_onnx::pb::{
    AttributeProto, GraphProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TypeProto,
    tensor_shape_proto::dimension::Value, type_proto,
};
use vae_infer::{Bundle, Engine, EngineOptions, Model};

use crate::fixture::{Copy, all_well, digits, not_refused, rings, run};
use crate::onnx::{floats, integers, node};

#[test]
fn damaged_graphs_are_refused() {
    let set_axis = |graph: &mut GraphProto, axis: usize, size: i64| {
        let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) =
            &mut graph.input[0].r#type
        else {
            panic!("the input is a tensor")
        };
        tensor.shape.as_mut().unwrap().dim[axis].value = Some(Value::DimValue(size));
    };
    let set_type = |graph: &mut GraphProto, element: i32| {
        let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) =
            &mut graph.input[0].r#type
        else {
            panic!("the input is a tensor")
        };
        tensor.elem_type = element;
    };
    let poison = |value: f32| {
        move |graph: &mut GraphProto| {
            graph.initializer[0].raw_data[4..8].copy_from_slice(&value.to_le_bytes());
        }
    };
    let external = |graph: &mut GraphProto| {
        let tensor = &mut graph.initializer[0];
        (tensor.data_location, tensor.raw_data) = (Some(1), Vec::new());
        let entry = StringStringEntryProto { key: "location".into(), value: "../x".into() };
        tensor.external_data.push(entry);
    };
    let domain = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };

    type Edit<'a> = Box<dyn FnOnce(&mut GraphProto) + 'a>;
    let graphs: Vec<(&str, &str, Edit)> = vec![
        ("M12 too few bytes", "holds", Box::new(|g| g.initializer[0].raw_data.truncate(8))),
        ("M12 odd bytes", "holds", Box::new(|g| g.initializer[0].raw_data.truncate(7))),
        ("M13 negative size", "impossible", Box::new(|g| g.initializer[0].dims[0] = -1)),
        ("M13 huge size", "impossible", Box::new(|g| g.initializer[0].dims[0] = 1 << 62)),
        ("M14 external data", "another file", Box::new(external)),
        (
            "M16 input's name",
            "inputs are [picture]",
            Box::new(|g| g.input[0].name = "picture".into()),
        ),
        (
            "M17 output's name",
            "outputs are [mu, log_var]",
            Box::new(|g| g.output[0].name = "mu".into()),
        ),
        ("M17 one output", "outputs are [mean]", Box::new(|g| g.output.truncate(1))),
        ("M18 another height", "has shape", Box::new(move |g| set_axis(g, 2, 32))),
        ("M19 f16 input", "is not f32", Box::new(move |g| set_type(g, 10))),
        ("M19 f64 input", "is not f32", Box::new(move |g| set_type(g, 11))),
        ("M20 fixed batch", "fixed at 1", Box::new(move |g| set_axis(g, 0, 1))),
        ("M21 no input", "inputs are []", Box::new(|g| g.input.clear())),
        ("M21 two inputs", "inputs are", Box::new(|g| g.input.push(g.input[0].clone()))),
        ("M21 no type", "is not a tensor", Box::new(|g| g.input[0].r#type = None)),
        ("M22 unknown operator", "not supported", Box::new(|g| g.node[0].op_type = "Frob".into())),
        ("M22 own domain", "domain `x.y`", Box::new(|g| g.node[0].domain = "x.y".into())),
        ("M24 missing weights", "which nothing", Box::new(|g| g.initializer.truncate(1))),
        ("M24 twice", "twice", Box::new(|g| g.initializer.push(g.initializer[0].clone()))),
        ("M24 backwards", "which nothing", Box::new(|g| g.node.reverse())),
        ("M25 NaN weight", "not finite", Box::new(poison(f32::NAN))),
        ("M25 infinite weight", "not finite", Box::new(poison(f32::NEG_INFINITY))),
        ("M27 memory bomb", "not supported", Box::new(|g| g.node[0].op_type = "Tile".into())),
        (
            "M28 graph inside",
            "graph of its own",
            Box::new(|g| {
                let inner = Some(GraphProto::default());
                let loops = AttributeProto { name: "body".into(), g: inner, ..Default::default() };
                g.node[0].attribute.push(loops);
            }),
        ),
        (
            "a random operator",
            "not supported",
            Box::new(|g| g.node[0].op_type = "RandomNormal".into()),
        ),
    ];
    let mut cases: Vec<(&str, &str, Copy)> = graphs
        .into_iter()
        .map(|(name, word, edit)| (name, word, Copy::new().with_graph("encoder", edit)))
        .collect();
    let models = [
        (
            "M23 opset 99",
            "opset is 99",
            Copy::new().with_model("encoder", |m| m.opset_import[0].version = 99),
        ),
        (
            "M23 opset 6",
            "opset is 6",
            Copy::new().with_model("encoder", |m| m.opset_import[0].version = 6),
        ),
        ("M23 IR 99", "IR version is 99", Copy::new().with_model("encoder", |m| m.ir_version = 99)),
        (
            "M22 own domain",
            "domain `x`",
            Copy::new().with_model("encoder", move |m| m.opset_import.push(domain("x", 1))),
        ),
        ("no opset", "which opset", Copy::new().with_model("encoder", |m| m.opset_import.clear())),
        ("no graph", "without a graph", Copy::new().with_model("encoder", |m| m.graph = None)),
        ("M26 two encoders", "inputs are [image]", {
            let encoder = fs::read(digits().join("encoder.onnx")).unwrap();
            Copy::new().with_file("decoder", &encoder)
        }),
    ];
    cases.extend(models);
    for (name, content) in others() {
        cases.push((name, "graph cannot be used", Copy::new().with_file("encoder", &content)));
    }

    let mut failures = Vec::new();
    for (name, word, copy) in &cases {
        let image = rings(copy.path(), 1).remove(0);
        let model = copy.path().to_str().unwrap();
        let output = run(["reconstruct", image.to_str().unwrap(), "--model", model]);
        failures.extend(not_refused(&output, &[model, word]).map(|f| format!("{name}: {f}")));
    }
    all_well(failures);
}

/// M1 and M4: files that are no ONNX at all.
fn others() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("M1 empty", Vec::new()),
        ("M4 PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec()),
        ("M4 zip", b"PK\x03\x04\x14\0\0\0\x08\0".to_vec()),
        ("M4 safetensors", fs::read(digits().join("golden.safetensors")).unwrap()),
        ("M4 pickle", b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94.".to_vec()),
        ("M4 HTML", b"<!DOCTYPE html><html><body>404</body></html>".to_vec()),
        ("M4 LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n".to_vec()),
    ]
}

#[test]
fn damaged_folders_are_refused() {
    let edited = |edit: fn(&mut serde_json::Value)| Copy::new().with_manifest(edit);
    let removed = |file: &str| {
        let copy = Copy::new();
        fs::remove_file(copy.file(file)).unwrap();
        copy
    };
    let written = |file: &str, content: &[u8]| {
        let copy = Copy::new();
        fs::write(copy.file(file), content).unwrap();
        copy
    };
    let folder_for_file = removed("encoder.onnx");
    fs::create_dir(folder_for_file.file("encoder.onnx")).unwrap();
    let looped = removed("decoder.onnx");
    std::os::unix::fs::symlink("decoder.onnx", looped.file("decoder.onnx")).unwrap();
    let other = fs::read(digits().join("decoder.onnx")).unwrap();
    let mut same_size = fs::read(digits().join("encoder.onnx")).unwrap();
    *same_size.last_mut().unwrap() ^= 1;

    let cases = [
        ("M5 a folder as a graph", "it is a folder", folder_for_file),
        ("M6 no manifest", "manifest.json", removed("manifest.json")),
        ("M6 no encoder", "encoder.onnx", removed("encoder.onnx")),
        ("M6 no golden vectors", "golden.safetensors", removed("golden.safetensors")),
        ("M9 link to itself", "decoder.onnx", looped),
        ("M26 another size", "bytes", written("encoder.onnx", &other)),
        ("M26 another content", "SHA-256", written("encoder.onnx", &same_size)),
        ("M30 empty manifest", "manifest", written("manifest.json", b"")),
        ("M30 no manifest", "manifest", written("manifest.json", b"[1, 2]")),
        ("M30 newer", "format version is 2", edited(|m| m["format_version"] = 2.into())),
        ("M30 name", "steer a terminal", edited(|m| m["name"] = "\u{1b}[31mred".into())),
        ("M30 no name", "name is empty", edited(|m| m["name"] = " ".into())),
        (
            "M30 binarize",
            "threshold for binarization is 2",
            edited(|m| m["image"]["binarize"] = 2.into()),
        ),
        ("M30 latent 0", "latent size", edited(|m| m["latent"] = 0.into())),
        ("M30 another latent", "encoder's output", edited(|m| m["latent"] = 3.into())),
        ("M30 5 channels", "channels", edited(|m| m["image"]["channels"] = 5.into())),
        ("M30 huge", "pixels wide", edited(|m| m["image"]["width"] = u32::MAX.into())),
        ("M30 range", "range", edited(|m| m["image"]["range"] = serde_json::json!([1, 0]))),
        (
            "M30 statistics of any size",
            "the limit is 2147483648",
            edited(|m| {
                let file = serde_json::json!({
                    "file": "statistics.safetensors", "bytes": u64::MAX, "sha256": "0".repeat(64),
                });
                m["anomaly"] = serde_json::json!({ "method": "nap", "statistics": file });
            }),
        ),
        ("M30 escape", "plain file name", edited(|m| m["encoder"]["file"] = "../x".into())),
        (
            "M30 no decoder inputs",
            "decoder's input",
            edited(|m| m["decoder"]["inputs"] = serde_json::json!([])),
        ),
    ];
    let mut failures = Vec::new();
    for (name, word, copy) in &cases {
        let model = copy.path().to_str().unwrap();
        let output = run(["info", "--model", model]);
        failures.extend(not_refused(&output, &[model, word]).map(|f| format!("{name}: {f}")));
    }
    let file = digits().join("manifest.json");
    for (name, path) in
        [("M5 file", file.to_str().unwrap()), ("M6", "/no/such"), ("M8", "/dev/zero")]
    {
        let output = run(["info", "--model", path]);
        failures.extend(not_refused(&output, &[path]).map(|f| format!("{name}: {f}")));
    }
    all_well(failures);
}

#[test]
fn a_file_is_measured_before_it_is_read() {
    let huge = |declared: u64| {
        let copy = Copy::new();
        let file = fs::File::create(copy.file("encoder.onnx")).unwrap();
        file.set_len(1 << 40).unwrap();
        copy.with_manifest(|m| m["encoder"]["bytes"] = declared.into())
    };
    let declared = fs::metadata(digits().join("encoder.onnx")).unwrap().len();
    let mut failures = Vec::new();
    for (name, word, copy) in [
        ("M11 larger than it says", "its manifest says", huge(declared)),
        ("M11 larger than the limit", "the limit is 2147483648", huge(1 << 40)),
    ] {
        let model = copy.path().to_str().unwrap();
        let output = run(["info", "--model", model]);
        failures.extend(not_refused(&output, &[model, word]).map(|f| format!("{name}: {f}")));
    }
    all_well(failures);
}

/// M7, by a user who may not read: permissions do not bind root, so root becomes nobody.
#[test]
fn a_file_that_may_not_be_read_is_named() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let copy = Copy::new();
    let program = copy.file("vae-infer");
    fs::copy(env!("CARGO_BIN_EXE_vae-infer"), &program).unwrap();
    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(copy.path(), 0o755);
    mode(&copy.file("manifest.json"), 0o000);
    let mut info = std::process::Command::new(&program);
    info.args(["info", "--model"]).arg(copy.path());
    if fs::metadata(copy.path()).unwrap().uid() == 0 {
        info.uid(65534).gid(65534);
    }
    assert_eq!(not_refused(&info.output().unwrap(), &["manifest.json", "ermission"]), None);
}

#[test]
fn a_link_to_a_bundle_is_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(digits(), &link).unwrap();
    assert!(Bundle::open(&link).is_ok());
}

#[test]
fn a_pipe_in_a_bundle_does_not_hang() {
    let copy = Copy::new();
    fs::remove_file(copy.file("encoder.onnx")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(copy.file("encoder.onnx")).status();
    if made.is_ok_and(|status| status.success()) {
        assert!(Bundle::open(copy.path()).is_err());
    }
}

#[test]
fn truncated_graphs_are_refused() {
    let options = EngineOptions::default();
    for graph in ["encoder", "decoder"] {
        let whole = fs::read(digits().join(format!("{graph}.onnx"))).unwrap();
        for sixteenth in 0..16 {
            let part = &whole[..whole.len() * sixteenth / 16];
            let copy = Copy::new().with_file(graph, part);
            let bundle = Bundle::open(copy.path()).unwrap();
            assert!(Model::load(&bundle, &options).is_err(), "{graph} cut at {sixteenth}/16");
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let whole = fs::read(digits().join("encoder.onnx")).unwrap();
    let model = tract_onnx::pb::ModelProto::decode(whole.as_slice()).unwrap();
    let stored: usize =
        model.graph.unwrap().initializer.iter().map(|tensor| tensor.raw_data.len()).sum();
    let options = |engine| EngineOptions { threads: 1, ..EngineOptions::new(engine) };
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    let mut draw = |below: usize| (generator.next_u64() % below as u64) as usize;
    let weights = whole.len() - stored;
    for case in 0..1000 {
        let mut bytes = whole.clone();
        // Half of the flips go where the structure is densest: the nodes at the beginning.
        let position =
            if case % 2 == 0 { draw(whole.len()) } else { draw(weights.min(whole.len())) };
        bytes[position] ^= 1 << draw(8);
        let copy = Copy::new().with_file("encoder", &bytes);
        let bundle = Bundle::open(copy.path()).unwrap();
        let image = ndarray::Array4::zeros((1, 1, 28, 28));
        for engine in [Engine::Native, Engine::Tract] {
            let ended = Model::load(&bundle, &options(engine))
                .and_then(|mut model| model.reconstruct(image.view()).map(drop));
            // An engine's panic is an error that says so; the native engine has none.
            let error = ended.err().map(|error| error.to_string()).unwrap_or_default();
            let panicked = engine == Engine::Native && error.contains("gave up");
            assert!(!panicked, "flip {case}: {error}");
        }
    }
}

#[test]
fn a_tensor_that_no_image_needs_is_refused_before_memory_is_taken() {
    let huge = Copy::new().with_graph("encoder", |graph| {
        for input in graph.node.iter_mut().flat_map(|node| &mut node.input) {
            if input == "image" {
                *input = "cut".into();
            }
        }
        let side = 1 << 19;
        let ints = |name, values: &[i64]| integers(name, values);
        graph.initializer.extend([
            ints("pads", &[0, 0, side, side, 0, 0, side, side]),
            ints("starts", &[side, side]),
            ints("ends", &[side + 28, side + 28]),
            ints("axes", &[2, 3]),
        ]);
        graph.node.insert(0, node("Pad", &["image", "pads"], "padded"));
        graph.node.insert(1, node("Slice", &["padded", "starts", "ends", "axes"], "cut"));
    });
    let product = Copy::new().with_graph("encoder", |graph| {
        let long = 1 << 16;
        let column = TensorProto { dims: vec![long, 1], ..floats("column", &vec![0.5; 1 << 16]) };
        graph.initializer.extend([column, floats("row", &vec![0.5; 1 << 16])]);
        graph.node.insert(0, node("Mul", &["column", "row"], "product"));
    });
    for (copy, tensor) in [(huge, "padded"), (product, "product")] {
        let image = rings(copy.path(), 1)[0].to_str().unwrap().to_owned();
        let output = run(["score", &image, "--model", copy.path().to_str().unwrap()]);
        let words = [tensor, "for one image, more than 1073741824 numbers"];
        assert_eq!(not_refused(&output, &words), None);
    }
}
