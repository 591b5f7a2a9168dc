//! Numbers that are stored as integers and a scale.

use ndarray::{ArrayD, Axis};

use super::{Constant, Constants};
use crate::graph::{Node, NodeProto};

/// Integers from -128 to 127, and what one of them is worth.
#[derive(Debug, Clone)]
pub(in super::super) struct Quantized {
    pub(in super::super) integers: ArrayD<f32>,
    /// One for all, or one for every place of an axis.
    pub(in super::super) scale: Vec<f32>,
    pub(in super::super) axis: usize,
}

impl Constants {
    /// `(x - zero point) scale` of a stored tensor: of integers and floating-point numbers.
    pub(super) fn dequantize(&self, proto: &NodeProto, node: &Node) -> Result<Constant, String> {
        if node.int("block_size", 0) != 0 {
            return Err("has scales for blocks".into());
        }
        let stored = self.input(proto, 0)?;
        let scale: Vec<f32> = self.input(proto, 1)?.values.iter().copied().collect();
        let zeros: Vec<f32> = match proto.input.get(2).filter(|name| !name.is_empty()) {
            Some(_) => self.input(proto, 2)?.values.iter().copied().collect(),
            None => vec![0.0; scale.len()],
        };
        let rank = stored.values.ndim();
        let axis = if scale.len() == 1 { 0 } else { node.axis("axis", 1, rank)? };
        let fits = scale.len() == 1 || stored.values.len_of(Axis(axis)) == scale.len();
        if !fits || zeros.len() != scale.len() {
            return Err(format!("has {} scales and {} zero points", scale.len(), zeros.len()));
        }
        let mut integers = stored.values.clone();
        if scale.len() == 1 {
            integers -= zeros[0];
        } else {
            let channels = integers.axis_iter_mut(Axis(axis)).zip(&zeros);
            channels.for_each(|(mut channel, zero)| channel -= *zero);
        }
        let mut values = integers.clone();
        if scale.len() == 1 {
            values *= scale[0];
        } else {
            let channels = values.axis_iter_mut(Axis(axis)).zip(&scale);
            channels.for_each(|(mut channel, scale)| channel *= *scale);
        }
        let bytes = integers.iter().all(|&integer| (-128.0..=127.0).contains(&integer));
        let quantized = bytes.then_some(Quantized { integers, scale, axis });
        Ok(Constant { quantized, ..Constant::plain(values) })
    }
}
