//! Weights, and arithmetic, in IEEE 754 half precision.

use std::collections::{BTreeMap, BTreeSet};

use half::f16;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto};

use crate::proto::{floats, int, tensor};

/// Stores the weights in half precision; the first use of each widens it to `f32`, which engines do
/// once, when they load the graph.
///
/// # Errors
///
/// The name of a weight that half precision cannot hold.
pub(super) fn store(graph: &mut GraphProto) -> Result<(), String> {
    let narrowed = narrow(graph)?;
    let casts = narrowed.iter().map(|name| cast(&halved(name), name, DataType::Float));
    graph.node.splice(0..0, casts.collect::<Vec<_>>());
    for weight in graph.initializer.iter_mut().filter(|w| narrowed.contains(&w.name)) {
        weight.name = halved(&weight.name);
    }
    Ok(())
}

/// Stores and computes in half precision, between inputs and outputs of `f32`.
///
/// # Errors
///
/// As [`store`].
pub(super) fn compute(graph: &mut GraphProto) -> Result<(), String> {
    narrow(graph)?;
    let names = |values: &[tract_onnx::pb::ValueInfoProto]| -> BTreeMap<String, String> {
        values.iter().map(|v| (v.name.clone(), halved(&v.name))).collect()
    };
    let (inputs, outputs) = (names(&graph.input), names(&graph.output));
    for node in &mut graph.node {
        for wire in node.input.iter_mut().chain(&mut node.output) {
            if let Some(half) = inputs.get(wire).or_else(|| outputs.get(wire)) {
                half.clone_into(wire);
            }
        }
    }
    let narrowing = inputs.iter().map(|(full, half)| cast(full, half, DataType::Float16));
    graph.node.splice(0..0, narrowing.collect::<Vec<_>>());
    graph.node.extend(outputs.iter().map(|(full, half)| cast(half, full, DataType::Float)));
    Ok(())
}

/// Rounds the weights, and gives their names. A resizing's scales stay as they are: ONNX has them
/// in `f32` only.
fn narrow(graph: &mut GraphProto) -> Result<BTreeSet<String>, String> {
    let resizings = graph.node.iter().filter(|node| node.op_type == "Resize");
    let scales: BTreeSet<String> = resizings.flat_map(|node| node.input[1..].to_vec()).collect();
    let mut narrowed = BTreeSet::new();
    for weight in &mut graph.initializer {
        if weight.data_type != DataType::Float as i32 || scales.contains(&weight.name) {
            continue;
        }
        let values: Vec<f16> = floats(weight).into_iter().map(f16::from_f32).collect();
        if values.iter().any(|v| !v.is_finite()) {
            return Err(weight.name.clone());
        }
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let dims: Vec<usize> = weight.dims.iter().map(|&d| d as usize).collect();
        *weight = tensor(&weight.name, &dims, DataType::Float16, bytes);
        narrowed.insert(weight.name.clone());
    }
    Ok(narrowed)
}

fn cast(from: &str, to: &str, data_type: DataType) -> NodeProto {
    NodeProto {
        op_type: "Cast".into(),
        name: format!("{to}.cast"),
        input: vec![from.into()],
        output: vec![to.into()],
        attribute: vec![int("to", data_type as usize)],
        ..NodeProto::default()
    }
}

fn halved(name: &str) -> String {
    format!("{name}.f16")
}
