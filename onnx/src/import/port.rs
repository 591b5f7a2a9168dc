//! The inputs and outputs that a foreign graph declares.

use std::fmt;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::{ValueInfoProto, type_proto};

/// An input or output of a graph, as it declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: String,
    /// Whether its elements are `f32`.
    float: bool,
    /// The size of every axis, the batch's too, where it is a number; absent where no shape is declared.
    shape: Option<Vec<Option<usize>>>,
}

impl Port {
    pub(crate) fn of(value: &ValueInfoProto) -> Self {
        let tensor = match value.r#type.as_ref().and_then(|t| t.value.as_ref()) {
            Some(type_proto::Value::TensorType(tensor)) => Some(tensor),
            _ => None,
        };
        let size = |value: &Option<Value>| match value {
            Some(Value::DimValue(size)) => usize::try_from(*size).ok().filter(|&size| size > 0),
            _ => None,
        };
        let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
        Self {
            name: value.name.clone(),
            float: tensor.is_some_and(|tensor| tensor.elem_type == DataType::Float as i32),
            shape: shape.map(|shape| shape.dim.iter().map(|dim| size(&dim.value)).collect()),
        }
    }

    /// The size of the batch axis, where it is fixed.
    pub(crate) fn batch(&self) -> Option<usize> {
        self.shape.as_ref()?.first().copied().flatten()
    }

    /// The sizes of the other axes; none where there is no shape.
    pub(crate) fn dims(&self) -> &[Option<usize>] {
        self.shape.as_ref().and_then(|shape| shape.get(1..)).unwrap_or_default()
    }

    /// The number of elements of one example, where it is known.
    pub(crate) fn size(&self) -> Option<usize> {
        let dims = Some(self.dims()).filter(|dims| !dims.is_empty())?;
        dims.iter().try_fold(1_usize, |size, dim| size.checked_mul((*dim)?))
    }

    /// Checks that it is made of `f32` and has a batch axis and one more.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.float {
            return Err(format!("`{}` is not a tensor of f32", self.name));
        }
        match &self.shape {
            None => Err(format!("`{}` declares no shape", self.name)),
            Some(shape) if shape.len() < 2 => {
                Err(format!("{self} has no batch axis in front of its values"))
            }
            Some(_) => Ok(()),
        }
    }
}

/// `` `x` [batch, 1, 28, 28] ``, with `?` for a size that is not declared.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(shape) = &self.shape else { return write!(f, "`{}` [?]", self.name) };
        let axes = shape.iter().enumerate().map(|(axis, size)| match (axis, size) {
            (_, Some(size)) => size.to_string(),
            (0, None) => "batch".to_owned(),
            (_, None) => "?".to_owned(),
        });
        write!(f, "`{}` [{}]", self.name, axes.collect::<Vec<_>>().join(", "))
    }
}

/// Ports in one line, or `nothing`.
pub(crate) fn list<'a>(ports: impl IntoIterator<Item = &'a Port>) -> String {
    let ports: Vec<_> = ports.into_iter().map(Port::to_string).collect();
    if ports.is_empty() { "nothing".to_owned() } else { ports.join(", ") }
}
