//! Weights and activations in eight bits, in the form that ONNX calls QDQ: the graph stays one of
//! `f32` operators, and a pair of `QuantizeLinear` and `DequantizeLinear` on a tensor says how its
//! values are rounded. An engine with integer kernels runs the operator between two pairs in
//! integers; one without computes the same values in `f32`.
//!
//! Weights are symmetric, with a scale for every output channel; activations have a scale and a zero
//! point for the tensor (Jacob et al., arXiv:1712.05877). Of a tensor `x`, `x.r` is the rounded one,
//! `x.r.s` its scale, `x.r.z` its zero point, `x.r.q` its integers.

use std::collections::BTreeMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

use super::calibration::Range;
use crate::phases::LEAST_CHANNELS;
use crate::proto::{floats, floats_tensor, int, integers, tensor};

/// The largest weight in eight bits. Sixty-four and not 127: processors without integer dot products
/// add pairs of products in sixteen bits, which full weights overflow, and every device must give
/// the same answer.
const LARGEST_WEIGHT: f32 = 64.0;

/// The fewest inputs of an output channel for which its weights have a scale of their own: for
/// fewer, the scales would outweigh them.
const LEAST_FAN_IN: usize = 16;

/// Operators that hand their input's values on, so that its scale serves the output as well.
const CARRIERS: [&str; 7] =
    ["DepthToSpace", "Flatten", "Identity", "MaxPool", "Pad", "Reshape", "Slice"];

/// Rewrites a graph of `f32`.
///
/// `ranges` has every input and every node's output, `vectors` names the outputs that are vectors:
/// parameters of a posterior, which leave the graph as they were computed. So do probabilities. What
/// else leaves it, pictures and skips, is rounded.
pub(super) fn quantize(
    graph: &mut GraphProto,
    vectors: Vec<String>,
    ranges: &BTreeMap<String, Range>,
) {
    let outputs: Vec<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    let nodes = std::mem::take(&mut graph.node);
    let mut exact = vectors;
    for node in nodes.iter().rev() {
        let output = &node.output[0];
        if carries(node) && exact.contains(output) {
            exact.push(node.input[0].clone());
        }
        if node.op_type == "Sigmoid" && outputs.contains(output) {
            exact.push(output.clone());
        }
    }
    let constants = std::mem::take(&mut graph.initializer);
    let constants: BTreeMap<_, _> = constants.into_iter().map(|c| (c.name.clone(), c)).collect();
    let mut made = BTreeMap::new();
    let (making, nodes): (Vec<NodeProto>, Vec<NodeProto>) = nodes.into_iter().partition(|node| {
        let source = made.get(&node.input[0]).unwrap_or(&node.input[0]).clone();
        let makes = constants.contains_key(&source);
        if makes {
            made.insert(node.output[0].clone(), source);
        }
        makes
    });
    graph.node = making;
    let mut rewriter =
        Rewriter { constants, made, graph, ranges: ranges.clone(), rounded: BTreeMap::new() };
    let wide: Vec<bool> = nodes.iter().map(|node| rewriter.is_wide(node)).collect();
    let inputs: Vec<String> = rewriter.graph.input.iter().map(|i| i.name.clone()).collect();
    for input in inputs.into_iter().filter(|input| feeds_wide(&nodes, &wide, input)) {
        let range = rewriter.ranges[&input];
        let rounded = format!("{input}.r");
        rewriter.round(&input, &rounded, range);
        rewriter.rounded.insert(input, rounded);
    }
    // What a `Relu` gives that an engine makes part of the layer before.
    let mut activates = vec![];
    for (place, node) in nodes.iter().enumerate() {
        let output = &node.output[0];
        let mut readers = nodes[place + 1..].iter().filter(|n| n.input.contains(output));
        let fused = wide[place]
            && readers.next().is_some_and(|reader| reader.op_type == "Relu")
            && readers.next().is_none();
        let in_integers = wide[place] || rewriter.continues(node) || activates.contains(output);
        let rounds = in_integers || feeds_wide(&nodes, &wide, output);
        let rounds = rounds && !fused && !exact.contains(output);
        if fused {
            let relu = nodes[place + 1..].iter().find(|n| n.input.contains(output));
            activates.extend(relu.map(|relu| relu.output[0].clone()));
        }
        rewriter.node(node, wide[place], rounds, outputs.contains(output));
    }
    let Rewriter { constants, graph, .. } = rewriter;
    graph.initializer.extend(constants.into_values());
}

fn affine(node: &NodeProto) -> bool {
    matches!(&*node.op_type, "Conv" | "ConvTranspose" | "Gemm")
}

/// Whether a tensor reaches a layer that is computed in integers, as it is or joined to others.
fn feeds_wide(nodes: &[NodeProto], wide: &[bool], tensor: &str) -> bool {
    nodes.iter().zip(wide).any(|(node, &is_wide)| {
        let reads = node.input.first().is_some_and(|input| input == tensor)
            || node.op_type == "Concat" && node.input.iter().any(|input| input == tensor);
        let on = carries(node) || matches!(&*node.op_type, "Concat" | "AveragePool" | "Resize");
        reads && (is_wide || on && feeds_wide(nodes, wide, &node.output[0]))
    })
}

fn carries(node: &NodeProto) -> bool {
    CARRIERS.contains(&&*node.op_type)
}

struct Rewriter<'a> {
    graph: &'a mut GraphProto,
    /// The constants that are still as they were.
    constants: BTreeMap<String, TensorProto>,
    /// Tensors that nodes make of a constant by moving its values, and that constant.
    made: BTreeMap<String, String>,
    ranges: BTreeMap<String, Range>,
    /// Tensors and the name under which they can be read in eight bits.
    rounded: BTreeMap<String, String>,
}

impl Rewriter<'_> {
    /// Whether a layer is worth computing in integers: a dense one with inputs enough to fill a vector
    /// register, or a convolution with channels enough on both sides.
    fn is_wide(&self, node: &NodeProto) -> bool {
        let sides = match &*node.op_type {
            "Gemm" => 1,
            "Conv" => 2,
            _ => return false,
        };
        let weight = &node.input[1];
        let dims = &self.constants[self.made.get(weight).unwrap_or(weight)].dims;
        dims[..sides].iter().all(|&channels| channels >= LEAST_CHANNELS as i64)
    }

    /// Whether a node hands on what was rounded already, so that integers stay integers.
    fn continues(&self, node: &NodeProto) -> bool {
        carries(node) && self.rounded.contains_key(&node.input[0])
    }

    /// Appends a node that reads rounded tensors and weights, and rounds what it gives.
    fn node(&mut self, node: &NodeProto, wide: bool, rounds: bool, is_output: bool) {
        let mut node = node.clone();
        if affine(&node) {
            self.weights(&node, wide);
        }
        let input = node.input[0].clone();
        for wire in &mut node.input {
            if let Some(rounded) = self.rounded.get(wire) {
                rounded.clone_into(wire);
            }
        }
        let output = node.output[0].clone();
        let carried = carries(&node) && self.rounded.contains_key(&input);
        let range = if carried { self.ranges[&input] } else { self.ranges[&output] };
        self.ranges.insert(output.clone(), range);
        if !rounds {
            self.graph.node.push(node);
            return;
        }
        // A graph's output keeps its name, and is the rounded tensor.
        let (plain, rounded) = match is_output {
            true => (format!("{output}.x"), output.clone()),
            false => (output.clone(), format!("{output}.r")),
        };
        node.output = vec![plain.clone()];
        self.graph.node.push(node);
        self.round(&plain, &rounded, range);
        self.rounded.insert(output, rounded);
    }

    /// Appends the pair that rounds a tensor to eight bits.
    fn round(&mut self, from: &str, to: &str, range: Range) {
        let [scale, zero, stored] = ["s", "z", "q"].map(|part| format!("{to}.{part}"));
        self.graph.initializer.push(floats_tensor(&scale, &[], &[range.scale()]));
        let zero_point = vec![range.zero_point()];
        self.graph.initializer.push(tensor(&zero, &[], DataType::Uint8, zero_point));
        let input = |from: &str| vec![from.to_owned(), scale.clone(), zero.clone()];
        self.make("QuantizeLinear", input(from), &stored, vec![]);
        self.make("DequantizeLinear", input(&stored), to, vec![]);
    }

    /// Stores a layer's weight in eight bits. The bias of one that is computed in integers gets
    /// thirty-two, in the unit of the products that it is added to. That of a dense layer which is
    /// not, as heavy as the weights of its few inputs, gets eight; a convolution's stays as it is.
    fn weights(&mut self, node: &NodeProto, wide: bool) {
        let mut take = |name: &String| {
            let name = self.made.get(name).unwrap_or(name);
            self.constants.remove(name).expect("every layer has weights of its own")
        };
        let weight = take(&node.input[1]);
        let bias = node.input.get(2).filter(|_| wide).map(take);
        // A convolution's weight is [out, in, …], that of other layers, and of phases, [in, out, …].
        let phases = self.phases(node, &weight);
        let axis = usize::from(node.op_type != "Conv" || phases.is_some());
        let dims: Vec<usize> = weight.dims.iter().map(|&d| d as usize).collect();
        let values = floats(&weight);
        let inner: usize = dims[axis + 1..].iter().product();
        let fan_in = values.len() / dims[axis];
        let channels = if fan_in < LEAST_FAN_IN { 1 } else { dims[axis] };
        let channel = |i: usize| i / inner % dims[axis] % channels;
        let biases = bias.as_ref().map(floats).unwrap_or_default();
        let input = self.ranges[&node.input[0]].scale();
        // Fine enough for the weights, and coarse enough for the bias to fit its thirty-two bits.
        let mut scales = vec![0.0_f32; channels];
        for (i, v) in values.iter().enumerate() {
            let scale = &mut scales[channel(i)];
            *scale = scale.max(v.abs() / LARGEST_WEIGHT);
        }
        for (i, v) in biases.iter().enumerate() {
            let scale = &mut scales[i % channels];
            *scale = scale.max(v.abs() / (input * (1 << 30) as f32));
        }
        scales.iter_mut().filter(|scale| **scale == 0.0).for_each(|scale| *scale = 1.0);

        let eight = |(i, v): (usize, &f32)| (v / scales[channel(i)]).round() as i8;
        let bytes = values.iter().enumerate().flat_map(|value| eight(value).to_le_bytes());
        let stored = tensor(&weight.name, &dims, DataType::Int8, bytes.collect());
        self.graph.initializer.push(stored);
        let scale = self.scales(&node.input[1], &scales, phases.unwrap_or(1));
        let axis = if phases.is_some() { 0 } else { axis };
        let axis = (channels > 1).then_some(axis);
        let zero = (node.op_type == "Gemm").then_some(channels);
        self.widen(&node.input[1], &scale, zero, axis);
        if let (false, "Gemm", Some(bias)) = (wide, &*node.op_type, node.input.get(2)) {
            self.bias_in_eight_bits(bias);
        }
        if let Some(bias) = bias {
            let units: Vec<f32> = scales.iter().map(|scale| scale * input).collect();
            let thirty_two = |(i, b): (usize, &f32)| (b / units[i % channels]).round() as i32;
            let bytes = biases.iter().enumerate().flat_map(|value| thirty_two(value).to_le_bytes());
            let stored = tensor(&bias.name, &[biases.len()], DataType::Int32, bytes.collect());
            self.graph.initializer.push(stored);
            let input = format!("{}.s", self.rounded[&node.input[0]]);
            let unit = format!("{}.r.s", node.input[2]);
            self.make("Mul", vec![scale, input], &unit, vec![]);
            self.widen(&node.input[2], &unit, None, axis.map(|_| 0));
        }
    }

    fn bias_in_eight_bits(&mut self, name: &str) {
        let bias = self.constants.remove(name).expect("every layer has a bias of its own");
        let values = floats(&bias);
        let largest = values.iter().fold(0.0_f32, |largest, v| largest.max(v.abs()));
        let scale = if largest > 0.0 { largest / f32::from(i8::MAX) } else { 1.0 };
        let bytes = values.iter().flat_map(|v| ((v / scale).round() as i8).to_le_bytes());
        let stored = tensor(name, &[values.len()], DataType::Int8, bytes.collect());
        self.graph.initializer.push(stored);
        let scale = self.scales(name, &[scale], 1);
        self.widen(name, &scale, None, None);
    }

    /// How many channels there are for one of the taps that a layer's weight is made of; nothing
    /// for one that is a constant itself.
    fn phases(&self, node: &NodeProto, taps: &TensorProto) -> Option<usize> {
        let maker = self.graph.node.iter().find(|maker| maker.output[0] == node.input[1])?;
        let shape = &self.constants[&maker.input[1]];
        Some((integers(shape)[0] / taps.dims[1]) as usize)
    }

    /// Appends a weight's scales, the same for every phase, and gives their name.
    fn scales(&mut self, weight: &str, scales: &[f32], phases: usize) -> String {
        let for_all = scales.len() == 1;
        let name = format!("{weight}.r.s");
        let dims: &[usize] = if for_all { &[] } else { &[scales.len()] };
        if for_all || phases == 1 {
            self.graph.initializer.push(floats_tensor(&name, dims, scales));
            return name;
        }
        let one = format!("{weight}.s");
        self.graph.initializer.push(floats_tensor(&one, dims, scales));
        self.make("Concat", vec![one; phases], &name, vec![int("axis", 0)]);
        name
    }

    /// Appends the node that turns the integers of `name` into `f32`. Dense layers get the zero
    /// points, although they are ONNX's default: ONNX Runtime finds no integer form without.
    fn widen(&mut self, name: &str, scale: &str, zeros: Option<usize>, axis: Option<usize>) {
        let rounded = format!("{name}.r");
        let mut input = vec![name.to_owned(), scale.to_owned()];
        if let Some(count) = zeros {
            let zero = format!("{rounded}.z");
            let dims: &[usize] = if axis.is_some() { &[count] } else { &[] };
            self.graph.initializer.push(tensor(&zero, dims, DataType::Int8, vec![0; count]));
            input.push(zero);
        }
        let attribute = axis.map(|axis| int("axis", axis)).into_iter().collect();
        self.make("DequantizeLinear", input, &rounded, attribute);
        self.rounded.insert(name.to_owned(), rounded);
    }

    fn make(
        &mut self,
        operator: &str,
        input: Vec<String>,
        output: &str,
        attribute: Vec<AttributeProto>,
    ) {
        self.graph.node.push(NodeProto {
            op_type: operator.into(),
            name: output.into(),
            input,
            output: vec![output.into()],
            attribute,
            ..NodeProto::default()
        });
    }
}
