//! What layers with weights have in common.

use super::super::constant::{Constant, Quantized};
use super::super::kernels::{Activation, Rounding};
use super::super::step::{Affine, Op, Part};
use super::Planner;
use super::follow::Following;
use crate::graph::NodeProto;

/// The fewest outputs, and inputs of a sum, that are worth computing in integers.
const LEAST: usize = 16;
/// The most inputs of a sum of 9 bits by 8 that surely fits 32.
const DEEPEST: usize = 1 << 16;

impl Planner<'_> {
    pub(super) fn affine(&mut self, name: String, following: &Following, affine: Affine) {
        let products = affine
            .parts
            .iter()
            .map(|Part { grid, panels, .. }| grid.rows * grid.columns * panels.products());
        let flops = 2 * products.sum::<usize>() as u64;
        let integers = affine.parts.iter().any(|part| part.panels.integers());
        let integers = if integers { " int8" } else { "" };
        let activations = following.activations.iter().map(|activation| match activation {
            Activation::Round(_) => " round".to_owned(),
            activation => format!(" {activation:?}").to_lowercase(),
        });
        let name = [name, integers.to_owned()].into_iter().chain(activations).collect();
        self.step(name, Op::Affine(affine), flops);
    }

    /// A layer's weights as integers and the rounding of its input, where sums of integers fit 32 bits and
    /// fill their vectors. `axis` is that of the outputs.
    pub(super) fn integers<'c>(
        &self,
        input: &str,
        stored: &'c Constant,
        axis: usize,
    ) -> Option<(&'c Quantized, Rounding)> {
        let rounding = *self.rounded.get(input)?;
        let quantized = stored.quantized.as_ref()?;
        let outputs = stored.values.shape()[axis];
        let depth = stored.values.len() / outputs.max(1);
        let fits = outputs >= LEAST && (LEAST..=DEEPEST).contains(&depth);
        let by_output = quantized.scale.len() == 1 || quantized.axis == axis;
        (fits && by_output).then_some((quantized, rounding))
    }

    pub(super) fn bias(
        &self,
        proto: &NodeProto,
        place: usize,
        outputs: usize,
    ) -> Result<Vec<f32>, String> {
        match proto.input.get(place).filter(|name| !name.is_empty()) {
            None => Ok(vec![0.0; outputs]),
            Some(_) => {
                let bias = &self.constants.input(proto, place)?.values;
                match bias.len() {
                    1 => Ok(vec![bias.iter().copied().sum(); outputs]),
                    n if n == outputs => Ok(bias.iter().copied().collect()),
                    n => Err(format!("adds {n} numbers to {outputs}")),
                }
            }
        }
    }
}

/// What follows a layer's sums of integers, or of plain numbers.
pub(super) fn scaled(scale: &[f32], integers: Option<(&Quantized, Rounding)>) -> Vec<f32> {
    let Some((Quantized { scale: units, .. }, _)) = integers else { return scale.to_vec() };
    let unit = |output: usize| units[output.min(units.len() - 1)];
    scale.iter().enumerate().map(|(output, scale)| scale * unit(output)).collect()
}

/// Biases behind what follows a layer.
pub(super) fn shifted(bias: &[f32], following: &Following) -> Vec<f32> {
    let scaled = bias.iter().zip(&following.scale).map(|(bias, scale)| bias * scale);
    scaled.zip(&following.shift).map(|(bias, shift)| bias + shift).collect()
}
