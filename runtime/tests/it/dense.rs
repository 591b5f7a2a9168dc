//! Models of another kind than the embedded one: dense layers, no posterior, skips.

use std::fs;

use ndarray::{Array4, Axis, Slice};
use serde_json::json;
use tract_onnx::pb::{GraphProto, TensorProto};
use vae_infer::{Bundle, Encoding, EngineOptions, Model};

use crate::fixture::{Copy, all_well, not_refused, rings, run, succeed};
use crate::onnx::{model, node, value, weights, with_int};

/// A plain autoencoder of dense layers, 784-3-784, whose decoder also takes a skip of 4 values
/// where `skip` says so.
pub(crate) fn autoencoder(skip: bool) -> Copy {
    let mut encoder = GraphProto {
        name: "encoder".into(),
        node: vec![
            with_int(node("Flatten", &["image"], "pixels"), "axis", 1),
            node("Gemm", &["pixels", "w", "b"], "mean"),
        ],
        initializer: vec![weights("w", &[784, 3]), weights("b", &[3])],
        input: vec![value("image", &[1, 28, 28])],
        output: vec![value("mean", &[3])],
        ..Default::default()
    };
    let inner = if skip { 7 } else { 3 };
    let shape = [-1_i64, 1, 28, 28].into_iter().flat_map(i64::to_le_bytes).collect();
    let shape = TensorProto {
        name: "shape".into(),
        dims: vec![4],
        data_type: 7,
        raw_data: shape,
        ..Default::default()
    };
    let mut decoder = GraphProto {
        name: "decoder".into(),
        node: vec![
            node("Gemm", &[if skip { "joined" } else { "latent" }, "w", "b"], "logits"),
            node("Sigmoid", &["logits"], "flat"),
            node("Reshape", &["flat", "shape"], "reconstruction"),
        ],
        initializer: vec![weights("w", &[inner, 784]), weights("b", &[784]), shape],
        input: vec![value("latent", &[3])],
        output: vec![value("reconstruction", &[1, 28, 28])],
        ..Default::default()
    };
    if skip {
        encoder.node.push(node("Gemm", &["pixels", "v", "c"], "skip0"));
        encoder.initializer.extend([weights("v", &[784, 4]), weights("c", &[4])]);
        encoder.output.push(value("skip0", &[4]));
        decoder.node.insert(0, with_int(node("Concat", &["latent", "skip0"], "joined"), "axis", 1));
        decoder.input.push(value("skip0", &[4]));
    }
    let copy = Copy::new()
        .with_file("encoder", &model(encoder))
        .with_file("decoder", &model(decoder))
        .with_manifest(|manifest| {
            manifest["name"] = "plain".into();
            manifest["latent"] = 3.into();
            manifest["posterior"] = "point".into();
            manifest["sampling"] = false.into();
            manifest["verdicts"] = json!(null);
            let skips = if skip { vec![json!({"name": "skip0", "shape": [4]})] } else { vec![] };
            let first = |name: &str, shape: &[usize]| vec![json!({"name": name, "shape": shape})];
            manifest["encoder"]["outputs"] = [first("mean", &[3]), skips.clone()].concat().into();
            manifest["decoder"]["inputs"] = [first("latent", &[3]), skips].concat().into();
        });
    recorded(copy)
}

/// Records as golden vectors what the model gives here.
fn recorded(copy: Copy) -> Copy {
    let bundle = Bundle::open(copy.path()).unwrap();
    let mut model = Model::load(&bundle, &EngineOptions::default()).unwrap();
    let image =
        Array4::from_shape_fn((2, 1, 28, 28), |(n, _, y, x)| ((n + x * y) % 7) as f32 / 6.0);
    let Encoding { posterior, skips, .. } = model.encode(image.view()).unwrap();
    let mean = posterior.mean.into_dyn();
    let reconstruction = model.decode(mean.view().into_dimensionality().unwrap(), &skips).unwrap();
    let mut tensors = vec![("image", image.into_dyn()), ("latent", mean.clone()), ("mean", mean)];
    tensors.extend(skips.into_iter().map(|skip| ("skip0", skip)));
    tensors.push(("reconstruction", reconstruction.into_dyn()));
    copy.with_golden(&tensors)
}

#[test]
fn dense_graphs_run_in_batches_with_the_same_result() {
    for skip in [false, true] {
        let copy = autoencoder(skip);
        let bundle = Bundle::open(copy.path()).unwrap();
        let images =
            Array4::from_shape_fn((70, 1, 28, 28), |(n, _, y, x)| ((n + x * y) % 9) as f32 / 8.0);
        let run = |threads| {
            let options = EngineOptions { threads, ..EngineOptions::default() };
            Model::load(&bundle, &options).unwrap().reconstruct(images.view()).unwrap()
        };
        let together = run(1);
        assert_eq!(together, run(3), "threads must not matter");
        assert_eq!(together.posterior.kl(), None);

        let mut model = Model::load(&bundle, &EngineOptions::default()).unwrap();
        for n in [0, 31, 69] {
            let alone =
                model.reconstruct(images.slice_axis(Axis(0), Slice::from(n..n + 1))).unwrap();
            let worst = vae_infer::verify::difference(
                alone.images.index_axis(Axis(0), 0).into_dyn(),
                together.images.index_axis(Axis(0), n).into_dyn(),
            );
            assert!(worst <= 1e-5, "image {n} differs by {worst} from its batch");
        }
    }
}

#[test]
fn what_a_plain_autoencoder_lacks_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let images = rings(folder.path(), 2);
    let [a, b] = [0, 1].map(|i| images[i].to_str().unwrap());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (out, z, log_var) = (at("out.npy"), at("z.npy"), at("log_var.npy"));
    vae_infer::npy::write(z.as_ref(), &ndarray::Array2::<f32>::zeros((2, 3))).unwrap();
    let (plain, skipping) = (autoencoder(false), autoencoder(true));
    let (plain, skipping) = (plain.path().to_str().unwrap(), skipping.path().to_str().unwrap());

    let line: serde_json::Value =
        serde_json::from_str(&succeed(["score", a, "--model", plain])).unwrap();
    assert!(line["kl"].is_null() && line["elbo"].is_null() && line["mse"].is_number(), "{line}");
    succeed(["decode", &z, "-o", &at("decoded.npy"), "--model", plain]);
    for model in [plain, skipping] {
        succeed([
            "perturb",
            a,
            "--sigma",
            "0.1",
            "-o",
            &at("perturbed.npy"),
            "--force",
            "--model",
            model,
        ]);
    }
    let perturbed = fs::read(at("perturbed.npy")).unwrap();
    assert_eq!(vae_infer::npy::floats("", &perturbed).unwrap().shape(), [5, 28, 28, 1]);

    let cases: [(&str, &str, Vec<&str>); 6] = [
        (plain, "sample", vec!["sample", "-n", "1", "-o", &out]),
        (plain, "posterior", vec!["perturb", a, "--noise", "posterior", "-o", &out]),
        (plain, "no log-variances", vec!["encode", a, "-o", &out, "--out-log-var", &log_var]),
        (skipping, "skip0", vec!["sample", "-n", "1", "-o", &out]),
        (skipping, "skip0", vec!["decode", &z, "-o", &out]),
        (skipping, "skip0", vec!["interpolate", a, b, "-o", &out]),
    ];
    let mut failures = Vec::new();
    for (model, word, arguments) in cases {
        let output = run(arguments.iter().chain(&["--model", model]));
        failures
            .extend(not_refused(&output, &["plain", word]).map(|f| format!("{arguments:?}: {f}")));
    }
    all_well(failures);
    assert!(!std::path::Path::new(&out).exists());
}
