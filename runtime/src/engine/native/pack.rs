//! Weights in the order in which the kernels read them.

use half::f16;

use super::kernels::{Halves, Registers, Run};

/// The weights of a layer, or of one phase of it.
#[derive(Debug)]
pub(super) struct Panels {
    /// Outputs at one position.
    pub(super) outputs: usize,
    /// Inputs of a sum.
    pub(super) depth: usize,
    pub(super) weights: Weights,
    /// Zeros behind the last output fill its panel.
    pub(super) bias: Vec<f32>,
    lanes: usize,
}

/// What lies along a vector, and how wide the numbers are.
#[derive(Debug)]
pub(super) enum Weights {
    /// Outputs. A panel has the weights of two vectors of outputs, or of one at the end: for every input of
    /// a sum the weights of these outputs, side by side.
    Outputs(Aligned),
    /// Outputs, by two vectors, in half precision.
    Halves(Halves),
    /// Inputs of a sum: for every run the vectors of the first output, then those of the second, and so on,
    /// each filled up with zeros.
    Inputs(Aligned),
    /// Positions: for every input of a sum the weights of all outputs.
    Positions(Vec<f32>),
}

/// A layer's weights as they are stored, and what its sums are made of.
pub(super) struct Layer<'a> {
    pub(super) weights: &'a [f32],
    /// The place of every output's weights.
    pub(super) outputs: &'a [usize],
    /// The place among them of every input's, in the order of the sums.
    pub(super) inputs: &'a [usize],
    /// What the weights of an output are multiplied by.
    pub(super) scale: &'a [f32],
    pub(super) bias: Vec<f32>,
    pub(super) runs: &'a [Run],
    /// Whether half precision holds every weight.
    pub(super) half: bool,
    /// Whether there are positions enough in a row, and outputs few enough, for vectors of positions.
    pub(super) rows: bool,
}

impl Layer<'_> {
    fn weight(&self, output: usize, input: usize) -> f32 {
        self.weights[self.outputs[output] + self.inputs[input]] * self.scale[output]
    }

    /// The weights in half precision, where it holds them and the kernel can widen them.
    fn halves(&self, lanes: usize) -> Option<Weights> {
        if !self.half {
            return None;
        }
        let values = along_outputs(self, |_| 2 * lanes);
        let sizes = || values.iter().map(|value| value.abs());
        let least = sizes().filter(|&size| size > 0.0).fold(f32::INFINITY, f32::min);
        let shift = Halves::shift(least, sizes().fold(0.0, f32::max))?;
        let half = |value: f32| u32::from(f16::from_f32(value * 2.0_f32.powi(shift)).to_bits());
        let pairs = values.chunks(2 * lanes).flat_map(|both| {
            let (low, high) = both.split_at(lanes);
            low.iter().zip(high).map(|(low, high)| half(*low) | half(*high) << 16)
        });
        Some(Weights::Halves(Halves { pairs: pairs.collect(), shift }))
    }
}

impl Panels {
    pub(super) fn pack(layer: Layer, registers: Registers) -> Self {
        let lanes = registers.lanes;
        let outputs = layer.outputs.len();
        let narrow = lanes > 1
            && outputs <= (lanes / 4).min(4)
            && layer.runs.iter().all(|run| run.len >= lanes / 2);
        let weights = match (layer.rows, narrow) {
            (true, _) => Weights::Positions(along_outputs(&layer, |_| outputs)),
            (_, true) => Weights::Inputs(Aligned::new(along_inputs(&layer, lanes))),
            _ => layer.halves(lanes).unwrap_or_else(|| {
                let panel = |left| vectors(left, lanes) * lanes;
                Weights::Outputs(Aligned::new(along_outputs(&layer, panel)))
            }),
        };
        let (depth, mut bias) = (layer.inputs.len(), layer.bias);
        bias.resize(outputs.next_multiple_of(2 * lanes), 0.0);
        Self { outputs, depth, weights, bias, lanes }
    }

    /// The vectors of the panel that begins with an output.
    pub(super) fn vectors(&self, output: usize) -> usize {
        vectors(self.outputs - output, self.lanes)
    }

    /// The space that the weights take.
    pub(super) fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Outputs(weights) | Weights::Inputs(weights) => weights.values().len() * 4,
            Weights::Halves(weights) => weights.pairs.len() * 4,
            Weights::Positions(weights) => weights.len() * 4,
        }
    }

    /// Whether an output's channels can be written anywhere.
    pub(super) fn scatters(&self) -> bool {
        matches!(self.weights, Weights::Inputs(_) | Weights::Positions(_))
    }
}

/// The vectors of the next panel for so many outputs.
fn vectors(outputs: usize, lanes: usize) -> usize {
    if outputs > lanes { 2 } else { 1 }
}

/// Panels as wide as a function of the outputs that are left.
fn along_outputs(layer: &Layer, panel: impl Fn(usize) -> usize) -> Vec<f32> {
    let (outputs, depth) = (layer.outputs.len(), layer.inputs.len());
    let mut values = Vec::with_capacity((outputs + panel(outputs)) * depth);
    let mut first = 0;
    while first < outputs {
        let width = panel(outputs - first);
        let end = outputs.min(first + width);
        for input in 0..depth {
            values.extend((first..end).map(|output| layer.weight(output, input)));
            values.resize(values.len() + width - (end - first), 0.0);
        }
        first += width;
    }
    values
}

fn along_inputs(layer: &Layer, lanes: usize) -> Vec<f32> {
    let mut values = vec![];
    let mut first = 0;
    for run in layer.runs {
        for output in 0..layer.outputs.len() {
            values.extend((first..first + run.len).map(|input| layer.weight(output, input)));
            values.resize(values.len().next_multiple_of(lanes), 0.0);
        }
        first += run.len;
    }
    values
}

/// Numbers that begin where a cache line does.
#[derive(Debug)]
pub(super) struct Aligned {
    values: Vec<f32>,
    first: usize,
}

/// Bytes of a cache line.
const LINE: usize = 64;

impl Aligned {
    fn new(values: Vec<f32>) -> Self {
        let len = values.len();
        let mut aligned: Vec<f32> = Vec::with_capacity(len + LINE / 4);
        let first = aligned.as_ptr().align_offset(LINE).min(LINE / 4);
        aligned.resize(first, 0.0);
        aligned.extend(values);
        Self { values: aligned, first }
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.values[self.first..]
    }
}
