//! Weights in the order in which the kernels read them.

use super::kernels::{Halves, IntegerPanel, IntegerPanels, Order, Registers, Rounding, Run};

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
    Outputs(Aligned<f32>),
    /// Outputs, by two vectors, in half precision.
    Halves(Halves),
    /// Inputs of a sum: for every run the vectors of the first output, then those of the second, and so on,
    /// each filled up with zeros.
    Inputs(Aligned<f32>),
    /// Positions: for every input of a sum its place and the weights of all outputs.
    Positions { offsets: Vec<usize>, weights: Vec<f32> },
    /// Outputs, as integers in eight bits.
    Integers(IntegerPanels),
}

/// A layer's weights as they are stored, and what its sums are made of.
pub(super) struct Layer<'a> {
    pub(super) weights: &'a [f32],
    /// The place of every output's weights.
    pub(super) outputs: Vec<usize>,
    /// The place among them of every input's, in the order of the sums.
    pub(super) inputs: Vec<usize>,
    /// What the weights of an output are multiplied by.
    pub(super) scale: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) runs: &'a [Run],
    pub(super) form: Form,
}

/// What a layer's vectors are of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// Outputs, or inputs where outputs are few.
    Plain,
    /// The same, where half precision holds every weight.
    Halves,
    /// Positions: there are enough of them in a row, and few outputs.
    Rows,
    /// Outputs that are sums of integers in eight bits: how the inputs are rounded, and how many outputs lie side by
    /// side.
    Integers { rounding: Rounding, adjacent: usize },
}

impl Layer<'_> {
    fn weight(&self, output: usize, input: usize) -> f32 {
        self.weights[self.outputs[output] + self.inputs[input]] * self.scale[output]
    }
}

impl Panels {
    pub(super) fn pack(layer: Layer, registers: Registers) -> Self {
        let lanes = match layer.form {
            Form::Integers { .. } => registers.integers.lanes(),
            _ => registers.lanes,
        };
        let outputs = layer.outputs.len();
        let narrow = lanes > 1
            && outputs <= (lanes / 4).min(4)
            && layer.runs.iter().all(|run| run.len >= lanes / 2);
        let along = || {
            let panel = |left| vectors(left, lanes) * lanes;
            Weights::Outputs(along_outputs(&layer, panel))
        };
        let weights = match layer.form {
            Form::Integers { rounding, adjacent } => {
                Weights::Integers(integer_panels(&layer, rounding, adjacent, registers.integers))
            }
            Form::Rows => {
                let offsets = layer.runs.iter().flat_map(|run| run.offset..run.offset + run.len);
                let weights = along_outputs(&layer, |_| outputs).values().to_vec();
                Weights::Positions { offsets: offsets.collect(), weights }
            }
            _ if narrow => Weights::Inputs(Aligned::new(&along_inputs(&layer, lanes))),
            Form::Halves => {
                let values = along_outputs(&layer, |_| 2 * lanes);
                let halves = Halves::pack(values.values(), 2 * lanes, registers.halves);
                halves.map_or_else(along, Weights::Halves)
            }
            Form::Plain => along(),
        };
        let (depth, mut bias) = (layer.inputs.len(), layer.bias.to_vec());
        bias.resize(outputs + 2 * lanes, 0.0);
        Self { outputs, depth, weights, bias, lanes }
    }

    /// The outputs of a panel; all of them where they are few.
    pub(super) fn width(&self) -> usize {
        match self.weights {
            Weights::Inputs(_) | Weights::Positions { .. } => self.outputs,
            _ => 2 * self.lanes,
        }
    }

    /// Products at one position: integers leave out inputs that a panel's outputs ignore.
    pub(super) fn products(&self) -> usize {
        let of_panel = |panel: &IntegerPanel| {
            panel.outputs * panel.runs.iter().map(|run| run.len).sum::<usize>()
        };
        match &self.weights {
            Weights::Integers(panels) => panels.panels.iter().map(of_panel).sum(),
            _ => self.depth * self.outputs,
        }
    }

    /// Whether they are integers in eight bits.
    pub(super) fn integers(&self) -> bool {
        matches!(self.weights, Weights::Integers(_))
    }

    /// The vectors of the panel that begins with an output.
    pub(super) fn vectors(&self, output: usize) -> usize {
        vectors(self.outputs - output, self.lanes)
    }

    /// The space that the weights take.
    pub(super) fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Outputs(weights) | Weights::Inputs(weights) => weights.values().len() * 4,
            Weights::Halves(weights) => weights.bytes(),
            Weights::Positions { weights, .. } => weights.len() * 4,
            Weights::Integers(panels) => panels.weights.values().len(),
        }
    }

    /// Whether an output's channels can be written anywhere.
    pub(super) fn scatters(&self) -> bool {
        matches!(self.weights, Weights::Inputs(_) | Weights::Positions { .. })
    }
}

/// The vectors of the next panel for so many outputs.
fn vectors(outputs: usize, lanes: usize) -> usize {
    if outputs > lanes { 2 } else { 1 }
}

/// Inputs whose weights are taken of one output after the other: where they lie side by side, they come with one line of
/// the cache, and those of the next output may be far away.
const BESIDE: usize = 16;

/// Panels as wide as a function of the outputs that are left.
fn along_outputs(layer: &Layer, panel: impl Fn(usize) -> usize) -> Aligned<f32> {
    let (outputs, depth) = (layer.outputs.len(), layer.inputs.len());
    let mut widths = vec![];
    let mut first = 0;
    while first < outputs {
        widths.push(panel(outputs - first));
        first += widths[widths.len() - 1];
    }
    let mut packed = Aligned::zeros(first * depth);
    let mut rest = packed.values_mut();
    first = 0;
    for width in widths {
        let (values, later) = rest.split_at_mut(width * depth);
        rest = later;
        for from in (0..depth).step_by(BESIDE) {
            let inputs = from..depth.min(from + BESIDE);
            for (lane, output) in (first..outputs.min(first + width)).enumerate() {
                for input in inputs.clone() {
                    values[input * width + lane] = layer.weight(output, input);
                }
            }
        }
        first += width;
    }
    packed
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

/// Panels of integers.
fn integer_panels(
    layer: &Layer,
    rounding: Rounding,
    adjacent: usize,
    order: Order,
) -> IntegerPanels {
    let (outputs, lanes) = (layer.outputs.len(), order.lanes());
    let integer = |output: usize, input: usize| {
        layer.weights[layer.outputs[output] + layer.inputs[input]] as i8
    };
    let (mut panels, mut weights) = (vec![], vec![]);
    let mut output = 0;
    while output < outputs {
        let left = adjacent - output % adjacent;
        let of_panel = output..output + left.min(2 * lanes);
        let [of_run, of_all] = order.inputs();
        let (mut runs, mut inputs, mut first) = (vec![], vec![], 0);
        for run in layer.runs {
            let matters =
                |i: &usize| of_panel.clone().any(|output| integer(output, first + i) != 0);
            let ends = (0..run.len).find(matters).zip((0..run.len).rfind(matters));
            if let Some((from, last)) = ends {
                runs.push(Run { offset: run.offset + from, len: last + 1 - from });
                inputs.extend((first + from..=first + last).map(Some));
                inputs.resize(inputs.len().next_multiple_of(of_run), None);
            }
            first += run.len;
        }
        inputs.resize(inputs.len().next_multiple_of(of_all), None);
        let begin = weights.len();
        for inputs in inputs.chunks(order.beside(inputs.len())) {
            for output in output..output + order.width(of_panel.len()) {
                weights.extend(inputs.iter().map(|input| match input {
                    Some(input) if of_panel.contains(&output) => integer(output, *input),
                    _ => 0,
                }));
            }
        }
        let (outputs, weights) = (of_panel.len(), begin..weights.len());
        panels.push(IntegerPanel { output, outputs, place: output, runs, weights });
        output = of_panel.end;
    }
    let mut shift = vec![];
    if order == Order::Outputs {
        let inputs = 0..layer.inputs.len();
        let sum = |output| inputs.clone().map(|i| i32::from(integer(output, i))).sum::<i32>();
        shift.extend((0..outputs).map(|output| rounding.middle() * sum(output)));
        shift.resize(outputs + 2 * lanes, 0);
    }
    let mut scale: Vec<f32> = layer.scale.iter().map(|scale| scale * rounding.scale).collect();
    scale.resize(outputs + 2 * lanes, 0.0);
    IntegerPanels { rounding, panels, weights: Aligned::new(&weights), shift, scale }
}

/// Numbers that begin where a cache line does.
#[derive(Debug)]
pub(super) struct Aligned<T> {
    values: Vec<T>,
    first: usize,
}

/// Bytes of a cache line.
const LINE: usize = 64;

impl<T: Copy + Default> Aligned<T> {
    fn new(values: &[T]) -> Self {
        let mut aligned = Self::zeros(values.len());
        aligned.values_mut().copy_from_slice(values);
        aligned
    }

    fn zeros(len: usize) -> Self {
        let most = LINE / size_of::<T>();
        let mut values = vec![T::default(); len + most];
        let first = values.as_ptr().align_offset(LINE).min(most);
        values.truncate(first + len);
        Self { values, first }
    }

    fn values_mut(&mut self) -> &mut [T] {
        &mut self.values[self.first..]
    }

    pub(super) fn values(&self) -> &[T] {
        &self.values[self.first..]
    }
}
