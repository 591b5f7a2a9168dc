//! Layers whose weights and inputs are integers: the sums are exact, and scaled once.
//!
//! An input is turned into integers of 16 bits where a strip of rows begins. Products are made by pairs of
//! inputs and added up in 32 bits, whatever the order, so that they are the same on every processor.

mod arch;

use std::ops::Range;

use pulp::{Simd, bytemuck};

use super::super::pack::{Aligned, Weights};
use super::correlate::Correlate;
use super::rounding::Rounding;
use super::tile::Run;
pub(super) use arch::IntegerArch;
use arch::IntegerSimd;

/// Weights in eight bits.
#[derive(Debug)]
pub(in super::super) struct IntegerPanels {
    /// How the inputs are rounded.
    pub(in super::super) rounding: Rounding,
    pub(in super::super) panels: Vec<IntegerPanel>,
    /// For every panel the weights of its inputs by pairs: those of all outputs for a pair side by side.
    pub(in super::super) weights: Aligned<i8>,
    /// What an output's sum is multiplied by.
    pub(in super::super) scale: Vec<f32>,
}

/// The weights of one vector of outputs or of two, without inputs that all of them ignore.
#[derive(Debug)]
pub(in super::super) struct IntegerPanel {
    /// The first output, how many there are, and the place of the first from a position's on.
    pub(in super::super) output: usize,
    pub(in super::super) outputs: usize,
    pub(in super::super) place: usize,
    pub(in super::super) vectors: usize,
    /// The inputs. A weight of zero makes a pair of the last one where they are odd.
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

/// The positions whose sums by `vectors` of outputs fit the registers, beside those vectors' weights, an
/// input and a product.
const fn most<I: IntegerSimd>(vectors: usize) -> usize {
    let fit = (I::Floats::REGISTER_COUNT - vectors - 2) / vectors;
    if fit < I::POSITIONS { fit } else { I::POSITIONS }
}

impl Correlate<'_> {
    #[inline(always)]
    pub(super) fn integers<I: IntegerSimd>(mut self, simd: I) {
        let Weights::Integers(panels) = &self.panels.weights else { return };
        let mut room = std::mem::take(self.room);
        for rows in self.strips(2) {
            self.rows = rows;
            let (first, len) = self.extent();
            room.resize((len / 2 + 1).max(room.len()), 0.0);
            let integers: &mut [i16] = bytemuck::cast_slice_mut(&mut room[..]);
            panels.rounding.integers(&self.input[first..][..len], integers);
            let outputs = self.outputs.clone();
            for panel in panels.panels.iter().filter(|panel| outputs.contains(&panel.output)) {
                let block = IntegerBlock { panel, panels, input: integers, first };
                match panel.vectors {
                    2 => self.integer_panel::<I, 2>(simd, &block),
                    _ => self.integer_panel::<I, 1>(simd, &block),
                }
            }
        }
        *self.room = room;
    }

    /// The first input that the rows read, and how many there are from it to the last.
    fn extent(&self) -> (usize, usize) {
        let [first, row, column] = self.grid.input;
        let reach = self.runs.iter().map(|run| run.offset + run.len).max().unwrap_or(0);
        let last = (self.rows.len() - 1) * row + (self.grid.columns - 1) * column;
        (first + self.rows.start * row, last + reach)
    }

    #[inline(always)]
    fn integer_panel<I: IntegerSimd, const V: usize>(&mut self, simd: I, block: &IntegerBlock) {
        let positions = self.positions();
        let blocks = positions.len().div_ceil(most::<I>(V));
        let mut at = positions.start;
        for number in 0..blocks {
            let end = positions.start + positions.len() * (number + 1) / blocks;
            match end - at {
                1 => self.integer_block::<I, 1, V, 4>(simd, block, at),
                2 => self.integer_block::<I, 2, V, 2>(simd, block, at),
                3 => self.integer_block::<I, 3, V, 1>(simd, block, at),
                4 => self.integer_block::<I, 4, V, 1>(simd, block, at),
                5 if most::<I>(V) >= 5 => self.integer_block::<I, 5, V, 1>(simd, block, at),
                6 if most::<I>(V) >= 6 => self.integer_block::<I, 6, V, 1>(simd, block, at),
                7 if most::<I>(V) >= 7 => self.integer_block::<I, 7, V, 1>(simd, block, at),
                8 if most::<I>(V) >= 8 => self.integer_block::<I, 8, V, 1>(simd, block, at),
                9 if most::<I>(V) >= 9 => self.integer_block::<I, 9, V, 1>(simd, block, at),
                10 if most::<I>(V) >= 10 => self.integer_block::<I, 10, V, 1>(simd, block, at),
                11 if most::<I>(V) >= 11 => self.integer_block::<I, 11, V, 1>(simd, block, at),
                12 if most::<I>(V) >= 12 => self.integer_block::<I, 12, V, 1>(simd, block, at),
                _ => unreachable!("no block is larger than the largest"),
            }
            at = end;
        }
    }

    #[inline(always)]
    fn integer_block<I: IntegerSimd, const P: usize, const V: usize, const U: usize>(
        &mut self,
        simd: I,
        block: &IntegerBlock,
        at: usize,
    ) {
        let (bases, places) = self.places::<P>(at);
        let sums = block.sums::<I, P, V, U>(simd, &bases);
        let output = block.panel.output;
        let lanes = <I::Floats as Simd>::F32_LANES;
        let floats = simd.floats();
        let scale = I::Floats::as_simd_f32s(&block.panels.scale[output..][..V * lanes]).0;
        let bias = I::Floats::as_simd_f32s(&self.panels.bias[output..][..V * lanes]).0;
        let mut scaled = [[floats.splat_f32s(0.0); V]; P];
        for p in 0..P {
            for v in 0..V {
                let sum = simd.to_floats(sums[p][v]);
                scaled[p][v] = floats.mul_add_e_f32s(sum, scale[v], bias[v]);
            }
        }
        self.store(floats, at, &places, block.panel.place, block.panel.outputs, scaled);
    }
}

/// A panel of weights and a strip of inputs.
struct IntegerBlock<'a> {
    panel: &'a IntegerPanel,
    panels: &'a IntegerPanels,
    input: &'a [i16],
    /// The place of the first of the inputs.
    first: usize,
}

impl IntegerBlock<'_> {
    /// The sums of `P` positions by `V` vectors of outputs, each in `U` parts while it grows.
    #[inline(always)]
    fn sums<I: IntegerSimd, const P: usize, const V: usize, const U: usize>(
        &self,
        simd: I,
        bases: &[usize; P],
    ) -> [[I::Sums; V]; P] {
        let mut sums = [[[simd.zero(); V]; P]; U];
        let weights = &self.panels.weights.values()[self.panel.weights.clone()];
        let mut rest: &[I::Weights] = bytemuck::cast_slice(weights);
        for run in &self.panel.runs {
            let pairs = run.len.div_ceil(2);
            let mut x: [&[[i16; 2]]; P] = [&[]; P];
            for (x, base) in x.iter_mut().zip(bases) {
                let from = base - self.first + run.offset;
                *x = &self.input[from..][..2 * pairs].as_chunks::<2>().0[..pairs];
            }
            let (now, later) = rest.split_at(pairs * V);
            rest = later;
            let now = &now.as_chunks::<V>().0[..pairs];
            let whole = pairs / U * U;
            for first in (0..whole).step_by(U) {
                for u in 0..U {
                    step::<I, P, V>(simd, &now[first + u], &x, first + u, &mut sums[u]);
                }
            }
            for (t, now) in now.iter().enumerate().skip(whole) {
                step::<I, P, V>(simd, now, &x, t, &mut sums[0]);
            }
        }
        let mut total = sums[0];
        for part in &sums[1..] {
            for (total, part) in total.as_flattened_mut().iter_mut().zip(part.as_flattened()) {
                *total = simd.add(*total, *part);
            }
        }
        total
    }
}

/// Adds the products of the pair of inputs `t` at every position.
#[inline(always)]
fn step<I: IntegerSimd, const P: usize, const V: usize>(
    simd: I,
    weights: &[I::Weights; V],
    x: &[&[[i16; 2]]; P],
    t: usize,
    sums: &mut [[I::Sums; V]; P],
) {
    let mut wide = [simd.splat([0; 2]); V];
    for v in 0..V {
        wide[v] = simd.widen(weights[v]);
    }
    for p in 0..P {
        let x = simd.splat(x[p][t]);
        for v in 0..V {
            sums[p][v] = simd.add_products(x, wide[v], sums[p][v]);
        }
    }
}
