//! What is stored in a graph, and what is computed of it before there is an image.

mod dequantize;
mod moved;

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};

use crate::graph::{Element, Fact, Node, NodeProto, TensorProto};
pub(super) use dequantize::Quantized;

/// A stored tensor.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub(super) values: ArrayD<f32>,
    /// Whether half precision holds every number.
    pub(super) half: bool,
    /// The integers in eight bits that the numbers are multiples of, where they are such.
    pub(super) quantized: Option<Quantized>,
}

/// The stored tensors by their names: of floating-point numbers, and of integers of up to 32 bits as
/// such numbers.
#[derive(Default)]
pub(super) struct Constants {
    known: HashMap<String, Arc<Constant>>,
}

impl Constant {
    fn plain(values: ArrayD<f32>) -> Self {
        Self { values, half: false, quantized: None }
    }
}

impl Constants {
    pub(super) fn get(&self, name: &str) -> Option<&Arc<Constant>> {
        self.known.get(name)
    }

    /// A stored tensor by the place where an operator reads it.
    pub(super) fn input(&self, node: &NodeProto, place: usize) -> Result<&Arc<Constant>, String> {
        let constant = node.input.get(place).and_then(|name| self.known.get(name));
        constant.ok_or_else(|| format!("has an input {place} that is not stored"))
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.known.remove(name);
    }

    /// Adds a stored tensor, if it holds numbers that are computed with.
    pub(super) fn store(&mut self, name: &str, tensor: &TensorProto) -> Result<(), String> {
        let half = match Element::of(tensor.data_type)? {
            Element::F32 | Element::I8 | Element::U8 | Element::I32 => false,
            Element::F16 => true,
            element if element.is_floating() => return Err(format!("holds numbers of {element}")),
            _ => return Ok(()),
        };
        let dims: Vec<usize> = tensor.dims.iter().map(|&size| size as usize).collect();
        let values = ArrayD::from_shape_vec(IxDyn(&dims), tensor.floats());
        let values = values.map_err(|_| "does not fill its shape".to_owned())?;
        let constant = Constant { half, ..Constant::plain(values) };
        self.known.insert(name.to_owned(), Arc::new(constant));
        Ok(())
    }

    /// Computes an operator whose inputs are all stored. `result` is what it gives.
    pub(super) fn compute(
        &mut self,
        proto: &NodeProto,
        node: &Node,
        result: &Fact,
    ) -> Result<(), String> {
        let name = proto.output.first().cloned().unwrap_or_default();
        let to = i32::try_from(node.int("to", 0));
        let constant = match proto.op_type.as_str() {
            "Constant" => {
                if let Some(tensor) = proto.attribute.iter().find_map(|a| a.t.as_ref()) {
                    return self.store(&name, tensor);
                }
                let Some((values, vector)) = node.given_floats() else { return Ok(()) };
                let dims: &[usize] = if vector { &[values.len()] } else { &[] };
                let values = ArrayD::from_shape_vec(IxDyn(dims), values);
                Arc::new(Constant::plain(values.map_err(|e| e.to_string())?))
            }
            "Identity" => self.input(proto, 0)?.clone(),
            "Cast" if to == Ok(Element::F32.code()) => self.input(proto, 0)?.clone(),
            "DequantizeLinear" if result.element == Element::F32 => {
                Arc::new(self.dequantize(proto, node)?)
            }
            "Mul" if result.element == Element::F32 => {
                let [a, b] = [self.input(proto, 0)?, self.input(proto, 1)?].map(|c| &c.values);
                let dims = IxDyn(&result.dims);
                let sides = a.broadcast(dims.clone()).zip(b.broadcast(dims));
                let (a, b) = sides.ok_or("multiplies tensors of other shapes")?;
                Arc::new(Constant::plain(&a * &b))
            }
            "Concat" | "Pad" | "Reshape" | "Slice" | "Transpose" => {
                Arc::new(Constant::plain(self.moved(proto, node, &result.dims)?))
            }
            other => return Err(format!("makes a constant by {other}")),
        };
        self.known.insert(name, constant);
        Ok(())
    }
}
