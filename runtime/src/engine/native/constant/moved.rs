//! Operators that move stored numbers without changing them.

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice, concatenate};

use super::Constants;
use crate::graph::{Node, NodeProto};

/// The most numbers that are made of stored ones, so that a small graph asks for no large memory.
const MOST: usize = 1 << 26;

impl Constants {
    /// What an operator makes of stored tensors, of a shape that is known.
    pub(super) fn moved(
        &self,
        proto: &NodeProto,
        node: &Node,
        dims: &[usize],
    ) -> Result<ArrayD<f32>, String> {
        if dims.iter().product::<usize>() > MOST {
            return Err(format!("makes a constant of {dims:?}"));
        }
        let x = self.input(proto, 0)?.values.view();
        match proto.op_type.as_str() {
            "Concat" => {
                let parts: Result<Vec<ArrayViewD<f32>>, String> = (0..proto.input.len())
                    .map(|place| Ok(self.input(proto, place)?.values.view()))
                    .collect();
                let axis = node.axis("axis", 0, dims.len())?;
                concatenate(Axis(axis), &parts?).map_err(|e| e.to_string())
            }
            "Reshape" => {
                let ordered = x.as_standard_layout().into_owned();
                ordered.into_shape_with_order(IxDyn(dims)).map_err(|e| e.to_string())
            }
            "Transpose" => {
                let rank = dims.len();
                let order: Vec<usize> = match node.ints("perm") {
                    Some(order) => {
                        order.iter().map(|a| a.rem_euclid(rank as i64) as usize).collect()
                    }
                    None => (0..rank).rev().collect(),
                };
                Ok(x.permuted_axes(order).as_standard_layout().into_owned())
            }
            "Slice" => sliced(x, node, dims),
            _ => padded(x, self.padding(proto)?, node, dims),
        }
    }

    /// The number that a `Pad` puts around its input.
    fn padding(&self, proto: &NodeProto) -> Result<f32, String> {
        match proto.input.get(2).filter(|name| !name.is_empty()) {
            Some(_) => Ok(self.input(proto, 2)?.values.iter().copied().sum()),
            None => Ok(0.0),
        }
    }
}

fn sliced(x: ArrayViewD<f32>, node: &Node, dims: &[usize]) -> Result<ArrayD<f32>, String> {
    let starts = node.integers(1)?.ok_or("says not where it begins")?;
    let ones = vec![1; starts.len()];
    let steps = node.integers(4)?.unwrap_or(&ones);
    let axes = node.axes(3, dims.len())?.unwrap_or_else(|| (0..starts.len()).collect());
    let mut part = x.to_owned();
    for ((&axis, &start), &step) in axes.iter().zip(starts).zip(steps) {
        let size = part.len_of(Axis(axis)) as i64;
        let start = if start < 0 { start.saturating_add(size) } else { start };
        let start = start.clamp(0, if step < 0 { (size - 1).max(0) } else { size });
        let place = |i: usize| {
            let place = step.checked_mul(i as i64)?.checked_add(start)?;
            (0..size).contains(&place).then_some(place as usize)
        };
        let places: Option<Vec<usize>> = (0..dims[axis]).map(place).collect();
        part = part.select(Axis(axis), &places.ok_or("reads beside its input")?);
    }
    Ok(part)
}

fn padded(
    x: ArrayViewD<f32>,
    padding: f32,
    node: &Node,
    dims: &[usize],
) -> Result<ArrayD<f32>, String> {
    let pads = node.integers(1)?.ok_or("says not how much it pads")?;
    let constant = matches!(node.text("mode"), b"" | b"constant") && node.integers(3)?.is_none();
    if !constant || pads.len() != 2 * dims.len() || pads.iter().any(|&pad| pad < 0) {
        return Err("pads a constant otherwise than around it".into());
    }
    let mut padded = ArrayD::from_elem(IxDyn(dims), padding);
    let mut inner = padded.view_mut();
    for (axis, &size) in x.shape().iter().enumerate() {
        let first = pads[axis] as isize;
        inner.slice_axis_inplace(Axis(axis), Slice::from(first..first + size as isize));
    }
    inner.assign(&x);
    Ok(padded)
}
