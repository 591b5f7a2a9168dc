//! The runtime's shapes and costs of exported graphs, against tract's inference and against the
//! costs of the networks that they were exported from.

use std::collections::BTreeMap;

use burn::tensor::Device;
use proptest::prelude::*;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;
use vae_infer::graph::{Cost, cost, facts};
use vae_infer::manifest::{FileSpec, GraphSpec};
use vae_models::{Activation, Block, NetworkConfig, PoolKind, VaeConfig};
use vae_onnx::{Graph, decoder, encoder};

/// An exported file with its signature.
fn written(graph: Graph) -> (Vec<u8>, GraphSpec) {
    let onnx = graph.to_bytes();
    let file = FileSpec::of("graph.onnx", &onnx);
    let spec =
        GraphSpec { file, inputs: graph.inputs, outputs: graph.outputs, layers: graph.layers };
    (onnx, spec)
}

fn exported(config: &VaeConfig, image: [usize; 3]) -> [(&'static str, Vec<u8>, GraphSpec); 2] {
    let vae = config.init(image, &Device::flex()).expect("it fits");
    let (first, first_spec) = written(encoder(&vae, config, image).expect("it fits"));
    let (second, second_spec) = written(decoder(&vae, config, image).expect("it fits"));
    [("encoder", first, first_spec), ("decoder", second, second_spec)]
}

/// The shapes that tract infers at a batch of 1, by the tensors' names.
fn shapes_in_tract(onnx: &[u8], spec: &GraphSpec) -> BTreeMap<String, Vec<usize>> {
    let model = tract_onnx::onnx().model_for_read(&mut &onnx[..]);
    let mut model = model.expect("tract reads it");
    for (place, input) in spec.inputs.iter().enumerate() {
        let dims: TVec<usize> = [1].into_iter().chain(input.shape.iter().copied()).collect();
        let fact = InferenceFact::dt_shape(f32::datum_type(), dims);
        model.set_input_fact(place, fact).expect("it has this input");
    }
    model.analyse(false).expect("tract follows its shapes");
    let shapes = model.outlet_labels.iter().map(|(&outlet, name)| {
        let shape = &model.outlet_fact(outlet).expect("it is there").shape;
        let dims = shape.concretize().expect("every size is known");
        let sizes = dims.iter().map(|dim| dim.to_usize().expect("the batch is 1"));
        (name.clone(), sizes.collect())
    });
    shapes.collect()
}

/// Holds the shapes of both graphs against tract's, and their costs against the network's.
fn agree(config: &VaeConfig, image: [usize; 3]) {
    let expected = config.cost(image).expect("it fits");
    for ((name, onnx, spec), expected) in exported(config, image).into_iter().zip(expected) {
        let ours = facts(name, &onnx, &spec, 1).expect("every exported operator is covered");
        let theirs = shapes_in_tract(&onnx, &spec);
        assert!(theirs.len() >= spec.outputs.len(), "{name}: {theirs:?}");
        for (tensor, shape) in theirs {
            assert_eq!(ours[&tensor].dims, shape, "{tensor} of the {name}");
        }
        let Cost { parameters, weights, work } = cost(name, &onnx, &spec).expect("it is accepted");
        let work = work.expect("every exported operator is covered");
        let got = (parameters, work.flops);
        assert_eq!(got, (expected.parameters as u64, expected.flops as u64), "{name}");
        let largest = spec.inputs.iter().chain(&spec.outputs).map(|t| t.shape.iter().product());
        assert!(work.peak >= 4 * largest.max().unwrap_or(0_usize) as u64, "{name}: {work:?}");
        assert!(weights.values().sum::<u64>() < onnx.len() as u64, "{name}: {weights:?}");
    }
}

/// The network of a preset, and the size of its images.
fn preset(text: &str) -> (VaeConfig, [usize; 3]) {
    let table: toml::Table = text.parse().expect("a preset is TOML");
    let image = &table["image"];
    let size = |key: &str| {
        let size = image.get(key).and_then(toml::Value::as_integer);
        usize::try_from(size.expect("a preset has its image's size")).expect("it is positive")
    };
    let model = table["model"].clone().try_into().expect("a preset has a network");
    (model, ["channels", "height", "width"].map(size))
}

#[test]
fn every_preset_has_the_shapes_and_the_cost_of_its_graphs() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../trainer/presets");
    let mut presets = 0;
    for entry in std::fs::read_dir(folder).expect("the presets are in the repository") {
        let text = std::fs::read_to_string(entry.expect("it is listed").path());
        let (config, image) = preset(&text.expect("a preset is a file"));
        agree(&config, image);
        presets += 1;
    }
    assert!(presets >= 8, "{presets} presets");
}

/// A block that may or may not fit where it stands.
fn block() -> impl Strategy<Value = Block> {
    let activation = prop_oneof![
        Just(Activation::Identity),
        Just(Activation::Relu),
        Just(Activation::LeakyRelu(0.1)),
        Just(Activation::Silu),
        Just(Activation::Sigmoid),
    ];
    let window = (1..=4_usize, 1..=3_usize, 0..=2_usize, 1..=6_usize, activation);
    let conv = window.clone().prop_map(|(kernel, stride, padding, channels, activation)| {
        Block::Conv { channels, kernel, stride, padding, activation }
    });
    let deconv = window.prop_map(|(kernel, stride, padding, channels, activation)| {
        let output_padding = padding.min(stride - 1);
        Block::Deconv { channels, kernel, stride, padding, output_padding, activation }
    });
    let kind = prop_oneof![Just(PoolKind::Max), Just(PoolKind::Average)];
    let pool = (kind, 1..=3_usize, 1..=3_usize).prop_map(|(kind, kernel, stride)| Block::Pool {
        kind,
        kernel,
        stride,
    });
    let upsample = (1..=3_usize).prop_map(|scale| Block::Upsample { scale });
    let crop = (2..=9_usize, 2..=9_usize).prop_map(|(height, width)| Block::Crop { height, width });
    prop_oneof![3 => conv, 3 => deconv, 1 => pool, 1 => upsample, 1 => crop]
}

/// A network of those blocks that fit, from an image to a vector and back to what is left, with
/// its end cropped or padded to the image by dense layers.
fn network(image: [usize; 3], blocks: Vec<Block>) -> Option<VaeConfig> {
    let dense = |units| Block::Dense { units, activation: Activation::Identity };
    let [channels, height, width] = image;
    let values = channels * height * width;
    let mut middle = vec![];
    let mut shape = vae_models::Shape::Image(image);
    let mut skips = BTreeMap::new();
    for block in blocks {
        match shape.after(&block, &mut skips) {
            Ok(next) if next.len() <= 4096 => {
                middle.push(block);
                shape = next;
            }
            _ => {}
        }
    }
    let unflatten = Block::Unflatten { channels, height, width };
    let decoder = [
        vec![dense(values), unflatten.clone()],
        middle.clone(),
        vec![Block::Flatten, dense(values), unflatten],
    ];
    let config = VaeConfig {
        latent: 3,
        variational: true,
        initialization: Default::default(),
        likelihood: vae_models::Likelihood::Bernoulli,
        encoder: NetworkConfig([middle, vec![Block::Flatten]].concat()),
        decoder: NetworkConfig(decoder.concat()),
    };
    config.check(image).is_ok().then_some(config)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_network_has_the_shapes_and_the_cost_of_its_graphs(
        blocks in proptest::collection::vec(block(), 0..6), channels in 1..=3_usize,
        height in 4..=12_usize, width in 4..=12_usize,
    ) {
        let image = [channels, height, width];
        let config = network(image, blocks);
        agree(&config.expect("blocks that do not fit are left out"), image);
    }
}
