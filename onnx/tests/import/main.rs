//! Imports of small graphs that are written here, operator by operator.

mod external;
mod graphs;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ndarray::{Array4, ArrayD, IxDyn};
use prost::Message;
use tempfile::TempDir;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, OperatorSetIdProto};
use vae_infer::manifest::{Likelihood, PosteriorKind};
use vae_infer::{Bundle, EngineOptions, Model, Resize};
use vae_onnx::{Error, Import, Imported, Names, Spread, import};

use graphs::{decoder, encoder, floats, ints, model, value};

fn options<'a>(names: &'a Names, [encoder, decoder]: &'a [PathBuf; 2]) -> Import<'a> {
    Import {
        name: "by hand",
        encoder,
        decoder,
        image: None,
        layout: None,
        range: None,
        resize: Resize::Refuse,
        names,
        logits: false,
        likelihood: None,
        beta: 1.0,
        classes: &[],
        pictures: &[],
        versions: BTreeMap::new(),
    }
}

/// Imports two graphs, on tract and on what else the machine has.
fn run(
    encoder: &ModelProto,
    decoder: &ModelProto,
    names: &Names,
) -> Result<(TempDir, Imported), Error> {
    let folder = TempDir::new().expect("a temporary folder");
    let files = ["e.onnx", "d.onnx"].map(|name| folder.path().join(name));
    for (file, model) in files.iter().zip([encoder, decoder]) {
        std::fs::write(file, model.encode_to_vec()).expect("a writable folder");
    }
    let imported = import(&options(names, &files), &folder.path().join("b"), false, None)?;
    Ok((folder, imported))
}

fn refusal(encoder: &ModelProto, decoder: &ModelProto) -> String {
    match run(encoder, decoder, &Names::default()) {
        Ok((_, imported)) => panic!("it was imported: {:?}", imported.taken),
        Err(error) => error.to_string(),
    }
}

/// The graph that a bundle holds.
fn written(folder: &TempDir, file: &str) -> GraphProto {
    let bytes = std::fs::read(folder.path().join("b").join(file)).expect("it was written");
    ModelProto::decode(&bytes[..]).expect("it is a model").graph.expect("it has a graph")
}

fn operators(graph: &GraphProto) -> Vec<&str> {
    graph.node.iter().map(|node| node.op_type.as_str()).collect()
}

const IMAGE: &[i64] = &[0, 1, 2, 4];
const HEAD: &[i64] = &[0, 2];

#[test]
fn a_graph_that_fits_gets_names_and_no_operator() {
    let encoder = encoder(&[("a", HEAD), ("b", HEAD)], &[]);
    let names = Names { mean: Some("b".into()), log_var: Some("a".into()), ..Names::default() };
    let (folder, imported) = run(&encoder, &decoder(), &names).expect("it fits");
    let graph = written(&folder, "encoder.onnx");
    assert_eq!(operators(&graph), ["Flatten", "MatMul", "MatMul"]);
    let outputs: Vec<_> = graph.node.iter().flat_map(|node| &node.output).collect();
    assert_eq!(outputs, ["source.flat", "log_var", "mean"]);
    let manifest = imported.manifest;
    assert_eq!(manifest.posterior, PosteriorKind::Gaussian);
    assert_eq!(manifest.likelihood, Likelihood::SquaredError);
    assert_eq!(manifest.provenance.preset, "imported");
    assert_eq!(manifest.provenance.seed, None);
    let sources: Vec<_> = manifest.provenance.sources.keys().collect();
    assert_eq!(sources, ["decoder", "encoder"]);
}

#[test]
fn one_output_is_a_plain_autoencoder_and_two_without_names_are_asked_about() {
    let plain = encoder(&[("a", HEAD)], &[]);
    let (folder, imported) = run(&plain, &decoder(), &Names::default()).expect("it fits");
    assert_eq!(imported.manifest.posterior, PosteriorKind::Point);
    assert_eq!(operators(&written(&folder, "encoder.onnx")), ["Flatten", "MatMul"]);
    let both = encoder(&[("a", HEAD), ("b", HEAD)], &[]);
    let message = refusal(&both, &decoder());
    assert!(message.contains("`a` [batch, 2], `b` [batch, 2]"), "{message}");
    assert!(message.contains("--mean NAME and --log-var NAME"), "{message}");
}

#[test]
fn every_spread_becomes_a_log_variance() {
    // Positive, and far from 1: a spread that is taken for another is off by more than the gate allows.
    let last = ["Exp b -> e"];
    for (spread, output, operators_after) in [
        (Spread::Std, "e", &["Exp", "Log", "Mul"][..]),
        (Spread::Var, "e", &["Exp", "Log"]),
        (Spread::LogStd, "b", &["Mul"]),
        (Spread::LogVar, "b", &[]),
    ] {
        let encoder =
            encoder(&[("mu", HEAD), (output, HEAD)], &[&last[..], &["Identity a -> mu"]].concat());
        let names =
            Names { log_var: Some(output.into()), spread: Some(spread), ..Names::default() };
        let (folder, _) = run(&encoder, &decoder(), &names).expect("the gate agrees");
        let graph = written(&folder, "encoder.onnx");
        let operators: Vec<_> =
            operators(&graph).into_iter().filter(|o| matches!(*o, "Exp" | "Log" | "Mul")).collect();
        assert_eq!(operators, operators_after, "{spread:?}");
        let bundle = Bundle::open(folder.path().join("b")).expect("a bundle");
        let golden = bundle.golden().expect("it is whole");
        // b itself, however it is given: b = log(e).
        let factor = if matches!(spread, Spread::Std | Spread::LogStd) { 2.0 } else { 1.0 };
        let expected = by_hand(&golden["image"]).mapv(|v| factor * v);
        let difference = (&golden["log_var"] - &expected).mapv(f32::abs);
        assert!(difference.iter().all(|d| *d < 1e-5), "{spread:?}: {difference}");
    }
}

/// The encoder's `b`, computed here.
fn by_hand(images: &ArrayD<f32>) -> ArrayD<f32> {
    let weights = floats("v", &[8, 2]).float_data;
    let batch = images.shape()[0];
    let pixels: Vec<f32> = images.iter().copied().collect();
    ArrayD::from_shape_fn(IxDyn(&[batch, 2]), |at| {
        (0..8).map(|i| pixels[at[0] * 8 + i] * weights[i * 2 + at[1]]).sum()
    })
}

#[test]
fn what_is_called_a_deviation_must_be_positive() {
    let encoder =
        encoder(&[("mu", HEAD), ("sigma", HEAD)], &["Identity a -> mu", "Identity b -> sigma"]);
    let message = refusal(&encoder, &decoder());
    assert!(message.contains("`sigma` holds -") && message.contains("--spread"), "{message}");
}

#[test]
fn one_tensor_of_twice_the_size_is_split_along_its_channels() {
    let weights = vec![floats("w", &[4, 1, 2, 2]), floats("v", &[2, 1, 1, 2])];
    let nodes = ["Conv x w -> moments"];
    let encoder =
        model(&[("x", &[0, 1, 2, 4])], &[("moments", &[0, 4, 1, 3])], weights.clone(), &nodes);
    let nodes = ["ConvTranspose z v -> row", "Pad row pads -> y"];
    let pads = ints("pads", &[0, 0, 0, 0, 0, 0, 1, 0]);
    let weights = [weights, vec![pads]].concat();
    let decoder = model(&[("z", &[0, 2, 1, 3])], &[("y", IMAGE)], weights, &nodes);
    let (folder, imported) = run(&encoder, &decoder, &Names::default()).expect("it fits");
    assert_eq!(imported.manifest.latent, 6);
    let graph = written(&folder, "encoder.onnx");
    assert_eq!(operators(&graph), ["Conv", "Split", "Flatten", "Flatten"]);
    assert_eq!(operators(&written(&folder, "decoder.onnx"))[0], "Reshape");
}

/// An encoder with one output of this shape and a decoder that takes six values.
fn joint(dims: &[i64]) -> [ModelProto; 2] {
    let sizes = [&[-1], &dims[1..]].concat();
    let weights = vec![floats("w", &[8, 12]), ints("sizes", &sizes)];
    let nodes = ["Flatten:axis=1 x -> flat", "MatMul flat w -> v", "Reshape v sizes -> moments"];
    let encoder = model(&[("x", IMAGE)], &[("moments", dims)], weights, &nodes);
    let weights = vec![floats("w", &[6, 8]), ints("shape", &[-1, 1, 2, 4])];
    let nodes = ["MatMul z w -> flat", "Reshape flat shape -> y"];
    [encoder, model(&[("z", &[0, 6])], &[("y", IMAGE)], weights, &nodes)]
}

#[test]
fn halves_that_are_stacked_are_told_apart_or_refused() {
    for dims in [&[0, 12][..], &[0, 2, 6], &[0, 4, 1, 3]] {
        let [encoder, decoder] = joint(dims);
        let (folder, imported) = run(&encoder, &decoder, &Names::default()).expect("it fits");
        assert_eq!(imported.manifest.latent, 6);
        let golden = Bundle::open(folder.path().join("b")).expect("a bundle").golden();
        let golden = golden.expect("it is whole");
        // The first half of the twelve values, and not every other one.
        let pixels: Vec<f32> = golden["image"].iter().copied().collect();
        let weights = floats("w", &[8, 12]).float_data;
        let first: f32 = (0..8).map(|i| pixels[i] * weights[i * 12 + 1]).sum();
        assert!((golden["mean"][[0, 1]] - first).abs() < 1e-5, "{dims:?}");
    }
    // The mean as the first of every two values, and shapes of which nobody knows.
    for dims in [&[0, 6, 2][..], &[0, 4, 3], &[0, 3, 2, 2]] {
        let [encoder, decoder] = joint(dims);
        let message = refusal(&encoder, &decoder);
        assert!(message.contains("e.onnx`: it gives `moments`"), "{message}");
        assert!(message.contains("(hint: export them as two outputs)"), "{message}");
    }
}

#[test]
fn a_batch_size_in_an_operator_is_opened() {
    for (declared, shape, opened) in [
        (0, [1, 1, 2, 4], [-1, 1, 2, 4]), // declared open, and fixed all the same
        (1, [1, 1, -1, 4], [0, 1, -1, 4]),
        (2, [2, 1, 2, 4], [-1, 1, 2, 4]),
    ] {
        let weights = vec![floats("w", &[2, 8]), ints("shape", &shape)];
        let nodes = ["MatMul z w -> flat", "Reshape:allowzero=1 flat shape -> y"];
        let (latent, image) = (&[declared, 2][..], &[declared, 1, 2, 4][..]);
        let decoder = model(&[("z", latent)], &[("y", image)], weights, &nodes);
        let encoder = encoder(&[("a", HEAD)], &[]);
        let imported = run(&encoder, &decoder, &Names::default());
        // The file takes no fewer than two images, and tract prepares graphs for one; ONNX Runtime, where
        // the machine has it, runs it.
        if let (2, Err(error)) = (declared, &imported) {
            assert!(error.to_string().contains("tract refuses it"), "{error}");
            continue;
        }
        let (folder, _) = imported.expect("it can be opened");
        let graph = written(&folder, "decoder.onnx");
        let shape = graph.initializer.iter().find(|t| t.name.contains("open_batch"));
        let bytes: Vec<u8> = opened.iter().flat_map(|v: &i64| v.to_le_bytes()).collect();
        assert_eq!(shape.map(|t| &t.raw_data), Some(&bytes), "{declared}");
        let bundle = Bundle::open(folder.path().join("b")).expect("a bundle");
        let mut model = Model::load(&bundle, &EngineOptions::default()).expect("it loads");
        let images = Array4::from_elem((5, 1, 2, 4), 0.5);
        assert_eq!(model.reconstruct(images.view()).expect("it runs").images.dim().0, 5);
    }
}

#[test]
fn a_decoder_without_sizes_has_the_layout_of_its_encoder() {
    let mut decoder = decoder();
    let graph = decoder.graph.as_mut().expect("it has one");
    graph.output = vec![value("y", &[0; 4])];
    let plain = encoder(&[("a", HEAD)], &[]);
    let (_, imported) = run(&plain, &decoder, &Names::default()).expect("the gate agrees");
    assert_eq!(imported.manifest.decoder.outputs[0].shape, [1, 2, 4]);
}

#[test]
fn sizes_of_a_resize_follow_the_batch() {
    let shapes = [ints("shape", &[1, 1, 1, 4]), ints("sizes", &[1, 1, 2, 4])];
    let weights =
        [vec![floats("w", &[2, 4]), floats("k", &[1, 1, 1, 1])], shapes.to_vec()].concat();
    let nodes = [
        "MatMul z w -> flat",
        "Reshape flat shape -> row",
        "Resize row _ _ sizes -> image",
        "Conv image k -> y",
    ];
    let decoder = model(&[("z", &[1, 2])], &[("y", &[1, 1, 2, 4])], weights, &nodes);
    let encoder = encoder(&[("a", HEAD)], &[]);
    let (folder, _) = run(&encoder, &decoder, &Names::default()).expect("it can be opened");
    let expected = ["MatMul", "Reshape", "Shape", "Gather", "Concat", "Resize", "Conv"];
    assert_eq!(operators(&written(&folder, "decoder.onnx")), expected);
}

#[test]
fn a_graph_that_mixes_the_images_of_a_batch_does_not_pass_the_gate() {
    let last = ["ReduceMean:keepdims=1 a -> middle", "Sub a middle -> centred"];
    let mut encoder = encoder(&[("centred", HEAD)], &last);
    let graph = encoder.graph.as_mut().expect("it has one");
    graph.node[3].attribute.push(AttributeProto {
        name: "axes".into(),
        r#type: AttributeType::Ints as i32,
        ints: vec![0],
        ..AttributeProto::default()
    });
    let message = refusal(&encoder, &decoder());
    assert!(message.contains("tract differs from the imported files on `mean`"), "{message}");
    assert!(message.contains("batch 3"), "{message}");
}

#[test]
fn the_names_of_a_bundle_may_mean_something_else_in_the_files() {
    let weights = vec![floats("image", &[8, 2]), floats("mean", &[8, 2])];
    let nodes = [
        "Flatten:axis=1 latent -> reconstruction",
        "MatMul reconstruction image -> log_var.log",
        "MatMul reconstruction mean -> mu",
        "Exp log_var.log -> std",
    ];
    let outputs: [(&str, &[i64]); 2] = [("std", HEAD), ("mu", HEAD)];
    let encoder = model(&[("latent", IMAGE)], &outputs, weights, &nodes);
    let (folder, imported) = run(&encoder, &decoder(), &Names::default()).expect("it fits");
    let names: Vec<_> = imported.manifest.encoder.outputs.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["mean", "log_var"]);
    assert!(Bundle::open(folder.path().join("b")).is_ok());
}

#[test]
fn what_the_decoder_takes_beside_the_latent_vector_comes_from_the_encoder() {
    let weights = vec![floats("w", &[2, 8]), ints("shape", &[-1, 1, 2, 4])];
    let nodes = ["MatMul z w -> flat", "Reshape flat shape -> image", "Add image skip -> y"];
    let decoder = model(&[("z", HEAD), ("skip", IMAGE)], &[("y", IMAGE)], weights, &nodes);
    let message = refusal(&encoder(&[("a", HEAD)], &[]), &decoder);
    assert!(message.contains("`skip` [batch, 1, 2, 4]"), "{message}");
    assert!(message.contains("--skip ENCODER_OUTPUT=skip"), "{message}");
    // The image itself, handed on.
    let encoder = encoder(&[("a", HEAD), ("x", IMAGE)], &[]);
    let (folder, imported) = run(&encoder, &decoder, &Names::default()).expect("it fits");
    assert!(!imported.manifest.sampling);
    assert_eq!(operators(&written(&folder, "encoder.onnx")), ["Flatten", "MatMul", "Identity"]);
}

#[test]
fn unused_operator_sets_are_dropped_and_foreign_operators_refused() {
    let mut encoder = encoder(&[("a", HEAD)], &[]);
    let foreign = OperatorSetIdProto { domain: "ai.onnx.ml".into(), version: 2 };
    encoder.opset_import.push(foreign);
    assert!(run(&encoder, &decoder(), &Names::default()).is_ok());
    let graph = encoder.graph.as_mut().expect("it has one");
    graph.node[1].domain = "ai.onnx.ml".into();
    let message = refusal(&encoder, &decoder());
    assert!(message.contains("e.onnx`: it uses operators of the domain `ai.onnx.ml`"), "{message}");

    encoder.graph.as_mut().expect("it has one").node[1].domain.clear();
    encoder.opset_import[0].version = 9;
    let message = refusal(&encoder, &decoder());
    assert!(message.contains("e.onnx`: its opset is 9, not 13 to 23"), "{message}");
}

#[test]
fn impossible_sizes_are_refused() {
    let huge: &[i64] = &[0, 1, i64::MAX, i64::MAX];
    let mut plain = encoder(&[("a", HEAD)], &[]);
    plain.graph.as_mut().expect("it has one").input = vec![value("x", huge)];
    let message = refusal(&plain, &decoder());
    assert!(message.contains("e.onnx`: images are 1 to 16384 pixels"), "{message}");
    let mut wide = decoder();
    wide.graph.as_mut().expect("it has one").input = vec![value("z", huge)];
    let message = refusal(&encoder(&[("mu", HEAD)], &["Identity a -> mu"]), &wide);
    assert!(message.contains("d.onnx`: it takes `z` [batch, 1, "), "{message}");
    // Sizes that fit, and whose product or its double does not.
    let mut wide = decoder();
    wide.graph.as_mut().expect("it has one").input = vec![value("z", &[0, 1 << 62, 2])];
    let message = refusal(&encoder(&[("a", HEAD)], &[]), &wide);
    assert!(message.contains("a latent vector of 9223372036854775808"), "{message}");
    let mut open = decoder();
    open.graph.as_mut().expect("it has one").input = vec![value("z", &[0, 0])];
    let message = refusal(&encoder(&[("a", &[0, 1 << 40, 1 << 40])], &[]), &open);
    assert!(message.contains("a latent vector has 1 to 16777216 values"), "{message}");
}

#[test]
fn a_refused_import_leaves_nothing() {
    let folder = TempDir::new().expect("a temporary folder");
    let files = ["e.onnx", "d.onnx"].map(|name| folder.path().join(name));
    let encoder =
        encoder(&[("mu", HEAD), ("sigma", HEAD)], &["Identity a -> mu", "Identity b -> sigma"]);
    for (file, model) in files.iter().zip([encoder, decoder()]) {
        std::fs::write(file, model.encode_to_vec()).expect("a writable folder");
    }
    let names = Names::default();
    let imported = import(&options(&names, &files), &folder.path().join("b"), false, None);
    assert!(imported.is_err());
    let left = std::fs::read_dir(folder.path()).expect("it is there").count();
    assert_eq!(left, files.len());
}
