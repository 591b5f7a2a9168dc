//! Layers whose weights and inputs are integers: the sums are exact, and scaled once.
//!
//! An input is turned into integers where a strip of rows begins. Products are added up in 32 bits, whatever the
//! order, so that the sums are the same on every processor.

mod arch;
mod dots;
#[cfg(target_arch = "x86_64")]
mod pairs;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::Range;

use super::super::pack::Aligned;
use super::correlate::Correlate;
use super::rounding::Rounding;
use super::tile::Run;
pub(super) use arch::IntegerArch;

/// The outputs that are computed at once, output by output, and the bytes whose number their weights are a
/// multiple of: those of a vector register.
const OUTPUTS: usize = 4;
const BYTES: usize = 16;

/// How the weights of a panel lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Order {
    /// For every pair of inputs those of all outputs side by side. They fill one vector of `lanes` sums or two.
    #[cfg(target_arch = "x86_64")]
    Pairs { lanes: usize },
    /// For every output those of all inputs side by side.
    Outputs,
}

impl Order {
    /// Half of the outputs of a panel, where it is full.
    pub(in super::super) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Pairs { lanes } => lanes,
            Self::Outputs => 16,
        }
    }

    /// The outputs of a panel with those that fill it, of weights zero.
    pub(in super::super) fn width(self, outputs: usize) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Pairs { lanes } => outputs.next_multiple_of(lanes),
            Self::Outputs => outputs.next_multiple_of(OUTPUTS),
        }
    }

    /// What the inputs of a run are filled up to a multiple of, and those of a panel.
    pub(in super::super) fn inputs(self) -> [usize; 2] {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Pairs { .. } => [2, 2],
            Self::Outputs => [1, BYTES],
        }
    }

    /// Of so many inputs, those whose weights lie side by side for an output.
    pub(in super::super) fn beside(self, inputs: usize) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Pairs { .. } => 2,
            Self::Outputs => inputs.max(1),
        }
    }
}

/// Weights in eight bits.
#[derive(Debug)]
pub(in super::super) struct IntegerPanels {
    /// How the inputs are rounded.
    pub(in super::super) rounding: Rounding,
    pub(in super::super) panels: Vec<IntegerPanel>,
    pub(in super::super) weights: Aligned<i8>,
    /// What is added to an output's sum, since inputs that are to fit a byte are counted from the middle of their
    /// range; nothing where weights lie by pairs.
    pub(in super::super) shift: Vec<i32>,
    /// What an output's sum is multiplied by.
    pub(in super::super) scale: Vec<f32>,
}

/// The weights of some outputs, without inputs that all of them ignore.
#[derive(Debug)]
pub(in super::super) struct IntegerPanel {
    /// The first output, how many there are, and the place of the first from a position's on.
    pub(in super::super) output: usize,
    pub(in super::super) outputs: usize,
    pub(in super::super) place: usize,
    /// The inputs.
    pub(in super::super) runs: Vec<Run>,
    /// Its place among the weights.
    pub(in super::super) weights: Range<usize>,
}

impl IntegerPanels {
    /// Gives the outputs of every position to the pixels of a square of `side`, one pixel after the other.
    /// `steps` leads from a row of pixels to the next, and from a pixel.
    pub(in super::super) fn interleave(&mut self, side: usize, depth: usize, steps: [usize; 2]) {
        for panel in &mut self.panels {
            let pixel = panel.output / depth;
            let corner = pixel / side * steps[0] + pixel % side * steps[1];
            panel.place = corner + panel.output % depth;
        }
    }
}

impl Correlate<'_> {
    /// The first input that the rows read, and how many there are from it to the last.
    fn extent(&self) -> (usize, usize) {
        let [first, row, column] = self.grid.input;
        let reach = self.runs.iter().map(|run| run.offset + run.len).max().unwrap_or(0);
        let last = (self.rows.len() - 1) * row + (self.grid.columns - 1) * column;
        (first + self.rows.start * row, last + reach)
    }
}
