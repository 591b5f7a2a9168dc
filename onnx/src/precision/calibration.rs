//! The range of every tensor of a graph, seen while real inputs run through it.

use std::collections::BTreeMap;

use ndarray::{ArrayViewD, Axis, Slice};
use prost::Message;
use tract_onnx::pb::{ModelProto, ValueInfoProto};
use tract_onnx::prelude::*;

/// The values that are kept of a tensor for one input: enough for a quantile over all of them.
const KEPT: usize = 512;
/// The shares of the observed range that are tried.
const SHARES: [f32; 15] =
    [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3];

/// The range of a tensor's values that eight bits are spread over: it holds 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    pub(crate) low: f32,
    pub(crate) high: f32,
}

impl Range {
    /// The step between two neighbouring values of eight bits.
    pub(crate) fn scale(self) -> f32 {
        let scale = (self.high - self.low) / 255.0;
        // A tensor that is always 0 needs a step too.
        if scale > 0.0 { scale } else { 1.0 }
    }

    /// The number of eight bits that stands for 0.
    pub(crate) fn zero_point(self) -> u8 {
        (-self.low / self.scale()).round().clamp(0.0, 255.0) as u8
    }

    fn squared_error(self, values: &[f32]) -> f64 {
        let (scale, zero) = (self.scale(), f32::from(self.zero_point()));
        let error = |v: f32| {
            let stored = ((v / scale).round() + zero).clamp(0.0, 255.0);
            f64::from((stored - zero) * scale - v).powi(2)
        };
        values.iter().map(|&v| error(v)).sum()
    }
}

/// What was seen of a tensor.
#[derive(Default)]
struct Seen {
    low: f32,
    high: f32,
    values: Vec<f32>,
}

impl Seen {
    fn add(&mut self, values: &[f32], place: usize) {
        for &v in values {
            (self.low, self.high) = (self.low.min(v), self.high.max(v));
        }
        // Another first value for every input, so that a step that divides a row meets every column.
        let step = values.len().div_ceil(KEPT).max(1);
        self.values.extend(values.iter().skip(place % step).step_by(step));
    }

    /// The range with the least squared error: a rare outlier is cut off where that makes the steps
    /// between all other values finer.
    fn range(&self) -> Range {
        let ranges = SHARES.map(|share| Range { low: share * self.low, high: share * self.high });
        let by_error = |a: &Range, b: &Range| {
            a.squared_error(&self.values).total_cmp(&b.squared_error(&self.values))
        };
        ranges.into_iter().min_by(by_error).expect("there are shares to try")
    }
}

/// Runs a graph on its inputs, one example at a time, and gives the range of every input and of
/// every node's output by name.
///
/// # Shapes
///
/// inputs: `[N, …]` each, in the graph's order
///
/// # Errors
///
/// What tract says, where it cannot run the graph.
pub(crate) fn ranges(
    model: &ModelProto,
    inputs: &[ArrayViewD<f32>],
) -> Result<BTreeMap<String, Range>, String> {
    let said = |e: TractError| format!("{e:#}");
    let mut open = model.clone();
    let graph = open.graph.as_mut().ok_or("there is no graph")?;
    let names: Vec<String> = graph.node.iter().flat_map(|node| node.output.clone()).collect();
    graph.output = names
        .iter()
        .map(|name| ValueInfoProto { name: name.clone(), ..ValueInfoProto::default() })
        .collect();
    let input_names: Vec<String> = graph.input.iter().map(|input| input.name.clone()).collect();
    let bytes = open.encode_to_vec();
    let mut plan = tract_onnx::onnx().model_for_read(&mut &bytes[..]).map_err(said)?;
    for (i, input) in inputs.iter().enumerate() {
        let mut shape = input.shape().to_vec();
        shape[0] = 1;
        plan.set_input_fact(i, f32::fact(&shape).into()).map_err(said)?;
    }
    let plan = plan.into_optimized().and_then(|plan| plan.into_runnable()).map_err(said)?;

    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    for place in 0..inputs.first().map_or(0, |input| input.len_of(Axis(0))) {
        let slices = inputs.iter().zip(&input_names).map(|(input, name)| {
            let example = input.slice_axis(Axis(0), Slice::from(place..=place));
            let values: Vec<f32> = example.iter().copied().collect();
            seen.entry(name.clone()).or_default().add(&values, place);
            Ok(Tensor::from_shape(example.shape(), &values)?.into_tvalue())
        });
        let slices = slices.collect::<TractResult<TVec<_>>>().map_err(said)?;
        let outputs = plan.run(slices).map_err(said)?;
        for (name, output) in names.iter().zip(outputs) {
            let output = output.to_plain_array_view::<f32>().map_err(said)?;
            let values: Vec<f32> = output.iter().copied().collect();
            seen.entry(name.clone()).or_default().add(&values, place);
        }
    }
    Ok(seen.into_iter().map(|(name, seen)| (name, seen.range())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_does_not_coarsen_the_steps_of_all_other_values() {
        let with_values = |count: usize| {
            let mut seen = Seen::default();
            let values: Vec<f32> = (0..count).map(|i| (i % 200) as f32 / 100.0).collect();
            values.chunks(KEPT).enumerate().for_each(|(place, part)| seen.add(part, place));
            seen.add(&[4.0], 0);
            seen.range()
        };
        // Half a million finer steps outweigh one value that is cut; a thousand do not.
        let (many, few) = (with_values(500_000), with_values(1000));
        assert!(many.high < 4.0 && many.high >= 1.9, "{many:?}");
        assert_eq!(few, Range { low: 0.0, high: 4.0 });
        assert_eq!(many.zero_point(), 0);
    }

    #[test]
    fn zero_is_a_number_of_eight_bits() {
        assert_eq!(Range { low: -1.0, high: 3.0 }.zero_point(), 64);
        assert_eq!(Range { low: -3.0, high: 0.0 }.zero_point(), 255);
        assert_eq!(Range { low: 0.0, high: 0.0 }.scale(), 1.0);
    }
}
