//! The few protobuf values that our graphs are made of.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, StringStringEntryProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};
use vae_infer::manifest::TensorSpec;

/// The name of the batch axis in every graph.
const BATCH_AXIS: &str = "batch";

pub(crate) fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i: value as i64,
        ..AttributeProto::default()
    }
}

pub(crate) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.iter().map(|&v| v as i64).collect(),
        ..AttributeProto::default()
    }
}

pub(crate) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f: value,
        ..AttributeProto::default()
    }
}

pub(crate) fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: value.as_bytes().to_vec(),
        ..AttributeProto::default()
    }
}

pub(crate) fn floats_tensor(name: &str, dims: &[usize], values: &[f32]) -> TensorProto {
    tensor(name, dims, DataType::Float, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

pub(crate) fn ints_tensor(name: &str, values: &[i64]) -> TensorProto {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor(name, &[values.len()], DataType::Int64, bytes)
}

/// The values of a tensor that [`floats_tensor`] made.
pub(crate) fn floats(tensor: &TensorProto) -> Vec<f32> {
    let (values, _) = tensor.raw_data.as_chunks::<4>();
    values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// The values of a tensor that [`ints_tensor`] made.
pub(crate) fn integers(tensor: &TensorProto) -> Vec<i64> {
    let (values, _) = tensor.raw_data.as_chunks::<8>();
    values.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect()
}

pub(crate) fn tensor(
    name: &str,
    dims: &[usize],
    data_type: DataType,
    raw_data: Vec<u8>,
) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.iter().map(|&d| d as i64).collect(),
        data_type: data_type as i32,
        raw_data,
        ..TensorProto::default()
    }
}

/// An `f32` input or output with a dynamic leading batch axis.
pub(crate) fn value(spec: &TensorSpec) -> ValueInfoProto {
    let dimension = |value| Dimension { value: Some(value), ..Dimension::default() };
    let batch = dimension(dimension::Value::DimParam(BATCH_AXIS.into()));
    let sizes = spec.shape.iter().map(|&d| dimension(dimension::Value::DimValue(d as i64)));
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: std::iter::once(batch).chain(sizes).collect() }),
    };
    ValueInfoProto {
        name: spec.name.clone(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

pub(crate) fn entry(key: &str, value: impl ToString) -> StringStringEntryProto {
    StringStringEntryProto { key: key.into(), value: value.to_string() }
}
