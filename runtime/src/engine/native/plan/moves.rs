//! Operators that move numbers without changing them.

use super::super::step::{Fill, Op};
use super::super::view::View;
use super::Planner;
use super::place::border;
use crate::graph::{Node, NodeProto};

impl<'a> Planner<'a> {
    pub(super) fn reshape(&mut self, proto: &'a NodeProto) -> Result<(), String> {
        let (view, dims) = (self.view(&proto.input[0])?, self.dims(&proto.output[0])?);
        if view.dims() == dims {
            self.views.insert(&proto.output[0], view);
            return Ok(());
        }
        let reshaped = match view.reshaped(&dims) {
            Some(reshaped) => reshaped,
            None => self.ordered(&view)?.reshaped(&dims).ok_or("changes the number of elements")?,
        };
        self.views.insert(&proto.output[0], reshaped);
        Ok(())
    }

    /// A view whose axes are one factor each, as they must be to be cut. It is copied where they are not.
    fn with_whole_axes(&mut self, view: View) -> Result<View, String> {
        match view.axes.iter().all(|axis| axis.len() == 1) {
            true => Ok(view),
            false => self.ordered(&view),
        }
    }

    pub(super) fn transpose(&mut self, proto: &'a NodeProto, node: &Node) -> Result<(), String> {
        let view = self.view(&proto.input[0])?;
        let rank = view.axes.len() + 1;
        let order: Vec<usize> = match node.ints("perm") {
            // An axis may be counted from the last.
            Some(order) => order.iter().map(|axis| axis.rem_euclid(rank as i64) as usize).collect(),
            None => (0..rank).rev().collect(),
        };
        let Some((0, order)) = order.split_first() else {
            return Err("moves the batch axis".into());
        };
        let order: Vec<usize> = order.iter().map(|axis| axis - 1).collect();
        self.views.insert(&proto.output[0], view.transposed(&order));
        Ok(())
    }

    pub(super) fn concat(&mut self, proto: &'a NodeProto) -> Result<(), String> {
        let output = proto.output[0].as_str();
        let axis = self.facts[output].dims.len();
        let axis =
            Node::new(proto, self.parsed.summary.opset, self.facts)?.axis("axis", 0, axis)?;
        let axis = axis.checked_sub(1).ok_or("joins along the batch axis")?;
        let joined = self.joined(output)?;
        let mut first = 0;
        for name in &proto.input {
            let view = self.view(name)?;
            let size = view.dims()[axis];
            let part = joined.part(axis, first, size).ok_or("joins what is no part")?;
            if (view.value, view.offset) != (part.value, part.offset) {
                self.copy(&view, &part)?;
            }
            first += size;
        }
        Ok(())
    }

    pub(super) fn slice(&mut self, proto: &'a NodeProto, node: &Node) -> Result<(), String> {
        let view = self.view(&proto.input[0])?;
        let mut view = self.with_whole_axes(view)?;
        let dims = self.dims(&proto.output[0])?;
        for (axis, start) in self.starts(proto, node)? {
            view = view.part(axis, start, dims[axis]).ok_or("cuts an axis that was joined")?;
        }
        self.views.insert(&proto.output[0], view);
        Ok(())
    }

    /// Where a slice begins, by axes without that of the batch.
    pub(super) fn starts(
        &self,
        proto: &NodeProto,
        node: &Node,
    ) -> Result<Vec<(usize, usize)>, String> {
        let dims = self.dims(&proto.input[0])?;
        let starts = node.integers(1)?.ok_or("says not where it begins")?;
        let ones = vec![1; starts.len()];
        if node.integers(4)?.unwrap_or(&ones) != ones {
            return Err("takes steps".into());
        }
        let axes: Vec<i64> = match node.integers(3)? {
            Some(axes) => axes.to_vec(),
            None => (0..starts.len() as i64).collect(),
        };
        let start = |(&start, &axis): (&i64, &i64)| {
            let axis = if axis < 0 { axis + dims.len() as i64 + 1 } else { axis } as usize;
            let axis = axis.checked_sub(1).ok_or("cuts the batch axis")?;
            let size = dims[axis] as i64;
            let start = if start < 0 { start + size } else { start };
            Ok((axis, start.clamp(0, size) as usize))
        };
        starts.iter().zip(&axes).map(start).collect()
    }

    pub(super) fn split(&mut self, proto: &'a NodeProto, node: &Node) -> Result<(), String> {
        let view = self.view(&proto.input[0])?;
        let axis = node.axis("axis", 0, view.axes.len() + 1)?;
        let axis = axis.checked_sub(1).ok_or("splits the batch axis")?;
        let view = self.with_whole_axes(view)?;
        let mut first = 0;
        for output in &proto.output {
            if output.is_empty() {
                return Err("leaves a part out".into());
            }
            let size = self.dims(output)?[axis];
            let part = view.part(axis, first, size).ok_or("splits an axis that was joined")?;
            self.views.insert(output, part);
            first += size;
        }
        Ok(())
    }

    /// Zeros around an image.
    pub(super) fn pad(&mut self, proto: &'a NodeProto, node: &Node) -> Result<(), String> {
        let view = self.view(&proto.input[0])?;
        let rank = view.axes.len() + 1;
        let zero = match proto.input.get(2).filter(|name| !name.is_empty()) {
            Some(_) => self.constants.input(proto, 2)?.values.iter().all(|&v| v == 0.0),
            None => true,
        };
        if !matches!(node.text("mode"), b"" | b"constant") || !zero || node.integers(3)?.is_some() {
            return Err("pads with other numbers than zeros".into());
        }
        let pads = node.integers(1)?.ok_or("says not how much it pads")?;
        if pads.iter().any(|&pad| pad < 0) || pads[0] != 0 || pads[rank] != 0 {
            return Err("pads by less than nothing, or the batch axis".into());
        }
        let padded = self.produce_beside(&proto.output[0], &[&view], false)?;
        let mut inner = padded.clone();
        for (axis, size) in view.dims().into_iter().enumerate() {
            let part = inner.part(axis, pads[axis + 1] as usize, size);
            inner = part.ok_or("pads an axis that was joined")?;
        }
        let around = match (view.axes.len(), inner.picture()) {
            (3, Some(_)) if pads[1] == 0 && pads[rank + 1] == 0 => {
                let sides = [pads[2], pads[3], pads[rank + 2], pads[rank + 3]];
                border(&View { halo: sides.map(|side| side as usize), ..inner.clone() })
            }
            _ => vec![padded.clone()],
        };
        self.step("zeros around".into(), Op::Fill(Fill::zeros(around)), 0);
        self.copy(&view, &inner)?;
        self.views.insert(&proto.output[0], padded);
        Ok(())
    }

    /// Enlarging by whole factors, every pixel repeated.
    pub(super) fn resize(&mut self, proto: &'a NodeProto, node: &Node) -> Result<(), String> {
        let asymmetric = node.text("coordinate_transformation_mode") == b"asymmetric"
            && node.text("nearest_mode") == b"floor";
        if !matches!(node.text("mode"), b"" | b"nearest") || !asymmetric {
            return Err("resizes otherwise than by repeating pixels".into());
        }
        if node.floats(2)?.is_some_and(|scales| scales.iter().any(|scale| scale.fract() != 0.0)) {
            return Err("resizes by other than whole factors".into());
        }
        let mut view = self.view(&proto.input[0])?;
        let dims = self.dims(&proto.output[0])?;
        for (axis, (from, to)) in view.dims().into_iter().zip(dims).enumerate() {
            if !to.is_multiple_of(from) {
                return Err(format!("makes {to} pixels of {from}"));
            }
            if to > from {
                view = view.repeated(axis, to / from);
            }
        }
        self.views.insert(&proto.output[0], view);
        Ok(())
    }

    /// Channels that become the pixels of a block, in ONNX's order `DCR`.
    pub(super) fn depth_to_space(
        &mut self,
        proto: &'a NodeProto,
        node: &Node,
    ) -> Result<(), String> {
        let view = self.view(&proto.input[0])?;
        let side = usize::try_from(node.int("blocksize", 0)).map_err(|_| "has no block")?;
        let &[channels, height, width] = &view.dims()[..] else {
            return Err("makes blocks of what is no image".into());
        };
        if !matches!(node.text("mode"), b"" | b"DCR") {
            return Err("makes blocks in another order".into());
        }
        let depth = channels / (side * side);
        let split =
            view.reshaped(&[side, side, depth, height, width]).ok_or("splits no channels")?;
        let blocks = split.transposed(&[2, 3, 0, 4, 1]);
        let dims = self.dims(&proto.output[0])?;
        let image = blocks.reshaped(&dims).ok_or("makes no blocks")?;
        self.views.insert(&proto.output[0], image);
        Ok(())
    }
}
