//! What a graph costs before it is run.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::element::Element;
use super::proto::{GraphProto, NodeProto, TensorProto};
use super::shape::{Facts, Node, infer, kernel};
use super::title;

/// What a graph costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Stored values that images meet: weights, biases and running statistics of any precision.
    /// Scalars, shapes, and the scales of quantised or resized tensors are none.
    pub parameters: u64,
    /// Bytes of all stored tensors, by their element type.
    pub weights: BTreeMap<Element, u64>,
    /// The work on one image, or the reason why it is unknown, in one sentence.
    pub work: Result<Work, String>,
}

/// What the work on one image takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Work {
    /// Floating-point operations: two for every multiplication with its addition in a
    /// convolution or a matrix product, and one for every value in a pooled window. Biases,
    /// elementwise functions and normalisations are not counted.
    pub flops: u64,
    /// The largest sum, in bytes, of tensors that are needed at a time, where operators run in
    /// their order, none in the place of its input, and a tensor goes after its last reader.
    /// Weights, and what is computed from them alone, are not among them.
    pub peak: u64,
}

impl Cost {
    pub(super) fn of(graph: &GraphProto, opset: i64) -> Self {
        let work = infer(graph, opset, 1).and_then(|facts| {
            Ok(Work { flops: flops(graph, opset, &facts)?, peak: peak(graph, &facts)? })
        });
        let mut weights = BTreeMap::new();
        for tensor in stored(graph).map(|(_, tensor)| tensor) {
            if let Ok(element) = Element::of(tensor.data_type) {
                *weights.entry(element).or_default() += elements(tensor) * element.bytes() as u64;
            }
        }
        Self { parameters: parameters(graph), weights, work }
    }
}

/// The stored tensors with the names by which operators read them.
fn stored(graph: &GraphProto) -> impl Iterator<Item = (&str, &TensorProto)> {
    let constants = graph.node.iter().filter(|node| node.op_type == "Constant").flat_map(|node| {
        let name = node.output.first().map_or("", String::as_str);
        node.attribute.iter().filter_map(move |attribute| Some((name, attribute.t.as_ref()?)))
    });
    graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).chain(constants)
}

/// The number of elements of a tensor that was checked.
fn elements(tensor: &TensorProto) -> u64 {
    tensor.dims.iter().map(|&size| size as u64).product()
}

fn parameters(graph: &GraphProto) -> u64 {
    let stored: HashMap<&str, &TensorProto> = stored(graph).collect();
    // What is made of stored tensors alone, before there is an image.
    let mut constant: HashSet<&str> = stored.keys().copied().collect();
    for node in &graph.node {
        if inputs(node).all(|(_, name)| constant.contains(name)) {
            constant.extend(node.output.iter().map(String::as_str));
        }
    }
    // What becomes values that images meet, and what of it is quantised, from the last operator on.
    let (mut met, mut quantised) = (HashSet::new(), HashSet::new());
    for node in graph.node.iter().rev() {
        let any = |names: &HashSet<&str>| node.output.iter().any(|name| names.contains(&**name));
        let made = any(&constant);
        if made && !any(&met) {
            continue;
        }
        let widened = made && (node.op_type == "DequantizeLinear" || any(&quantised));
        for (place, name) in inputs(node).filter(|&(place, _)| is_value(node, place)) {
            met.insert(name);
            if widened && place == 0 {
                quantised.insert(name);
            }
        }
    }
    let floating =
        |tensor: &TensorProto| Element::of(tensor.data_type).is_ok_and(Element::is_floating);
    let trained = stored.iter().filter(|(name, tensor)| {
        let kind = floating(tensor) || quantised.contains(*name);
        kind && met.contains(*name) && !tensor.dims.is_empty()
    });
    trained.map(|(_, tensor)| elements(tensor)).sum()
}

/// What an operator reads, with the places.
fn inputs(node: &NodeProto) -> impl Iterator<Item = (usize, &str)> {
    let inputs = node.input.iter().map(String::as_str).enumerate();
    inputs.filter(|(_, name)| !name.is_empty())
}

/// Whether an input's values, and not what it says about others, are in an operator's result.
fn is_value(node: &NodeProto, place: usize) -> bool {
    let first = ["Clip", "DequantizeLinear", "Pad", "Pow", "QuantizeLinear", "Resize"];
    place == 0 || !first.contains(&&*node.op_type)
}

fn flops(graph: &GraphProto, opset: i64, facts: &Facts) -> Result<u64, String> {
    let mut flops = 0_u64;
    for proto in &graph.node {
        let output = proto.output.first().and_then(|name| facts.get(name));
        let Some(output) = output.filter(|output| !output.constant) else { continue };
        let node = Node::new(proto, opset, facts)?;
        let product = |sizes: &[usize]| sizes.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        let (each, count) = match node.operator() {
            "Conv" => (product(&node.input(1)?.dims[1..]), 2 * output.len()),
            "ConvTranspose" => (product(&node.input(1)?.dims[1..]), 2 * node.input(0)?.len()),
            "Gemm" => {
                let [rows, columns] = [0, 1].map(|axis| node.input(0).map(|a| a.dims[axis]));
                let inner = if node.int("transA", 0) == 0 { columns } else { rows };
                (Some(inner?), 2 * output.len())
            }
            "MatMul" => (node.input(0)?.dims.last().copied(), 2 * output.len()),
            "AveragePool" | "MaxPool" => (product(&kernel(&node)?), output.len()),
            "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMax" | "ReduceMean" | "ReduceSum" => {
                (Some(1), node.input(0)?.len())
            }
            _ => (Some(0), 0),
        };
        let more = each.and_then(|each| each.checked_mul(count)).map(|n| n as u64);
        let sum = more.and_then(|more| flops.checked_add(more));
        flops = sum.ok_or_else(|| format!("{} costs too much", title(proto)))?;
    }
    Ok(flops)
}

fn peak(graph: &GraphProto, facts: &Facts) -> Result<u64, String> {
    let bytes = |name: &str| match facts.get(name) {
        Some(fact) if !fact.constant && !name.is_empty() => fact.bytes() as u64,
        _ => 0,
    };
    // The place of every tensor's last reader; who takes the outputs reads them behind all.
    let mut last = HashMap::new();
    for (place, node) in graph.node.iter().enumerate() {
        last.extend(node.input.iter().map(|name| (name.as_str(), place)));
    }
    last.extend(graph.output.iter().map(|output| (output.name.as_str(), graph.node.len())));

    let too_much = "its tensors take too much".to_owned();
    let sum = |live: u64, names: &[&str]| {
        names.iter().try_fold(live, |live, name| live.checked_add(bytes(name)))
    };
    let inputs: Vec<_> = graph.input.iter().map(|input| input.name.as_str()).collect();
    let mut live = sum(0, &inputs).ok_or_else(|| too_much.clone())?;
    let mut peak = live;
    for (place, node) in graph.node.iter().enumerate() {
        let made: Vec<_> = node.output.iter().map(String::as_str).collect();
        live = sum(live, &made).ok_or_else(|| too_much.clone())?;
        peak = peak.max(live);
        let touched: HashSet<_> =
            node.input.iter().chain(&node.output).map(String::as_str).collect();
        let gone = touched.into_iter().filter(|name| last.get(name).is_none_or(|&at| at == place));
        live -= gone.map(bytes).sum::<u64>();
    }
    Ok(peak)
}

#[cfg(test)]
mod tests {
    use super::super::example::{edge, floats, graph, node, weights, zeros};
    use super::*;

    #[test]
    fn a_small_network_by_hand() {
        let network = graph(
            vec![edge("x", &[2, 8, 8])],
            vec![
                weights("w", &[4, 2, 3, 3]),
                weights("b", &[4]),
                floats("scales", &[1.0, 1.0, 2.0, 2.0]),
                weights("dense", &[256, 10]),
            ],
            vec![
                // 8x8 to 4x4
                node("Conv", "x w b", "c").ints("strides", &[2, 2]).ints("pads", &[1; 4]),
                node("Relu", "c", "r"),
                node("Resize", "r _ scales", "wide"),
                node("AveragePool", "wide", "p")
                    .ints("kernel_shape", &[2; 2])
                    .ints("strides", &[1; 2])
                    .ints("pads", &[0, 0, 1, 1]),
                node("Flatten", "p", "f").int("axis", 1),
                node("MatMul", "f dense", "y"),
            ],
            vec![edge("y", &[10]), edge("r", &[4, 4, 4])],
        );
        let cost = Cost::of(&network, 17);
        assert_eq!(cost.parameters, 4 * 2 * 9 + 4 + 2560);
        assert_eq!(cost.weights, BTreeMap::from([(Element::F32, 4 * (72 + 4 + 4 + 2560))]));
        let flops = 2 * (2 * 9) * (4 * 16) + 4 * (4 * 64) + 2 * 256 * 10;
        // The output r (64 values) waits while the pool, or Flatten, reads 256 and writes 256.
        assert_eq!(cost.work, Ok(Work { flops, peak: 4 * (64 + 256 + 256) }));
    }

    #[test]
    fn quantised_weights_are_parameters_and_their_scales_are_none() {
        let quantised = graph(
            vec![edge("x", &[8])],
            vec![
                zeros("w", (3, 1), &[8, 3]),
                weights("scale", &[3]),
                zeros("zero", (3, 1), &[3]),
                zeros("b", (6, 4), &[3]),
            ],
            vec![
                node("DequantizeLinear", "w scale zero", "v"),
                node("DequantizeLinear", "b scale", "bias"),
                node("Gemm", "x v bias", "y"),
            ],
            vec![edge("y", &[3])],
        );
        let cost = Cost::of(&quantised, 17);
        assert_eq!(cost.parameters, 8 * 3 + 3);
        let expected = [(Element::F32, 12), (Element::I32, 12), (Element::I8, 27)];
        assert_eq!(cost.weights, BTreeMap::from(expected));
        assert_eq!(cost.work, Ok(Work { flops: 2 * 8 * 3, peak: 4 * (8 + 3) }));
    }

    #[test]
    fn what_constants_are_made_into_before_images_meet_them_counts_as_they_are_stored() {
        let taps = graph(
            vec![edge("x", &[2, 4, 4])],
            vec![
                zeros("taps", (3, 1), &[2, 3, 1, 1]),
                weights("scale", &[3]),
                floats("unit", &[0.5]),
                zeros("b", (6, 4), &[3]),
                weights("unused", &[5]),
            ],
            vec![
                node("Transpose", "taps", "turned").ints("perm", &[1, 0, 2, 3]),
                node("DequantizeLinear", "turned scale", "w").int("axis", 0),
                node("Mul", "scale unit", "product"),
                node("DequantizeLinear", "b product", "bias").int("axis", 0),
                node("Identity", "unused", "nothing"),
                node("Conv", "x w bias", "y"),
            ],
            vec![edge("y", &[3, 4, 4])],
        );
        assert_eq!(Cost::of(&taps, 17).parameters, 2 * 3 + 3);
    }

    #[test]
    fn a_transposed_convolution_costs_by_its_input() {
        let deconv = graph(
            vec![edge("x", &[6, 5, 5])],
            vec![weights("w", &[6, 2, 4, 4])],
            vec![node("ConvTranspose", "x w", "y").ints("strides", &[2, 2]).ints("pads", &[1; 4])],
            vec![edge("y", &[2, 10, 10])],
        );
        let flops = 2 * (2 * 16) * (6 * 25);
        assert_eq!(Cost::of(&deconv, 17).work, Ok(Work { flops, peak: 4 * (150 + 200) }));
    }

    #[test]
    fn a_graph_that_is_not_covered_has_parameters_and_a_reason() {
        let unknown = graph(
            vec![edge("x", &[4])],
            vec![weights("w", &[4, 4])],
            vec![node("Gemm", "x w", "m"), node("Frob", "m", "y")],
            vec![edge("y", &[4])],
        );
        let cost = Cost::of(&unknown, 17);
        assert_eq!(cost.parameters, 16);
        assert_eq!(cost.work, Err("operator Frob is not covered".into()));
    }

    #[test]
    fn a_cost_beyond_all_numbers_is_a_reason() {
        let side = 1 << 26;
        let product = graph(
            vec![edge("x", &[side, side])],
            vec![],
            vec![node("MatMul", "x x", "y")],
            vec![edge("y", &[side, side])],
        );
        let reason = Cost::of(&product, 17).work.expect_err("2 * 2^78 operations");
        assert_eq!(reason, "operator MatMul costs too much");
    }
}
