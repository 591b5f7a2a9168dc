//! Weights in the order in which the kernels read them.

use half::f16;

use super::kernels::{Registers, Run};

/// The weights of a layer, or of one phase of it.
///
/// A panel has the weights of two vectors of outputs, or of one at the end: for every input of a sum
/// the weights of these outputs, side by side.
#[derive(Debug)]
pub(super) struct Panels {
    /// Outputs at one position.
    pub(super) outputs: usize,
    /// Inputs of a sum.
    pub(super) depth: usize,
    /// Whether vectors lie along the inputs instead.
    pub(super) narrow: bool,
    pub(super) weights: Weights,
    /// Zeros behind the last output fill its panel.
    pub(super) bias: Vec<f32>,
    lanes: usize,
}

/// Packed weights, as wide as they are stored.
#[derive(Debug)]
pub(super) enum Weights {
    Full(Aligned),
    Half(Vec<f16>),
}

/// A layer's weights as a function of output and input, and what a sum is made of.
pub(super) struct Layer<'a> {
    pub(super) outputs: usize,
    pub(super) runs: &'a [Run],
    pub(super) weight: &'a dyn Fn(usize, usize) -> f32,
    pub(super) bias: &'a dyn Fn(usize) -> f32,
    /// Whether half precision holds every weight.
    pub(super) half: bool,
}

impl Panels {
    pub(super) fn pack(layer: &Layer, registers: Registers) -> Self {
        let lanes = registers.lanes;
        let depth: usize = layer.runs.iter().map(|run| run.len).sum();
        let narrow = lanes > 1
            && layer.outputs <= (lanes / 4).min(4)
            && layer.runs.iter().all(|run| run.len >= lanes / 2);
        let mut packed = Self {
            outputs: layer.outputs,
            depth,
            narrow,
            weights: Weights::Half(vec![]),
            bias: (0..layer.outputs).map(layer.bias).collect(),
            lanes,
        };
        packed.bias.resize(layer.outputs.next_multiple_of(2 * lanes), 0.0);
        let values = if narrow { along_inputs(layer, lanes) } else { packed.along_outputs(layer) };
        packed.weights = match layer.half && !narrow {
            true => Weights::Half(values.into_iter().map(f16::from_f32).collect()),
            false => Weights::Full(Aligned::new(values)),
        };
        packed
    }

    /// The vectors of the panel that begins with an output.
    pub(super) fn vectors(&self, output: usize) -> usize {
        if self.outputs - output > self.lanes { 2 } else { 1 }
    }

    /// The space that the weights take.
    pub(super) fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Full(weights) => weights.values().len() * 4,
            Weights::Half(weights) => weights.len() * 2,
        }
    }

    fn along_outputs(&self, layer: &Layer) -> Vec<f32> {
        let mut values = vec![];
        let mut first = 0;
        while first < self.outputs {
            let end = first + self.vectors(first) * self.lanes;
            for input in 0..self.depth {
                values.extend((first..end).map(|output| match output < self.outputs {
                    true => (layer.weight)(output, input),
                    false => 0.0,
                }));
            }
            first = end;
        }
        values
    }
}

fn along_inputs(layer: &Layer, lanes: usize) -> Vec<f32> {
    let mut values = vec![];
    let mut first = 0;
    for run in layer.runs {
        for output in 0..layer.outputs {
            values.extend((first..first + run.len).map(|input| (layer.weight)(output, input)));
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
