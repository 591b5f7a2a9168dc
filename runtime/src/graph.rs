//! An ONNX graph, inspected before any engine sees it.
//!
//! Engines disagree about what they refuse: one accepts versions that it does not know, both run
//! weights that are not numbers, and both follow links to files outside the bundle. What this
//! module accepts is the same for every engine.

mod cost;
mod divisor;
mod element;
#[cfg(test)]
mod example;
mod outputs;
mod proto;
mod shape;
mod tensor;

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;

use bytes::Bytes;
use prost::Message;

use crate::Error;
use crate::manifest::{GraphSpec, TensorSpec};
pub use cost::{Cost, Work};
pub use element::Element;
pub use outputs::with_outputs;
use proto::{GraphProto, ModelProto, ValueInfoProto};
pub(crate) use proto::{NodeProto, TensorProto};
pub use shape::Fact;
pub(crate) use shape::Node;

/// The versions of ONNX's file format that are accepted.
pub const IR_VERSIONS: RangeInclusive<i64> = 7..=11;
/// The versions of ONNX's operator set that are accepted.
pub const OPSETS: RangeInclusive<i64> = 13..=23;

/// The operators that are accepted: those whose output is no larger than their inputs and
/// attributes say, and the same at every run.
const OPERATORS: &[&str] = &[
    "Abs",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Celu",
    "Clip",
    "Concat",
    "Constant",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "DequantizeLinear",
    "Div",
    "DynamicQuantizeLinear",
    "Elu",
    "Erf",
    "Exp",
    "Flatten",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "MatMul",
    "Max",
    "MaxPool",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "QuantizeLinear",
    "Reciprocal",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Resize",
    "Selu",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "ThresholdedRelu",
    "Transpose",
    "Unsqueeze",
];

/// The most numbers in a tensor of one image: 4 GiB of them, more than an image of the largest size has.
const MOST_NUMBERS: usize = 1 << 30;

/// What a graph consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Number of operators.
    pub nodes: usize,
    /// Version of the operator set.
    pub opset: i64,
    /// Whether there is a convolution among the operators.
    pub convolutional: bool,
}

/// Checks that a file is an ONNX graph with the signature that its manifest declares, and that
/// nothing in it is out of the supported range.
///
/// # Errors
///
/// [`Error::Graph`] with the name given by `graph`.
pub fn inspect(graph: &'static str, onnx: &[u8], spec: &GraphSpec) -> Result<Summary, Error> {
    parse(graph, &Bytes::copy_from_slice(onnx), spec).map(|parsed| parsed.summary)
}

/// A graph that [`inspect`] accepts. Its weights stay where they are in the file.
pub(crate) struct Parsed {
    pub(crate) graph: GraphProto,
    pub(crate) summary: Summary,
}

pub(crate) fn parse(graph: &'static str, onnx: &Bytes, spec: &GraphSpec) -> Result<Parsed, Error> {
    checked(onnx, spec).map_err(|reason| Error::Graph { graph, reason })
}

/// What a graph costs, if [`inspect`] accepts it.
///
/// # Errors
///
/// As there. A graph whose shapes cannot be followed has a cost, with the reason in its `work`.
pub fn cost(graph: &'static str, onnx: &[u8], spec: &GraphSpec) -> Result<Cost, Error> {
    let Parsed { graph, summary } = parse(graph, &Bytes::copy_from_slice(onnx), spec)?;
    Ok(Cost::of(&graph, summary.opset))
}

/// The element type and the shape of every tensor of a graph that [`inspect`] accepts, by name,
/// for a given batch size.
///
/// # Errors
///
/// [`Error::Graph`] as there, and for the first operator whose result is not known before it runs.
pub fn facts(
    graph: &'static str,
    onnx: &[u8],
    spec: &GraphSpec,
    batch: usize,
) -> Result<BTreeMap<String, Fact>, Error> {
    let parsed = parse(graph, &Bytes::copy_from_slice(onnx), spec)?;
    facts_of(&parsed, batch).map_err(|reason| Error::Graph { graph, reason })
}

/// [`facts`] of a graph that was parsed.
pub(crate) fn facts_of(parsed: &Parsed, batch: usize) -> Result<BTreeMap<String, Fact>, String> {
    shape::infer(&parsed.graph, parsed.summary.opset, batch)
}

fn checked(onnx: &Bytes, spec: &GraphSpec) -> Result<Parsed, String> {
    let model =
        ModelProto::decode(onnx.clone()).map_err(|e| format!("it is not an ONNX file: {e}"))?;
    let opset = versions(&model)?;
    if let Some(function) = model.functions.first() {
        return Err(format!("it defines its own operator `{}`", function.name));
    }
    let graph = model.graph.ok_or("it is an ONNX file without a graph")?;
    let stored: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let inputs: Vec<_> = graph.input.iter().filter(|i| !stored.contains(i.name.as_str())).collect();
    signature("input", &inputs, &spec.inputs)?;
    signature("output", &graph.output.iter().collect::<Vec<_>>(), &spec.outputs)?;
    order(&graph)?;

    for tensor in &graph.initializer {
        tensor::check(tensor)?;
    }
    if !graph.sparse_initializer.is_empty() {
        return Err("it holds sparse weights".into());
    }
    for node in &graph.node {
        operator(node)?;
    }
    divisor::check(&graph)?;
    let summary = Summary {
        nodes: graph.node.len(),
        opset,
        convolutional: graph.node.iter().any(|n| n.op_type.starts_with("Conv")),
    };
    affordable(&graph, opset)?;
    Ok(Parsed { graph, summary })
}

/// Refuses tensors that no image needs, before an engine takes memory for them. Of a graph whose shapes cannot be
/// followed nothing is known.
fn affordable(graph: &GraphProto, opset: i64) -> Result<(), String> {
    let Ok(facts) = shape::infer(graph, opset, 1) else { return Ok(()) };
    let numbers = |fact: &Fact| fact.dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    match facts.iter().find(|(_, fact)| numbers(fact).is_none_or(|n| n > MOST_NUMBERS)) {
        Some((name, fact)) => Err(format!(
            "its tensor `{name}` has the shape {:?} for one image, more than {MOST_NUMBERS} numbers",
            fact.dims
        )),
        None => Ok(()),
    }
}

fn versions(model: &ModelProto) -> Result<i64, String> {
    if !IR_VERSIONS.contains(&model.ir_version) {
        let (first, last) = (IR_VERSIONS.start(), IR_VERSIONS.end());
        return Err(format!("its IR version is {}, not {first} to {last}", model.ir_version));
    }
    let mut opset = None;
    for import in &model.opset_import {
        match import.domain.as_str() {
            "" | "ai.onnx" => opset = Some(import.version),
            other => return Err(format!("it uses operators of the domain `{other}`")),
        }
    }
    match opset {
        Some(version) if OPSETS.contains(&version) => Ok(version),
        Some(version) => {
            Err(format!("its opset is {version}, not {} to {}", OPSETS.start(), OPSETS.end()))
        }
        None => Err("it does not say which opset it uses".into()),
    }
}

/// Checks names, element types and shapes in order; the batch axis must be left open.
fn signature(what: &str, got: &[&ValueInfoProto], expected: &[TensorSpec]) -> Result<(), String> {
    if !got.iter().map(|v| &v.name).eq(expected.iter().map(|v| &v.name)) {
        let got: Vec<_> = got.iter().map(|v| v.name.as_str()).collect();
        let expected: Vec<_> = expected.iter().map(|v| v.name.as_str()).collect();
        let (got, expected) = (got.join(", "), expected.join(", "));
        return Err(format!("its {what}s are [{got}] where its manifest has [{expected}]"));
    }
    for (value, spec) in got.iter().zip(expected) {
        let wrong = |reason: &str| Err(format!("its {what} `{}` {reason}", value.name));
        let Some(tensor) = value.r#type.as_ref().and_then(|t| t.tensor.as_ref()) else {
            return wrong("is not a tensor");
        };
        if Element::of(tensor.elem_type) != Ok(Element::F32) {
            return wrong(&format!("is not f32 (ONNX element type {})", tensor.elem_type));
        }
        let Some(shape) = &tensor.shape else { return wrong("has no shape") };
        let axes: Vec<String> = shape
            .dim
            .iter()
            .map(|d| {
                d.value.map_or_else(|| d.name.clone().unwrap_or("?".into()), |v| v.to_string())
            })
            .collect();
        let sizes = shape.dim.iter().skip(1).map(|d| usize::try_from(d.value.unwrap_or(-1)).ok());
        if shape.dim.is_empty() || !sizes.eq(spec.shape.iter().map(|&d| Some(d))) {
            let expected: Vec<_> = spec.shape.iter().map(usize::to_string).collect();
            let (got, expected) = (axes.join(", "), expected.join(", "));
            return wrong(&format!("has shape [{got}] where [batch, {expected}] belongs"));
        }
        if shape.dim[0].value.is_some() {
            return wrong(&format!("has a batch axis that is fixed at {}", axes[0]));
        }
    }
    Ok(())
}

/// Checks that every value has one origin, and that it stands before its use.
fn order(graph: &GraphProto) -> Result<(), String> {
    let mut known = HashSet::new();
    for tensor in &graph.initializer {
        if !known.insert(tensor.name.as_str()) {
            return Err(format!("it defines `{}` twice", tensor.name));
        }
    }
    known.extend(graph.input.iter().map(|i| i.name.as_str()));
    for node in &graph.node {
        for input in node.input.iter().filter(|i| !i.is_empty()) {
            if !known.contains(input.as_str()) {
                return Err(format!(
                    "{} reads `{input}`, which nothing before it gives",
                    title(node)
                ));
            }
        }
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            if !known.insert(output) {
                return Err(format!("it defines `{output}` twice"));
            }
        }
    }
    match graph.output.iter().find(|o| !known.contains(o.name.as_str())) {
        Some(output) => Err(format!("nothing gives its output `{}`", output.name)),
        None => Ok(()),
    }
}

/// Checks an operator and the tensors in its attributes.
fn operator(node: &NodeProto) -> Result<(), String> {
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return Err(format!("{} is of the domain `{}`", title(node), node.domain));
    }
    if !OPERATORS.contains(&node.op_type.as_str()) {
        return Err(format!("{} is not supported", title(node)));
    }
    for attribute in &node.attribute {
        let wrong = |reason| Err(format!("`{}` of {} {reason}", attribute.name, title(node)));
        if attribute.g.is_some() || !attribute.graphs.is_empty() {
            return wrong("holds a graph of its own");
        }
        if attribute.sparse_tensor.is_some() {
            return wrong("holds a sparse tensor");
        }
        if !attribute.f.is_finite() || attribute.floats.iter().any(|v| !v.is_finite()) {
            return wrong("is not finite");
        }
        for tensor in attribute.t.iter().chain(&attribute.tensors) {
            tensor::check(tensor)?;
        }
    }
    Ok(())
}

/// What errors call a node.
pub(crate) fn title(node: &NodeProto) -> String {
    match node.name.as_str() {
        "" => format!("operator {}", node.op_type),
        name => format!("operator {} (`{name}`)", node.op_type),
    }
}
