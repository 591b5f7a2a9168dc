//! A batch axis that an export has fixed, opened.

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

use crate::proto::{int, ints_tensor};

/// Replaces every batch size that is written into an operator by one that follows the data, and
/// gives the number of operators that were changed.
///
/// Those are reshapes to a constant shape that begins with the batch size, and resizes to
/// constant sizes that do. Whether the result is still the same function is for the gate to say.
pub(super) fn open(graph: &mut GraphProto, batch: usize) -> usize {
    let constants = integers(graph);
    let fed = fed(graph);
    let mut changed = 0;
    let mut nodes = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        let sizes = match node.op_type.as_str() {
            "Reshape" => node.input.get(1),
            "Resize" => node.input.get(3),
            _ => None,
        };
        let sizes = sizes.and_then(|name| constants.get(name));
        let begins = sizes.filter(|sizes| sizes.first() == i64::try_from(batch).ok().as_ref());
        if let Some([_, rest @ ..]) = begins.map(Vec::as_slice)
            && node.input.first().is_some_and(|input| fed.contains(input))
        {
            let place = format!("open_batch.{changed}");
            let opened = match node.op_type.as_str() {
                "Reshape" => reshape(&mut node, rest, &place, &mut graph.initializer),
                _ => resize(&mut node, rest, &place, &mut graph.initializer, &mut nodes),
            };
            changed += usize::from(opened);
        }
        nodes.push(node);
    }
    graph.node = nodes;
    changed
}

/// Lets a reshape's first axis be what the others leave, or, where another one is that, what it
/// was.
fn reshape(
    node: &mut NodeProto,
    rest: &[i64],
    place: &str,
    constants: &mut Vec<TensorProto>,
) -> bool {
    let zero_is_a_size = |a: &AttributeProto| a.name == "allowzero" && a.i == 1;
    if rest.contains(&0) && node.attribute.iter().any(zero_is_a_size) {
        return false;
    }
    node.attribute.retain(|attribute| attribute.name != "allowzero");
    let first = if rest.contains(&-1) { 0 } else { -1 };
    constants.push(ints_tensor(place, &[&[first], rest].concat()));
    node.input[1] = place.to_owned();
    true
}

/// Takes a resize's first size from the tensor that it resizes.
fn resize(
    node: &mut NodeProto,
    rest: &[i64],
    place: &str,
    constants: &mut Vec<TensorProto>,
    nodes: &mut Vec<NodeProto>,
) -> bool {
    if node.attribute.iter().any(|attribute| attribute.name == "axes") {
        return false;
    }
    let name = |part: &str| format!("{place}.{part}");
    constants.push(ints_tensor(&name("first"), &[0]));
    constants.push(ints_tensor(&name("rest"), rest));
    let step = |operator: &str, inputs: [String; 2], attribute: Vec<_>, output: String| NodeProto {
        op_type: operator.into(),
        name: output.clone(),
        input: inputs.into_iter().filter(|input| !input.is_empty()).collect(),
        output: vec![output],
        attribute,
        ..NodeProto::default()
    };
    let shape = [node.input[0].clone(), String::new()];
    nodes.push(step("Shape", shape, vec![], name("shape")));
    let batch = [name("shape"), name("first")];
    nodes.push(step("Gather", batch, vec![int("axis", 0)], name("batch")));
    let sizes = [name("batch"), name("rest")];
    nodes.push(step("Concat", sizes, vec![int("axis", 0)], name("sizes")));
    node.input[3] = name("sizes");
    true
}

/// The integer constants of a graph by name.
fn integers(graph: &GraphProto) -> BTreeMap<String, Vec<i64>> {
    let stored = graph.initializer.iter().map(|tensor| (&tensor.name, values(tensor)));
    let constants = graph.node.iter().filter(|node| node.op_type == "Constant");
    let constants = constants.filter_map(|node| {
        let attribute = node.attribute.first()?;
        let values = match attribute.name.as_str() {
            "value" => values(attribute.t.as_ref()?),
            "value_ints" => Some(attribute.ints.clone()),
            _ => None,
        };
        Some((node.output.first()?, values))
    });
    stored.chain(constants).filter_map(|(name, values)| Some((name.clone(), values?))).collect()
}

/// The values of a tensor of `i64`.
fn values(tensor: &TensorProto) -> Option<Vec<i64>> {
    if tensor.data_type != DataType::Int64 as i32 {
        return None;
    }
    let (raw, _) = tensor.raw_data.as_chunks::<8>();
    let raw = raw.iter().map(|&bytes| i64::from_le_bytes(bytes));
    Some(tensor.int64_data.iter().copied().chain(raw).collect())
}

/// The tensors that are computed from the values of the graph's inputs, and not from their shapes
/// alone.
fn fed(graph: &GraphProto) -> BTreeSet<String> {
    let stored = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let inputs = graph.input.iter().map(|value| value.name.clone());
    let mut fed: BTreeSet<String> = inputs.filter(|name| !stored(name)).collect();
    for node in graph.node.iter().filter(|node| node.op_type != "Shape") {
        if node.input.iter().any(|input| fed.contains(input)) {
            fed.extend(node.output.iter().cloned());
        }
    }
    fed
}
