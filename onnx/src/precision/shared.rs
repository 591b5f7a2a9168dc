//! Equal constants as one: a graph in eight bits repeats its zero points and its shapes.

use std::collections::BTreeMap;

use tract_onnx::pb::{GraphProto, TensorProto};

/// Keeps the first of all constants with the same type, shape and values, and lets nodes read that
/// one.
pub(super) fn share(graph: &mut GraphProto) {
    let mut kept: Vec<TensorProto> = vec![];
    let mut names = BTreeMap::new();
    for constant in std::mem::take(&mut graph.initializer) {
        let equal = |other: &&TensorProto| {
            other.data_type == constant.data_type
                && other.dims == constant.dims
                && other.raw_data == constant.raw_data
        };
        match kept.iter().find(equal) {
            Some(first) => _ = names.insert(constant.name, first.name.clone()),
            None => kept.push(constant),
        }
    }
    graph.initializer = kept;
    for input in graph.node.iter_mut().flat_map(|node| &mut node.input) {
        if let Some(first) = names.get(input) {
            first.clone_into(input);
        }
    }
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::NodeProto;
    use tract_onnx::pb::tensor_proto::DataType;

    use super::*;
    use crate::proto::tensor;

    #[test]
    fn constants_are_one_where_type_shape_and_values_are_the_same() {
        let byte = |name: &str, dims: &[usize], data_type, value| {
            tensor(name, dims, data_type, vec![value])
        };
        let input = ["image", "first", "same", "other", "signed", "vector"];
        let mut graph = GraphProto {
            node: vec![NodeProto { input: input.map(String::from).into(), ..NodeProto::default() }],
            initializer: vec![
                byte("first", &[], DataType::Uint8, 7),
                byte("same", &[], DataType::Uint8, 7),
                byte("other", &[], DataType::Uint8, 8),
                byte("signed", &[], DataType::Int8, 7),
                byte("vector", &[1], DataType::Uint8, 7),
            ],
            ..GraphProto::default()
        };
        share(&mut graph);
        assert_eq!(graph.node[0].input, ["image", "first", "first", "other", "signed", "vector"]);
        let left: Vec<&str> = graph.initializer.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(left, ["first", "other", "signed", "vector"]);
    }
}
