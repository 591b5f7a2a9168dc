//! Small graphs for tests.

use super::proto::{
    AttributeProto, DimensionProto, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};

/// A tensor at a graph's edge, `f32`, with its batch axis open.
pub(super) fn edge(name: &str, sizes: &[usize]) -> ValueInfoProto {
    let batch = DimensionProto { value: None, name: Some("batch".into()) };
    let size = |&size: &usize| DimensionProto { value: Some(size as i64), name: None };
    let dim = std::iter::once(batch).chain(sizes.iter().map(size)).collect();
    let tensor = TensorTypeProto { elem_type: 1, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor: Some(tensor) }) }
}

/// A stored tensor of zeros, with ONNX's code of its type and the bytes of an element.
pub(super) fn zeros(name: &str, (code, bytes): (i32, usize), dims: &[usize]) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type: code,
        dims: dims.iter().map(|&size| size as i64).collect(),
        raw_data: vec![0; bytes * dims.iter().product::<usize>()].into(),
        ..Default::default()
    }
}

pub(super) fn weights(name: &str, dims: &[usize]) -> TensorProto {
    zeros(name, (1, 4), dims)
}

pub(super) fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type: 7,
        dims: vec![values.len() as i64],
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

pub(super) fn floats(name: &str, values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type: 1,
        dims: vec![values.len() as i64],
        float_data: values.to_vec(),
        ..Default::default()
    }
}

/// An operator; names are separated by blanks, and `_` is an input that is left out.
pub(super) fn node(operator: &str, inputs: &str, outputs: &str) -> NodeProto {
    let names = |text: &str| text.split_whitespace().map(|name| name.replace('_', "")).collect();
    NodeProto {
        op_type: operator.into(),
        input: names(inputs),
        output: names(outputs),
        ..Default::default()
    }
}

impl NodeProto {
    pub(super) fn int(mut self, name: &str, i: i64) -> Self {
        self.attribute.push(AttributeProto { name: name.into(), i, ..Default::default() });
        self
    }

    pub(super) fn ints(mut self, name: &str, ints: &[i64]) -> Self {
        let (name, ints) = (name.into(), ints.to_vec());
        self.attribute.push(AttributeProto { name, ints, ..Default::default() });
        self
    }

    pub(super) fn text(mut self, name: &str, text: &str) -> Self {
        let (name, s) = (name.into(), text.into());
        self.attribute.push(AttributeProto { name, s, ..Default::default() });
        self
    }
}

pub(super) fn graph(
    inputs: Vec<ValueInfoProto>,
    stored: Vec<TensorProto>,
    nodes: Vec<NodeProto>,
    outputs: Vec<ValueInfoProto>,
) -> GraphProto {
    GraphProto {
        node: nodes,
        initializer: stored,
        input: inputs,
        output: outputs,
        ..Default::default()
    }
}
