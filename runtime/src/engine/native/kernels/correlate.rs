//! Sums of weighted inputs at many positions: convolutions, the phases of transposed ones, and dense
//! layers, whose positions are the images of a batch.

use std::ops::Range;

use half::slice::HalfFloatSliceExt;
use pulp::{Simd, WithSimd};

use super::super::pack::{Panels, Weights};
use super::activation::Activation;
use super::narrow::narrow;
use super::tile::{Run, tile};

/// The positions that are computed at once, at most.
const MOST: usize = 12;
/// The positions of a layer with few outputs that are computed at once.
const NARROW: usize = 4;
/// Input numbers of a strip of rows, which every panel of weights meets while they are in the cache.
const STRIP: usize = 128 * 1024;
/// Half-precision weights that are widened at once where a few positions meet them.
const WIDENED: usize = 2048;

/// Positions on a grid, and where their inputs and outputs lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Grid {
    /// Positions in a row.
    pub(in super::super) columns: usize,
    /// The input's place at the first position, and its steps from row to row and in a row.
    pub(in super::super) input: [usize; 3],
    /// The output's likewise.
    pub(in super::super) output: [usize; 3],
    /// From an output to the next at one position.
    pub(in super::super) channel: usize,
}

/// A layer, or a phase of one, over some rows of its grid.
pub(in super::super) struct Correlate<'a> {
    pub(in super::super) panels: &'a Panels,
    pub(in super::super) runs: &'a [Run],
    pub(in super::super) activation: Activation,
    pub(in super::super) grid: Grid,
    pub(in super::super) rows: Range<usize>,
    pub(in super::super) input: &'a [f32],
    /// The outputs from the number `from` on.
    pub(in super::super) output: &'a mut [f32],
    pub(in super::super) from: usize,
    /// Room for weights that are widened.
    pub(in super::super) room: &'a mut Vec<f32>,
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if self.panels.narrow {
            return match self.panels.outputs {
                1 => self.narrow::<S, 1>(simd),
                2 => self.narrow::<S, 2>(simd),
                3 => self.narrow::<S, 3>(simd),
                _ => self.narrow::<S, 4>(simd),
            };
        }
        let row = self.grid.input[1].max(1);
        let step = match self.panels.bytes() > self.rows.len() * row * 4 {
            true => self.rows.len(),
            false => (STRIP / row).max(1),
        };
        let rows = self.rows.clone();
        for first in rows.clone().step_by(step.max(1)) {
            self.rows = first..rows.end.min(first + step);
            self.strip(simd);
        }
    }
}

impl Correlate<'_> {
    fn input_at(&self, position: usize) -> usize {
        let (row, column) = (position / self.grid.columns, position % self.grid.columns);
        self.grid.input[0] + row * self.grid.input[1] + column * self.grid.input[2]
    }

    fn output_at(&self, position: usize) -> usize {
        let (row, column) = (position / self.grid.columns, position % self.grid.columns);
        self.grid.output[0] + row * self.grid.output[1] + column * self.grid.output[2] - self.from
    }

    fn positions(&self) -> Range<usize> {
        self.rows.start * self.grid.columns..self.rows.end * self.grid.columns
    }

    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S) {
        let panels = self.panels;
        let depth = panels.depth;
        let mut at = 0;
        let mut output = 0;
        while output < panels.outputs {
            let vectors = panels.vectors(output);
            let len = depth * vectors * S::F32_LANES;
            let bias = S::as_simd_f32s(&panels.bias[output..]).0;
            match &panels.weights {
                Weights::Full(weights) => {
                    let weights = S::as_simd_f32s(&weights.values()[at..][..len]).0;
                    match vectors {
                        2 => self.panel::<S, 2>(simd, output, weights, bias),
                        _ => self.panel::<S, 1>(simd, output, weights, bias),
                    }
                }
                Weights::Half(weights) => {
                    let weights = &weights[at..][..len];
                    match vectors {
                        2 => self.halves::<S, 2>(simd, output, weights, bias),
                        _ => self.halves::<S, 1>(simd, output, weights, bias),
                    }
                }
            }
            at += len;
            output += vectors * S::F32_LANES;
        }
    }

    /// One panel of weights at all positions, which are shared out evenly.
    #[inline(always)]
    fn panel<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        output: usize,
        weights: &[S::f32s],
        bias: &[S::f32s],
    ) {
        let most = MOST.min((S::REGISTER_COUNT - V - 1) / V);
        let positions = self.positions();
        let blocks = positions.len().div_ceil(most);
        let mut at = positions.start;
        for block in 0..blocks {
            let end = positions.start + positions.len() * (block + 1) / blocks;
            match end - at {
                1 => self.block::<S, 1, V>(simd, at, output, weights, bias),
                2 => self.block::<S, 2, V>(simd, at, output, weights, bias),
                3 => self.block::<S, 3, V>(simd, at, output, weights, bias),
                4 => self.block::<S, 4, V>(simd, at, output, weights, bias),
                5 => self.block::<S, 5, V>(simd, at, output, weights, bias),
                6 => self.block::<S, 6, V>(simd, at, output, weights, bias),
                7 => self.block::<S, 7, V>(simd, at, output, weights, bias),
                8 => self.block::<S, 8, V>(simd, at, output, weights, bias),
                9 => self.block::<S, 9, V>(simd, at, output, weights, bias),
                10 => self.block::<S, 10, V>(simd, at, output, weights, bias),
                11 => self.block::<S, 11, V>(simd, at, output, weights, bias),
                _ => self.block::<S, 12, V>(simd, at, output, weights, bias),
            }
            at = end;
        }
    }

    #[inline(always)]
    fn block<S: Simd, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        at: usize,
        output: usize,
        weights: &[S::f32s],
        bias: &[S::f32s],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); V]; P];
        for sums in &mut sums {
            sums[..V].copy_from_slice(&bias[..V]);
        }
        let bases = self.bases::<P>(at);
        let sums = tile::<S, P, V>(simd, self.input, &bases, self.runs, weights, sums);
        self.store(simd, at, output, sums);
    }

    fn bases<const P: usize>(&self, at: usize) -> [usize; P] {
        let mut bases = [0; P];
        for (i, base) in bases.iter_mut().enumerate() {
            *base = self.input_at(at + i);
        }
        bases
    }

    #[inline(always)]
    fn store<S: Simd, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        at: usize,
        output: usize,
        sums: [[S::f32s; V]; P],
    ) {
        let left = self.panels.outputs - output;
        for (p, sums) in sums.iter().enumerate() {
            let place = self.output_at(at + p) + output;
            let target = &mut self.output[place..][..left.min(V * S::F32_LANES)];
            let (vectors, rest) = S::as_mut_simd_f32s(target);
            for (target, sum) in vectors.iter_mut().zip(sums) {
                *target = self.activation.of(simd, *sum);
            }
            if !rest.is_empty() {
                let last = self.activation.of(simd, sums[left / S::F32_LANES]);
                simd.partial_store_f32s(rest, last);
            }
        }
    }

    /// A panel of half-precision weights. Where many positions meet it, it is widened once for all;
    /// where one block of them does, part by part in the nearest cache.
    #[inline(always)]
    fn halves<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        output: usize,
        weights: &[half::f16],
        bias: &[S::f32s],
    ) {
        let mut room = std::mem::take(self.room);
        if self.positions().len() == 1 && self.runs.len() == 1 {
            let at = self.positions().start;
            let bases = self.bases::<1>(at);
            let mut sums = [[simd.splat_f32s(0.0); V]];
            sums[0][..V].copy_from_slice(&bias[..V]);
            let width = V * S::F32_LANES;
            let part = WIDENED / width * width;
            room.resize(part.max(room.len()), 0.0);
            let mut run = self.runs[0];
            for weights in weights.chunks(part) {
                let room = &mut room[..weights.len()];
                weights.convert_to_f32_slice(room);
                run.len = weights.len() / width;
                let weights = S::as_simd_f32s(room).0;
                sums = tile::<S, 1, V>(simd, self.input, &bases, &[run], weights, sums);
                run.offset += run.len;
            }
            self.store(simd, at, output, sums);
        } else {
            room.resize(weights.len().max(room.len()), 0.0);
            weights.convert_to_f32_slice(&mut room[..weights.len()]);
            let weights = S::as_simd_f32s(&room[..weights.len()]).0;
            self.panel::<S, V>(simd, output, weights, bias);
        }
        *self.room = room;
    }

    #[inline(always)]
    fn narrow<S: Simd, const C: usize>(&mut self, simd: S) {
        let Weights::Full(weights) = &self.panels.weights else { return };
        let weights = S::as_simd_f32s(weights.values()).0;
        let positions = self.positions();
        let mut at = positions.start;
        // A vector's worth of positions for every output, so that activations fill vectors.
        let mut waiting = [[0.0_f32; 64]; C];
        let mut first = at;
        while at < positions.end {
            if at + NARROW <= positions.end {
                let bases = self.bases::<NARROW>(at);
                let sums = narrow::<S, NARROW, C>(simd, self.input, &bases, self.runs, weights);
                for (p, sums) in sums.iter().enumerate() {
                    for c in 0..C {
                        waiting[c][at - first + p] = sums[c];
                    }
                }
                at += NARROW;
            } else {
                let bases = self.bases::<1>(at);
                let [sums] = narrow::<S, 1, C>(simd, self.input, &bases, self.runs, weights);
                for c in 0..C {
                    waiting[c][at - first] = sums[c];
                }
                at += 1;
            }
            if at == positions.end || at - first + NARROW > 64 {
                for (c, waiting) in waiting.iter_mut().enumerate() {
                    let bias = simd.splat_f32s(self.panels.bias[c]);
                    for vector in S::as_mut_simd_f32s(waiting).0 {
                        *vector = self.activation.of(simd, simd.add_f32s(*vector, bias));
                    }
                    for (position, value) in (first..at).zip(waiting.iter()) {
                        let place = self.output_at(position) + c * self.grid.channel;
                        self.output[place] = *value;
                    }
                }
                first = at;
            }
        }
    }
}
