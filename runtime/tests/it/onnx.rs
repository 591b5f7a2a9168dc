//! ONNX graphs made for a test, and tract's opinion of their shapes.

use std::collections::BTreeMap;

use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType,
    tensor_shape_proto, type_proto,
};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

pub(crate) fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let axis = |value| Dimension { value: Some(value), ..Default::default() };
    let sizes = shape.iter().map(|&d| axis(Value::DimValue(d)));
    let dim = std::iter::once(axis(Value::DimParam("batch".into()))).chain(sizes).collect();
    let tensor = type_proto::Tensor { elem_type: 1, shape: Some(TensorShapeProto { dim }) };
    let value = Some(type_proto::Value::TensorType(tensor));
    let r#type = Some(TypeProto { value, ..Default::default() });
    ValueInfoProto { name: name.into(), r#type, ..Default::default() }
}

pub(crate) fn weights(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>();
    let raw_data = (0..count).flat_map(|i| (((i * 37 % 101) as f32 - 50.0) / 2000.0).to_le_bytes());
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        raw_data: raw_data.collect(),
        ..Default::default()
    }
}

pub(crate) fn node(operator: &str, input: &[&str], output: &str) -> NodeProto {
    let strings = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    NodeProto {
        op_type: operator.into(),
        input: strings(input),
        output: strings(&[output]),
        ..Default::default()
    }
}

pub(crate) fn model(graph: GraphProto) -> Vec<u8> {
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 17 }];
    ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..Default::default() }
        .encode_to_vec()
}

pub(crate) fn with_int(mut node: NodeProto, name: &str, i: i64) -> NodeProto {
    let r#type = AttributeType::Int as i32;
    node.attribute.push(AttributeProto { name: name.into(), i, r#type, ..Default::default() });
    node
}

pub(crate) fn with_ints(mut node: NodeProto, name: &str, ints: &[i64]) -> NodeProto {
    let (name, ints, r#type) = (name.into(), ints.to_vec(), AttributeType::Ints as i32);
    node.attribute.push(AttributeProto { name, ints, r#type, ..Default::default() });
    node
}

pub(crate) fn with_text(mut node: NodeProto, name: &str, text: &str) -> NodeProto {
    let (name, s, r#type) = (name.into(), text.into(), AttributeType::String as i32);
    node.attribute.push(AttributeProto { name, s, r#type, ..Default::default() });
    node
}

pub(crate) fn integers(name: &str, values: &[i64]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let dims = vec![values.len() as i64];
    TensorProto { name: name.into(), dims, data_type: 7, raw_data, ..Default::default() }
}

pub(crate) fn floats(name: &str, values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let dims = vec![values.len() as i64];
    TensorProto { name: name.into(), dims, data_type: 1, raw_data, ..Default::default() }
}

/// The shapes that tract infers for the operators' results at a batch of 1, by their names.
pub(crate) fn shapes_in_tract(onnx: &[u8]) -> TractResult<BTreeMap<String, Vec<usize>>> {
    let mut model = tract_onnx::onnx().model_for_read(&mut &onnx[..])?;
    for place in 0..model.inputs.len() {
        let fact = model.input_fact(place)?.clone();
        let axes = fact.shape.dims().enumerate();
        let dims: TVec<TDim> = axes
            .map(|(axis, dim)| match dim.concretize() {
                Some(dim) if axis > 0 => dim,
                _ => 1.to_dim(),
            })
            .collect();
        model.set_input_fact(place, InferenceFact::dt_shape(f32::datum_type(), dims))?;
    }
    model.analyse(false)?;
    let mut shapes = BTreeMap::new();
    for (&outlet, name) in &model.outlet_labels {
        let shape = model.outlet_fact(outlet)?.shape.concretize();
        let sizes = shape.and_then(|dims| dims.iter().map(|d| d.to_usize().ok()).collect());
        if let Some(sizes) = sizes {
            shapes.insert(name.clone(), sizes);
        }
    }
    Ok(shapes)
}
