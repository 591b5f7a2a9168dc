//! Dense layers.

use super::super::kernels::{Grid, Run};
use super::super::pack::{Form, Layer, Panels};
use super::super::step::{Affine, Part};
use super::Planner;
use super::affine::{scaled, shifted};
use crate::graph::{Node, NodeProto};

impl<'a> Planner<'a> {
    /// `x W + b`, or ONNX's `alpha A B + beta C` with a stored matrix on the right.
    pub(super) fn dense(&mut self, proto: &'a NodeProto, node: &Node) -> Result<(), String> {
        let stored = self.constants.input(proto, 1)?.clone();
        let by_columns = node.int("transB", 0) != 0;
        let &[first, second] = stored.values.shape() else {
            return Err(format!("multiplies by {:?}", stored.values.shape()));
        };
        if node.int("transA", 0) != 0 || self.facts[&proto.input[0]].dims.len() != 2 {
            return Err("multiplies no rows".into());
        }
        let (inputs, outputs) = if by_columns { (second, first) } else { (first, second) };
        let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
        let following = self.follow(proto, outputs, false, false);
        let input = self.dense_input(&proto.input[0])?;
        let bias = self.bias(proto, 2, outputs)?;
        let output = self.produce_beside(following.output, &[&input], true)?;
        let places = output.places().ok_or("gives numbers that do not lie together")?;
        let order = inverse(&input.places().ok_or("takes numbers that do not lie together")?);
        let targets = inverse(&places);
        let integers = self.integers(&proto.input[0], &stored, usize::from(!by_columns));
        let weights = integers.map_or(&stored.values, |(weights, _)| &weights.integers);
        let weights = weights.as_standard_layout();
        let weights = weights.as_slice().ok_or("has weights that are not in order")?;
        let [by_output, by_input] = if by_columns { [inputs, 1] } else { [1, outputs] };
        let firsts: Vec<usize> = targets.iter().map(|output| output * by_output).collect();
        let scale = scaled(&following.scale, integers);
        let scale: Vec<f32> = targets.iter().map(|&output| scale[output] * alpha).collect();
        let bias: Vec<f32> = bias.iter().map(|bias| bias * beta).collect();
        let bias = shifted(&bias, &following);
        let bias: Vec<f32> = targets.iter().map(|&output| bias[output]).collect();
        let runs = vec![Run { offset: 0, len: inputs }];
        let order: Vec<usize> = order.iter().map(|input| input * by_input).collect();
        let half = stored.half && scale.iter().all(|&scale| scale == 1.0);
        let layer = Layer {
            weights,
            outputs: firsts,
            inputs: order,
            scale: &scale,
            bias: &bias,
            runs: &runs,
            form: match integers {
                Some((_, rounding)) => Form::Integers { rounding, adjacent: outputs },
                None if half => Form::Halves,
                None => Form::Plain,
            },
        };
        let panels = Panels::pack(layer, self.registers);
        let grid = Grid {
            rows: 1,
            columns: 1,
            width: 1,
            input: [input.offset, self.values[input.value].len, 0],
            output: [output.offset, self.values[output.value].len, 0],
            channel: 1,
        };
        let affine = Affine {
            parts: vec![Part { panels, runs, rows: 1, first: 0, stride: 1, grid }],
            activations: following.activations.clone(),
            input: input.value,
            output: output.value,
            first: 0,
            rows: 1,
            row: 0,
            strip: 1,
            beside: 1,
            planes: 1,
            plane: 1,
            dense: true,
        };
        self.views.insert(following.output, output);
        self.affine(format!("dense {inputs} -> {outputs}"), &following, affine);
        Ok(())
    }
}

/// The logical place of what lies at every place of memory.
fn inverse(places: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; places.len()];
    for (logical, &place) in places.iter().enumerate() {
        inverse[place] = logical;
    }
    inverse
}
