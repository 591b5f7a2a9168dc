//! Small graphs, written operator by operator.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// `name[batch, …]`, with a batch of any size where that is 0.
pub(crate) fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dim = shape.iter().map(|&size| {
        let value = match size {
            0 => dimension::Value::DimParam("N".into()),
            size => dimension::Value::DimValue(size),
        };
        Dimension { value: Some(value), ..Dimension::default() }
    });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    let tensor = type_proto::Value::TensorType(type_proto::Tensor { elem_type: 1, shape });
    let kind = TypeProto { value: Some(tensor), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(kind), ..ValueInfoProto::default() }
}

pub(crate) fn ints(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: 7,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// Weights that differ from each other and are small.
pub(crate) fn floats(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>();
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        float_data: (0..count).map(|i| ((i * 7 % 11) as f32 - 5.0) / 20.0).collect(),
        ..TensorProto::default()
    }
}

/// `Operator a b -> c d`, with integer attributes after the name as `Operator:axis=1`.
pub(crate) fn node(text: &str) -> NodeProto {
    let (left, right) = text.split_once(" -> ").expect("the test's own notation");
    let mut left = left.split(' ');
    let mut operator = left.next().expect("an operator").split(':');
    let op_type = operator.next().expect("an operator").to_owned();
    let attribute = operator.map(|attribute| {
        let (name, value) = attribute.split_once('=').expect("name=value");
        AttributeProto {
            name: name.into(),
            r#type: AttributeType::Int as i32,
            i: value.parse().expect("a number"),
            ..AttributeProto::default()
        }
    });
    NodeProto {
        op_type,
        attribute: attribute.collect(),
        // `_` is an input that is left out.
        input: left.map(|name| if name == "_" { String::new() } else { name.into() }).collect(),
        output: right.split(' ').map(Into::into).collect(),
        ..NodeProto::default()
    }
}

pub(crate) fn model(
    inputs: &[(&str, &[i64])],
    outputs: &[(&str, &[i64])],
    weights: Vec<TensorProto>,
    nodes: &[&str],
) -> ModelProto {
    let values = |ports: &[(&str, &[i64])]| ports.iter().map(|(n, s)| value(n, s)).collect();
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        producer_name: "by hand".into(),
        graph: Some(GraphProto {
            input: values(inputs),
            output: values(outputs),
            initializer: weights,
            node: nodes.iter().map(|text| node(text)).collect(),
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

/// From images of 4x2 to two heads of 2; the last operators are the test's.
pub(crate) fn encoder(outputs: &[(&str, &[i64])], last: &[&str]) -> ModelProto {
    let start = ["Flatten:axis=1 x -> flat", "MatMul flat w -> a", "MatMul flat v -> b"];
    let weights = vec![floats("w", &[8, 2]), floats("v", &[8, 2])];
    model(&[("x", &[0, 1, 2, 4])], outputs, weights, &[&start, last].concat())
}

pub(crate) fn decoder() -> ModelProto {
    let weights = vec![floats("w", &[2, 8]), ints("shape", &[-1, 1, 2, 4])];
    let nodes = ["MatMul z w -> flat", "Reshape flat shape -> y"];
    model(&[("z", &[0, 2])], &[("y", &[0, 1, 2, 4])], weights, &nodes)
}
