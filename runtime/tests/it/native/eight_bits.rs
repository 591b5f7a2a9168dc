//! Graphs with weights and activations in eight bits.

use ndarray::ArrayD;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tract_onnx::pb::TensorProto;
use vae_infer::{Engine, EngineOptions};

use super::answers::{agree, agree_within, images, run};
use super::chain::{Chain, Form, Layer, uniform};
use super::operators::{cases, conv, deconv, dense, elementwise, image, moved};
use crate::onnx::{floats, with_int, with_ints};

/// Chains round their numbers to steps of at most this: one that falls on the other side of an edge is
/// carried through the layers behind.
const STEPS: f32 = 0.05;

impl Chain {
    pub(super) fn scalar(&mut self, data_type: i32, raw_data: Vec<u8>) -> String {
        let name = self.name();
        let tensor = TensorProto { name: name.clone(), data_type, raw_data, ..Default::default() };
        self.stored.push(tensor);
        name
    }

    /// Integers with a scale for all, or for every place of one of the first two axes.
    pub(super) fn eight_bits(&mut self, dims: &[i64], size: f32) -> String {
        let name = self.name();
        let count = dims.iter().product::<i64>();
        let integers = (0..count).map(|_| (uniform(&mut self.generator) * 127.9) as i8);
        let raw_data = integers.flat_map(i8::to_le_bytes).collect();
        let (name_of, dims_of) = (name.clone(), dims.to_vec());
        let tensor = TensorProto {
            name: name_of,
            dims: dims_of,
            data_type: 3,
            raw_data,
            ..Default::default()
        };
        self.stored.push(tensor);
        let unit = size / 128.0;
        let axis = count as usize % 3;
        if axis == 2 {
            let scale = self.scalar(1, unit.to_le_bytes().to_vec());
            return self.push("DequantizeLinear", &[&name, &scale]).1;
        }
        let scale = self.name();
        let draw = |_| unit * (1.5 + uniform(&mut self.generator));
        let scales: Vec<f32> = (0..dims[axis]).map(draw).collect();
        self.stored.push(floats(&scale, &scales));
        let (node, widened) = self.push("DequantizeLinear", &[&name, &scale]);
        *node = with_int(node.clone(), "axis", axis as i64);
        widened
    }

    /// Rounds the last tensor to bytes, signed or unsigned.
    pub(super) fn round(&mut self, kind: u8) {
        let dims = self.last.dims.clone();
        let scale = self.scalar(1, [0.0125_f32, 0.02][kind as usize % 2].to_le_bytes().to_vec());
        let zero = match kind % 4 {
            0 | 1 => self.scalar(2, vec![117]),
            2 => self.scalar(2, vec![0]),
            _ => self.scalar(3, (-7_i8).to_le_bytes().to_vec()),
        };
        self.then("QuantizeLinear", &[&scale, &zero], &dims, |node| node);
        self.then("DequantizeLinear", &[&scale, &zero], &dims, |node| node);
    }
}

fn rounded() -> impl Strategy<Value = Layer> {
    (0..4_u8).prop_map(Layer::Round)
}

fn layer() -> impl Strategy<Value = Layer> {
    prop_oneof![3 => conv(), 1 => deconv(), 3 => dense(), 2 => elementwise(), 2 => moved()]
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn convolutions(x in image(), round in rounded(), layer in conv(), after in elementwise()) {
        agree(&Chain::of(&x, Form::Eight, &[round, layer, after]).finish(), 2)?;
    }

    #[test]
    fn dense_layers(size in 1..=300_i64, round in rounded(), layer in dense(), after in elementwise()) {
        agree(&Chain::of(&[size], Form::Eight, &[round, layer, after]).finish(), 15)?;
    }
}

proptest! {
    // The same chains every time: few of all could carry a step further than they may.
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(8), ..cases(200) })]

    #[test]
    fn chains(x in image(), layers in proptest::collection::vec((layer(), rounded()), 2..=3)) {
        let mut all = vec![Layer::Round(0)];
        all.extend(layers.into_iter().flat_map(|(layer, round)| [layer, round]));
        let chain = Chain::of(&x, Form::Eight, &all);
        prop_assume!(chain.last.dims.iter().product::<i64>() < 200_000);
        agree_within(STEPS, &chain.finish(), 2)?;
    }
}

/// A transposed convolution as the exporter has it in eight bits: a convolution with channels for every
/// phase, whose weights are moved from their taps to their places, with a bias in 32 bits.
fn phases(channels: i64) -> Chain {
    let mut chain = Chain::new(&[channels, 5, 4], Form::Eight);
    chain.round(0);
    let taps = chain.name();
    let count = channels * channels * 9;
    let raw_data = (0..count).map(|i| (i * 7919 % 129 - 64) as i8 as u8).collect();
    let dims = vec![channels, channels, 3, 3];
    let name = taps.clone();
    chain.stored.push(TensorProto { name, dims, data_type: 3, raw_data, ..Default::default() });
    let pads = chain.integers(&[0, 0, 1, 1, 0, 0, 0, 0]);
    let (_, padded) = chain.push("Pad", &[&taps, &pads]);
    let split = chain.integers(&[channels, channels, 2, 2, 2, 2]);
    let (_, split) = chain.push("Reshape", &[&padded, &split]);
    let (node, sorted) = chain.push("Transpose", &[&split]);
    *node = with_ints(node.clone(), "perm", &[3, 5, 1, 0, 2, 4]);
    let [starts, ends, axes] =
        [[-1, -1], [-3, -3], [4, 5]].map(|integers| chain.integers(&integers));
    let (_, turned) = chain.push("Slice", &[&sorted, &starts, &ends, &axes, &starts]);
    let joined = chain.integers(&[4 * channels, channels, 2, 2]);
    let (_, weights) = chain.push("Reshape", &[&turned, &joined]);

    let one = chain.name();
    let scales: Vec<f32> = (0..channels).map(|c| 0.002 + 0.0001 * c as f32).collect();
    chain.stored.push(floats(&one, &scales));
    let (node, scale) = chain.push("Concat", &[one.as_str(); 4]);
    *node = with_int(node.clone(), "axis", 0);
    let (node, weights) = chain.push("DequantizeLinear", &[&weights, &scale]);
    *node = with_int(node.clone(), "axis", 0);

    let bias = chain.name();
    let integers = (0..channels).flat_map(|c| (50_000 - 9_000 * c as i32).to_le_bytes());
    let (name, dims, raw_data) = (bias.clone(), vec![channels], integers.collect());
    chain.stored.push(TensorProto { name, dims, data_type: 6, raw_data, ..Default::default() });
    let (node, biases) = chain.push("Concat", &[bias.as_str(); 4]);
    *node = with_int(node.clone(), "axis", 0);
    let input = chain.scalar(1, 0.0125_f32.to_le_bytes().to_vec());
    let (_, unit) = chain.push("Mul", &[&scale, &input]);
    let (node, bias) = chain.push("DequantizeLinear", &[&biases, &unit]);
    *node = with_int(node.clone(), "axis", 0);

    chain.then("Conv", &[&weights, &bias], &[4 * channels, 5, 4], |conv| {
        with_ints(conv, "pads", &[0, 0, 1, 1])
    });
    chain.activation(0);
    chain.round(2);
    chain.then("DepthToSpace", &[], &[channels, 10, 8], |deep| with_int(deep, "blocksize", 2));
    chain.round(2);
    chain
}

#[test]
fn phases_of_a_transposed_convolution_are_put_together() {
    for channels in [16, 32, 20, 3] {
        let graph = phases(channels).finish();
        let x = images(&graph.1, 5);
        let [ours, theirs]: [ArrayD<f32>; 2] = [Engine::Native, Engine::Tract]
            .map(|engine| run(engine, 1, &graph, &x).unwrap().remove(0));
        let far = ours.iter().zip(&theirs).filter(|(a, b)| (*a - *b).abs() > 1e-6);
        let steps = far.clone().all(|(a, b)| (a - b).abs() < 0.0126);
        assert!(steps && far.count() <= ours.len() / 200, "{channels} channels");
        assert!(ours.iter().any(|value| *value > 0.1), "{channels} channels give something");
    }
}

#[test]
fn products_with_zeros_between_taps_are_not_computed() {
    for channels in [16, 32, 20] {
        let graph = phases(channels).finish();
        let options = EngineOptions::new(Engine::Native);
        let mut session = options.load("decoder", graph.0.clone(), &graph.1).unwrap();
        let steps = session.profile(&[images(&graph.1, 3).view()]).unwrap().unwrap();
        let taps = channels * channels * 9;
        let flops: u64 = steps.iter().map(|step| step.flops).sum();
        assert_eq!(flops, 3 * (5 * 4) * 2 * taps as u64, "{channels} channels");
    }
}

#[test]
fn what_has_no_meaning_in_eight_bits_is_refused() {
    type Edit = fn(&mut Chain);
    let cases: [(Edit, &str); 3] = [
        (
            |chain| {
                let zero = chain.scalar(1, vec![0; 4]);
                chain.then("QuantizeLinear", &[&zero], &[6], |node| node);
                chain.then("DequantizeLinear", &[&zero], &[6], |node| node);
            },
            "multiples of 0",
        ),
        (
            |chain| {
                let names = [0.25_f32, 0.5].map(|v| chain.scalar(1, v.to_le_bytes().to_vec()));
                chain.then("QuantizeLinear", &[&names[0]], &[6], |node| node);
                chain.then("DequantizeLinear", &[&names[1]], &[6], |node| node);
            },
            "another scale",
        ),
        (
            |chain| {
                let scales = chain.name();
                chain.stored.push(floats(&scales, &[0.25; 6]));
                chain.then("QuantizeLinear", &[&scales], &[6], |node| node);
                chain.then("DequantizeLinear", &[&scales], &[6], |node| node);
            },
            "6 scales",
        ),
    ];
    for (edit, word) in cases {
        let mut chain = Chain::new(&[6], Form::Single);
        edit(&mut chain);
        let graph = chain.finish();
        let refused = run(Engine::Native, 1, &graph, &images(&graph.1, 2)).unwrap_err().to_string();
        let named = refused.contains("not for this engine") && refused.contains(word);
        assert!(named, "{refused}, not {word}");
    }
}
