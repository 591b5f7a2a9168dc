//! Products of bytes, output by output: the inputs of a sum lie side by side, and so do its weights, so that the
//! compiler makes vectors of them.

use pulp::bytemuck;
use pulp::{NullaryFnOnce, Simd};

use super::super::super::pack::Weights;
use super::super::correlate::Correlate;
use super::{BYTES, IntegerPanel, IntegerPanels, OUTPUTS};

/// The positions that are computed at once, at most.
const POSITIONS: usize = 4;

/// A layer output by output, with vectors of as many numbers as outputs are computed at once.
pub(super) struct Dots<'a, S>(pub(super) S, pub(super) Correlate<'a>);

impl<S: Simd> NullaryFnOnce for Dots<'_, S> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        const { assert!(S::F32_LANES == OUTPUTS) };
        self.1.dots(self.0);
    }
}

impl Correlate<'_> {
    #[inline(always)]
    fn dots<S: Simd>(mut self, simd: S) {
        let Weights::Integers(panels) = &self.panels.weights else { return };
        let mut room = std::mem::take(self.room);
        let depth = self.panels.depth.next_multiple_of(BYTES);
        let middle = panels.rounding.middle();
        for rows in self.strips(1) {
            self.rows = rows;
            let (first, len) = self.extent();
            room.resize(((len + POSITIONS * depth) / 4 + 1).max(room.len()), 0.0);
            let bytes: &mut [i8] = bytemuck::cast_slice_mut(&mut room[..]);
            let (input, beside) = bytes.split_at_mut(len);
            let byte = |integer| (integer - middle) as i8;
            panels.rounding.integers(&self.input[first..][..len], input, byte);
            let outputs = self.outputs.clone();
            for panel in panels.panels.iter().filter(|panel| outputs.contains(&panel.output)) {
                let block = DotBlock { panel, panels, input, first };
                for at in self.positions().step_by(POSITIONS) {
                    self.dot_block(simd, &block, at, beside);
                }
            }
        }
        *self.room = room;
    }

    /// One position, or up to four; those that are missing are computed of whatever is there, and not kept.
    #[inline(always)]
    fn dot_block<S: Simd>(&mut self, simd: S, block: &DotBlock, at: usize, beside: &mut [i8]) {
        let DotBlock { panel, panels, .. } = block;
        let (bases, places) = self.places::<POSITIONS>(at);
        let count = POSITIONS.min(self.positions().end - at);
        let places = &places[..count];
        let weights = &panels.weights.values()[panel.weights.clone()];
        let vectors = weights.len() / panel.outputs.next_multiple_of(OUTPUTS) / BYTES;
        for (p, base) in bases[..count].iter().enumerate() {
            block.gather(*base, &mut beside[p * vectors * BYTES..]);
        }
        for first in (0..panel.outputs).step_by(OUTPUTS) {
            let weights = &weights[first * vectors * BYTES..];
            match count {
                1 => self.scale(simd, block, places, first, one(weights, beside, vectors)),
                _ => self.scale(simd, block, places, first, four(weights, beside, vectors)),
            }
        }
    }

    /// Scales and writes the sums of four outputs, of which `first` is the first of the panel.
    #[inline(always)]
    fn scale<S: Simd, const P: usize>(
        &mut self,
        simd: S,
        DotBlock { panel, panels, .. }: &DotBlock,
        places: &[usize],
        first: usize,
        sums: [[i32; OUTPUTS]; P],
    ) {
        let output = panel.output + first;
        let shift = &panels.shift[output..][..OUTPUTS];
        let scale = S::as_simd_f32s(&panels.scale[output..][..OUTPUTS]).0[0];
        let bias = S::as_simd_f32s(&self.panels.bias[output..][..OUTPUTS]).0[0];
        let mut scaled = [[bias]; P];
        for (scaled, sums) in scaled.iter_mut().zip(sums) {
            let mut floats = [0.0; OUTPUTS];
            for ((float, sum), shift) in floats.iter_mut().zip(sums).zip(shift) {
                *float = sum.wrapping_add(*shift) as f32;
            }
            *scaled = [simd.mul_add_e_f32s(S::as_simd_f32s(&floats).0[0], scale, bias)];
        }
        self.store(simd, places, panel.place + first, panel.outputs - first, scaled);
    }
}

/// A panel of weights and a strip of inputs.
struct DotBlock<'a> {
    panel: &'a IntegerPanel,
    panels: &'a IntegerPanels,
    input: &'a [i8],
    /// The place of the first of the inputs.
    first: usize,
}

impl DotBlock<'_> {
    /// Puts the inputs of a position side by side. What is behind the last meets weights of zero.
    #[inline(always)]
    fn gather(&self, base: usize, mut beside: &mut [i8]) {
        for run in &self.panel.runs {
            let (now, later) = beside.split_at_mut(run.len);
            now.copy_from_slice(&self.input[base - self.first + run.offset..][..run.len]);
            beside = later;
        }
    }
}

/// The sums of four outputs at one position, of so many vectors of bytes.
#[inline(always)]
fn one(weights: &[i8], inputs: &[i8], vectors: usize) -> [[i32; OUTPUTS]; 1] {
    sums(fours(weights, vectors), inputs[..vectors * BYTES].iter().map(|input| [input]))
}

/// The sums of four outputs at as many positions.
#[inline(always)]
fn four(weights: &[i8], inputs: &[i8], vectors: usize) -> [[i32; OUTPUTS]; POSITIONS] {
    sums(fours(weights, vectors), fours(inputs, vectors))
}

/// The bytes at the same place of four stretches of so many vectors, which follow one another.
#[inline(always)]
fn fours(bytes: &[i8], vectors: usize) -> impl Iterator<Item = [&i8; 4]> {
    let len = vectors * BYTES;
    let (a, b) = (&bytes[..len], &bytes[len..][..len]);
    let (c, d) = (&bytes[2 * len..][..len], &bytes[3 * len..][..len]);
    a.iter().zip(b).zip(c.iter().zip(d)).map(|((a, b), (c, d))| [a, b, c, d])
}

/// The sums of products at every position. It is one loop that checks no places, since the compiler finds the
/// instruction for four products in no other.
#[inline(always)]
fn sums<'a, const P: usize>(
    weights: impl Iterator<Item = [&'a i8; OUTPUTS]>,
    inputs: impl Iterator<Item = [&'a i8; P]>,
) -> [[i32; OUTPUTS]; P] {
    let mut sums = [[0_i32; OUTPUTS]; P];
    for (weights, inputs) in weights.zip(inputs) {
        for (sums, input) in sums.iter_mut().zip(inputs) {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = sum.wrapping_add(i32::from(*weight) * i32::from(*input));
            }
        }
    }
    sums
}
