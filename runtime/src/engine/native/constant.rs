//! What is stored in a graph, and what is computed of it before there is an image.

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};

use crate::graph::{Element, Node, NodeProto, TensorProto};

/// A stored tensor.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub(super) values: ArrayD<f32>,
    /// Whether half precision holds every number.
    pub(super) half: bool,
}

/// The stored tensors of floating-point numbers by their names.
#[derive(Default)]
pub(super) struct Constants {
    known: HashMap<String, Arc<Constant>>,
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

    /// Adds a stored tensor, if it holds floating-point numbers.
    pub(super) fn store(&mut self, name: &str, tensor: &TensorProto) -> Result<(), String> {
        let half = match Element::of(tensor.data_type)? {
            Element::F32 => false,
            Element::F16 => true,
            element if element.is_floating() => return Err(format!("holds numbers of {element}")),
            _ => return Ok(()),
        };
        let dims: Vec<usize> = tensor.dims.iter().map(|&size| size as usize).collect();
        let values = ArrayD::from_shape_vec(IxDyn(&dims), tensor.floats());
        let values = values.map_err(|_| "does not fill its shape".to_owned())?;
        self.known.insert(name.to_owned(), Arc::new(Constant { values, half }));
        Ok(())
    }

    /// Computes an operator whose inputs are all stored.
    pub(super) fn compute(&mut self, proto: &NodeProto, node: &Node) -> Result<(), String> {
        let name = proto.output.first().cloned().unwrap_or_default();
        let constant = match proto.op_type.as_str() {
            "Constant" => {
                if let Some(tensor) = proto.attribute.iter().find_map(|a| a.t.as_ref()) {
                    return self.store(&name, tensor);
                }
                let Some((values, vector)) = node.given_floats() else { return Ok(()) };
                let dims: &[usize] = if vector { &[values.len()] } else { &[] };
                let values = ArrayD::from_shape_vec(IxDyn(dims), values);
                Arc::new(Constant { values: values.map_err(|e| e.to_string())?, half: false })
            }
            "Identity" => self.input(proto, 0)?.clone(),
            "Cast" if i32::try_from(node.int("to", 0)) == Ok(Element::F32.code()) => {
                self.input(proto, 0)?.clone()
            }
            other => return Err(format!("makes a constant by {other}")),
        };
        self.known.insert(name, constant);
        Ok(())
    }
}
