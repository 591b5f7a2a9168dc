//! Operators that keep the shape of their input, or the one that their inputs are broadcast to.

use super::super::element::Element;
use super::{Fact, Node};

pub(super) fn operator(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let like = |element| node.gives(element, x.dims.clone());
    let fact = match node.operator() {
        "Identity" => x.clone(),
        "Abs" | "Celu" | "Clip" | "Elu" | "Erf" | "Exp" | "Gelu" | "HardSigmoid" | "HardSwish"
        | "LeakyRelu" | "Log" | "Mish" | "Neg" | "Reciprocal" | "Relu" | "Selu" | "Sigmoid"
        | "Softmax" | "Softplus" | "Softsign" | "Sqrt" | "Tanh" | "ThresholdedRelu" => {
            like(x.element)?
        }
        "GroupNormalization" | "InstanceNormalization" | "LayerNormalization" => like(x.element)?,
        "BatchNormalization" if node.int("training_mode", 0) == 0 => like(x.element)?,
        "Add" | "Div" | "Max" | "Min" | "Mod" | "Mul" | "PRelu" | "Pow" | "Sub" | "Sum" => {
            let mut shapes = node.inputs().map(|fact| fact.dims.as_slice());
            let dims = shapes.try_fold(vec![], |all, dims| broadcast(&all, dims))?;
            node.gives(x.element, dims)?
        }
        "Cast" => {
            let element = Element::of(node.int("to", 0))?;
            // A conversion between integers and floating point may change what a shape depends on.
            let values = x.values.clone().filter(|_| element == x.element);
            like(element)?.with(values)
        }
        "QuantizeLinear" => {
            let asked = node.int("output_dtype", 0);
            like(match node.optional(2) {
                Some(zero_point) => zero_point.element,
                None if asked == 0 => Element::U8,
                None => Element::of(asked)?,
            })?
        }
        "DequantizeLinear" => like(node.input(1)?.element)?,
        "DynamicQuantizeLinear" => {
            let (scale, zero_point) =
                (node.gives(Element::F32, vec![]), node.gives(Element::U8, vec![]));
            return Ok(vec![like(Element::U8)?, scale?, zero_point?]);
        }
        _ => return Err("is not covered".into()),
    };
    Ok(vec![fact])
}

/// The shape of both tensors once every axis of size 1 is repeated to the other's size.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let size = |dims: &[usize], axis: usize| match (axis + dims.len()).checked_sub(rank) {
        Some(place) => dims[place],
        None => 1,
    };
    let sizes = (0..rank).map(|axis| match (size(a, axis), size(b, axis)) {
        (a, b) if a == b => Some(a),
        (1, size) | (size, 1) => Some(size),
        _ => None,
    });
    let sizes: Option<_> = sizes.collect();
    sizes.ok_or_else(|| format!("joins the shapes {a:?} and {b:?}"))
}
