//! Weights and activations in eight bits, in the form that ONNX calls QDQ: the graph stays one of
//! `f32` operators, and a pair of `QuantizeLinear` and `DequantizeLinear` on a tensor says how its
//! values are rounded. An engine with integer kernels runs the operator between two pairs in
//! integers; one without computes the same values in `f32`.
//!
//! Weights are symmetric, with a scale for every output channel; activations have a scale and a zero
//! point for the tensor (Jacob et al., arXiv:1712.05877).

use std::collections::BTreeMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::calibration::Range;
use crate::proto::{floats, floats_tensor, int, tensor};

/// The largest weight in eight bits. Sixty-four and not 127: processors without integer dot products
/// add pairs of products in sixteen bits, which full weights overflow, and every device must give
/// the same answer.
const LARGEST_WEIGHT: f32 = 64.0;

/// Operators that hand their input's values on, so that its scale serves the output as well.
const CARRIERS: [&str; 7] =
    ["DepthToSpace", "Flatten", "Identity", "MaxPool", "Pad", "Reshape", "Slice"];

/// Rewrites a graph of `f32`.
///
/// `ranges` has every input and every node's output.
pub(super) fn quantize(graph: &mut GraphProto, ranges: &BTreeMap<String, Range>) {
    let outputs: Vec<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    let nodes = std::mem::take(&mut graph.node);
    let constants = std::mem::take(&mut graph.initializer);
    let mut rewriter = Rewriter {
        constants: constants.into_iter().map(|c| (c.name.clone(), c)).collect(),
        graph,
        ranges: ranges.clone(),
        rounded: BTreeMap::new(),
    };
    let inputs: Vec<String> = rewriter.graph.input.iter().map(|i| i.name.clone()).collect();
    for input in inputs {
        let range = rewriter.ranges[&input];
        let rounded = format!("{input}.rounded");
        rewriter.round(&input, &rounded, range);
        rewriter.rounded.insert(input, rounded);
    }
    for (place, node) in nodes.iter().enumerate() {
        let output = &node.output[0];
        let mut readers = nodes[place + 1..].iter().filter(|n| n.input.contains(output));
        let fused = affine(node)
            && readers.next().is_some_and(|reader| reader.op_type == "Relu")
            && readers.next().is_none();
        // The heads' values and probabilities leave the graph as they were computed.
        let exact = outputs.contains(output) && matches!(&*node.op_type, "Gemm" | "Sigmoid");
        rewriter.node(node, !(fused || exact), outputs.contains(output));
    }
    let Rewriter { constants, graph, .. } = rewriter;
    graph.initializer.extend(constants.into_values());
}

fn affine(node: &NodeProto) -> bool {
    matches!(&*node.op_type, "Conv" | "Gemm")
}

struct Rewriter<'a> {
    graph: &'a mut GraphProto,
    /// The constants that are still as they were.
    constants: BTreeMap<String, TensorProto>,
    ranges: BTreeMap<String, Range>,
    /// Tensors and the name under which they can be read in eight bits.
    rounded: BTreeMap<String, String>,
}

impl Rewriter<'_> {
    /// Appends a node that reads rounded tensors and weights, and rounds what it gives.
    fn node(&mut self, node: &NodeProto, rounds: bool, is_output: bool) {
        let mut node = node.clone();
        if affine(&node) {
            self.weights(&mut node);
        }
        let input = node.input[0].clone();
        for wire in &mut node.input {
            if let Some(rounded) = self.rounded.get(wire) {
                rounded.clone_into(wire);
            }
        }
        let output = node.output[0].clone();
        let carried = CARRIERS.contains(&&*node.op_type) && self.rounded.contains_key(&input);
        let range = if carried { self.ranges[&input] } else { self.ranges[&output] };
        self.ranges.insert(output.clone(), range);
        if !rounds {
            self.graph.node.push(node);
            return;
        }
        // A graph's output keeps its name, and is the rounded tensor.
        let (plain, rounded) = match is_output {
            true => (format!("{output}.exact"), output.clone()),
            false => (output.clone(), format!("{output}.rounded")),
        };
        node.output = vec![plain.clone()];
        self.graph.node.push(node);
        self.round(&plain, &rounded, range);
        self.rounded.insert(output, rounded);
    }

    /// Appends the pair that rounds a tensor to eight bits.
    fn round(&mut self, from: &str, to: &str, range: Range) {
        let [scale, zero, stored] =
            ["scale", "zero_point", "u8"].map(|part| format!("{to}.{part}"));
        self.graph.initializer.push(floats_tensor(&scale, &[], &[range.scale()]));
        let zero_point = vec![range.zero_point()];
        self.graph.initializer.push(tensor(&zero, &[], DataType::Uint8, zero_point));
        let node = |operator: &str, from: &str, to: &str| NodeProto {
            op_type: operator.into(),
            name: format!("{to}.{}", operator.to_lowercase()),
            input: vec![from.into(), scale.clone(), zero.clone()],
            output: vec![to.into()],
            ..NodeProto::default()
        };
        self.graph.node.push(node("QuantizeLinear", from, &stored));
        self.graph.node.push(node("DequantizeLinear", &stored, to));
    }

    /// Stores a layer's weight in eight bits and its bias in thirty-two, in the unit of the products
    /// that it is added to.
    fn weights(&mut self, node: &mut NodeProto) {
        let mut take = |name: &String| {
            self.constants.remove(name).expect("every layer has weights of its own")
        };
        let weight = take(&node.input[1]);
        let bias = node.input.get(2).map(|name| (name.clone(), floats(&take(name))));
        // A convolution's weight is [out, in, …], a dense layer's [in, out].
        let axis = usize::from(node.op_type == "Gemm");
        let dims: Vec<usize> = weight.dims.iter().map(|&d| d as usize).collect();
        let values = floats(&weight);
        let inner: usize = dims[axis + 1..].iter().product();
        let channel = |i: usize| i / inner % dims[axis];
        let mut largest = vec![0.0_f32; dims[axis]];
        for (i, v) in values.iter().enumerate() {
            largest[channel(i)] = largest[channel(i)].max(v.abs());
        }
        let input = self.ranges[&node.input[0]].scale();
        let scale = |channel: usize| {
            // Fine enough for the weights, and coarse enough for the bias to fit its thirty-two bits.
            let bias = bias.as_ref().map_or(0.0, |(_, bias)| bias[channel].abs());
            let needed = (largest[channel] / LARGEST_WEIGHT).max(bias / (input * (1 << 30) as f32));
            if needed > 0.0 { needed } else { 1.0 }
        };
        let scales: Vec<f32> = (0..dims[axis]).map(scale).collect();
        let eight = |(i, v): (usize, &f32)| (v / scales[channel(i)]).round() as i8;
        let bytes = values.iter().enumerate().map(|value| eight(value).to_le_bytes()[0]).collect();
        let name = node.input[1].clone();
        node.input[1] = self.widen(&name, &dims, axis, (DataType::Int8, bytes), &scales);
        if let Some((name, bias)) = bias {
            let units: Vec<f32> = scales.iter().map(|scale| scale * input).collect();
            let thirty_two = bias.iter().zip(&units).map(|(b, unit)| (b / unit).round() as i32);
            let bytes = thirty_two.flat_map(i32::to_le_bytes).collect();
            node.input[2] = self.widen(&name, &[bias.len()], 0, (DataType::Int32, bytes), &units);
        }
    }

    /// Appends integers with the node that turns them into `f32`, and gives its output's name.
    fn widen(
        &mut self,
        name: &str,
        dims: &[usize],
        axis: usize,
        (data_type, bytes): (DataType, Vec<u8>),
        scales: &[f32],
    ) -> String {
        let [stored, scale, zero] =
            ["stored", "scale", "zero_point"].map(|part| format!("{name}.{part}"));
        let size = if data_type == DataType::Int8 { 1 } else { 4 };
        let zeros = vec![0; size * scales.len()];
        self.graph.initializer.push(tensor(&stored, dims, data_type, bytes));
        self.graph.initializer.push(floats_tensor(&scale, &[scales.len()], scales));
        self.graph.initializer.push(tensor(&zero, &[scales.len()], data_type, zeros));
        self.graph.node.push(NodeProto {
            op_type: "DequantizeLinear".into(),
            name: format!("{name}.dequantizelinear"),
            input: vec![stored, scale, zero],
            output: vec![name.into()],
            attribute: vec![int("axis", axis)],
            ..NodeProto::default()
        });
        name.to_owned()
    }
}
