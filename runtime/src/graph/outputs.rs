use prost::Message;

use super::Element;
use super::proto::{
    DimensionProto, GraphProto, ModelProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};
use crate::manifest::TensorSpec;

/// A graph that gives tensors inside it as outputs too, after its own.
///
/// Protobuf messages that stand one behind the other are one message, whose lists go on where
/// those of the first one end: <https://protobuf.dev/programming-guides/encoding/#last-one-wins>.
pub fn with_outputs(onnx: &[u8], tensors: &[TensorSpec]) -> Vec<u8> {
    let output = tensors.iter().map(value).collect();
    let graph = (!tensors.is_empty()).then(|| GraphProto { output, ..GraphProto::default() });
    let more = ModelProto { graph, ..ModelProto::default() };
    [onnx, &more.encode_to_vec()].concat()
}

/// An `f32` tensor with an open batch axis.
fn value(spec: &TensorSpec) -> ValueInfoProto {
    let batch = DimensionProto { value: None, name: Some("batch".into()) };
    let size = |&size: &usize| DimensionProto { value: Some(size as i64), name: None };
    let dim = std::iter::once(batch).chain(spec.shape.iter().map(size)).collect();
    let elem_type = Element::F32.code();
    let tensor = TensorTypeProto { elem_type, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: spec.name.clone(), r#type: Some(TypeProto { tensor: Some(tensor) }) }
}
