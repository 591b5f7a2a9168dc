//! The graphs as a reader of the files sees them.

use burn::tensor::Device;
use prost::Message;
use tract_onnx::pb::{GraphProto, ModelProto, ValueInfoProto, tensor_shape_proto, type_proto};
use vae_models::VaeConfig;
use vae_onnx::{decoder, encoder};

const IMAGE: [usize; 3] = [1, 14, 14];

/// Every block, a tap of the image itself, and a skip that must be padded.
const CONFIG: &str = r#"
latent = 3
likelihood = { kind = "bernoulli" }
encoder = [
  { block = "tap", skip = "image" },
  { block = "conv", channels = 4, kernel = 3, stride = 2, padding = 1, activation = "silu" },
  { block = "tap", skip = "wide" },
  { block = "pool", kind = "max", kernel = 2, stride = 2 },
  { block = "pool", kind = "average", kernel = 2, stride = 1 },
  { block = "flatten" },
  { block = "dense", units = 8, activation = { leaky_relu = 0.1 } },
]
decoder = [
  { block = "dense", units = 32, activation = "relu" },
  { block = "unflatten", channels = 2, height = 4, width = 4 },
  { block = "upsample", scale = 2 },
  { block = "join", skip = "wide" },
  { block = "deconv", channels = 3, kernel = 3, stride = 2, padding = 1, output_padding = 1 },
  { block = "crop", height = 14, width = 14 },
  { block = "join", skip = "image" },
  { block = "conv", channels = 1, kernel = 3, padding = 1 },
]
"#;

fn graphs(text: &str) -> [ModelProto; 2] {
    let config: VaeConfig = toml::from_str(text).expect("the test's own TOML");
    let vae = config.init(IMAGE, &Device::flex()).expect("it fits");
    [encoder(&vae, &config, IMAGE), decoder(&vae, &config, IMAGE)].map(|graph| {
        let bytes = graph.expect("it fits").to_bytes();
        ModelProto::decode(&bytes[..]).expect("it is a model")
    })
}

fn graph(model: &ModelProto) -> &GraphProto {
    model.graph.as_ref().expect("a model has a graph")
}

fn operators(model: &ModelProto) -> Vec<&str> {
    graph(model).node.iter().map(|node| node.op_type.as_str()).collect()
}

/// `name[batch, 4, 7, 7]`
fn signature(value: &ValueInfoProto) -> String {
    let Some(type_proto::Value::TensorType(tensor)) =
        value.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        panic!("{} is not a tensor", value.name)
    };
    assert_eq!(tensor.elem_type, 1, "{} is not f32", value.name);
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim).map(|dim| match &dim.value {
        Some(tensor_shape_proto::dimension::Value::DimParam(name)) => name.clone(),
        Some(tensor_shape_proto::dimension::Value::DimValue(size)) => size.to_string(),
        None => "?".to_owned(),
    });
    format!("{}[{}]", value.name, dims.collect::<Vec<_>>().join(", "))
}

fn signatures(values: &[ValueInfoProto]) -> Vec<String> {
    values.iter().map(signature).collect()
}

#[test]
fn names_and_shapes_are_static_and_the_batch_axis_is_dynamic() {
    let [encoder, decoder] = graphs(CONFIG);
    assert_eq!(signatures(&graph(&encoder).input), ["image[batch, 1, 14, 14]"]);
    let skips = ["skip_image[batch, 1, 14, 14]", "skip_wide[batch, 4, 7, 7]"];
    let heads = ["mean[batch, 3]", "log_var[batch, 3]"];
    assert_eq!(signatures(&graph(&encoder).output), [heads, skips].concat());
    let inputs = [&["latent[batch, 3]"][..], &skips].concat();
    assert_eq!(signatures(&graph(&decoder).input), inputs);
    assert_eq!(signatures(&graph(&decoder).output), ["reconstruction[batch, 1, 14, 14]"]);
}

#[test]
fn every_block_is_a_node_or_two() {
    let [encoder, decoder] = graphs(CONFIG);
    let expected = [
        "Conv",
        "Sigmoid",
        "Mul",
        "MaxPool",
        "AveragePool",
        "Flatten",
        "Gemm",
        "LeakyRelu",
        "Gemm",
        "Gemm",
        "Identity",
    ];
    assert_eq!(operators(&encoder), expected, "only the tapped image needs an Identity");
    let expected = [
        "Gemm",
        "Relu",
        "Reshape",
        "Resize",
        "Pad",
        "Concat",
        "ConvTranspose",
        "Slice",
        "Concat",
        "Conv",
        "Sigmoid",
    ];
    assert_eq!(operators(&decoder), expected);
}

#[test]
fn every_tensor_is_made_before_it_is_read_and_once() {
    for model in graphs(CONFIG) {
        let graph = graph(&model);
        let mut known: Vec<&str> = graph.input.iter().map(|value| value.name.as_str()).collect();
        known.extend(graph.initializer.iter().map(|tensor| tensor.name.as_str()));
        for node in &graph.node {
            for input in node.input.iter().filter(|input| !input.is_empty()) {
                assert!(known.contains(&input.as_str()), "{} reads {input} too early", node.name);
            }
            for output in &node.output {
                assert!(!known.contains(&output.as_str()), "{output} is made twice");
                known.push(output);
            }
        }
        for output in &graph.output {
            assert!(known.contains(&output.name.as_str()), "{} is never made", output.name);
        }
    }
}

#[test]
fn a_plain_autoencoder_has_no_log_var_and_a_gaussian_decoder_no_sigmoid() {
    let plain = CONFIG
        .replace("latent = 3", "latent = 3\nvariational = false")
        .replace(r#"{ kind = "bernoulli" }"#, r#"{ kind = "gaussian", sigma = 0.5 }"#);
    let [encoder, decoder] = graphs(&plain);
    assert!(!graph(&encoder).output.iter().any(|value| value.name == "log_var"));
    assert_eq!(operators(&decoder).last(), Some(&"Conv"));
}

#[test]
fn the_files_say_what_they_are() {
    for (model, role) in graphs(CONFIG).iter().zip(["encoder", "decoder"]) {
        assert_eq!((model.ir_version, model.opset_import[0].version), (8, 17));
        let role_entry = model.metadata_props.iter().find(|entry| entry.key == "role");
        assert_eq!(role_entry.map(|entry| entry.value.as_str()), Some(role));
    }
}
