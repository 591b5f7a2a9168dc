//! Sums of weighted inputs at many positions: convolutions, the phases of transposed ones, and dense
//! layers, whose positions are the images of a batch.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd, bytemuck};

use super::super::pack::{Panels, Weights};
use super::super::step::Part;
use super::activation::Activation;
use super::ahead::{Ahead, Next};
use super::halves::Halves;
use super::integers::IntegerArch;
use super::narrow::{Fold, LANES, narrow};
use super::planes::Planes;
use super::tile::{Run, tile};

/// The positions that are computed at once, at most.
const MOST: usize = 12;
/// Input numbers of a strip of rows, which every panel of weights meets while they are in the cache.
const STRIP: usize = 128 * 1024;
/// The positions whose sums by `vectors` of outputs fit the registers, beside those vectors' weights and an
/// input. Portable code has no vectors to fill.
const fn most<S: Simd>(vectors: usize) -> usize {
    let fit = if S::IS_SCALAR { 4 } else { (S::REGISTER_COUNT - vectors - 1) / vectors };
    if fit < MOST { fit } else { MOST }
}

/// Positions on a grid, and where their inputs and outputs lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Grid {
    /// Rows of positions.
    pub(in super::super) rows: usize,
    /// Positions in a row.
    pub(in super::super) columns: usize,
    /// Outputs in a row, of all phases.
    pub(in super::super) width: usize,
    /// The input's place at the first position, and its steps from row to row and in a row.
    pub(in super::super) input: [usize; 3],
    /// The output's likewise.
    pub(in super::super) output: [usize; 3],
    /// From an output to the next at one position: 1, or the numbers of a plane.
    pub(in super::super) channel: usize,
}

/// A layer, or a phase of one, over some rows of its grid.
pub(in super::super) struct Correlate<'a> {
    pub(in super::super) panels: &'a Panels,
    pub(in super::super) runs: &'a [Run],
    pub(in super::super) activations: &'a [Activation],
    pub(in super::super) grid: Grid,
    /// Phases whose outputs lie between those of this one, in rows of the same length.
    pub(in super::super) beside: &'a [Part],
    pub(in super::super) rows: Range<usize>,
    pub(in super::super) input: &'a [f32],
    pub(in super::super) output: Planes<'a>,
    /// The outputs, from where a panel begins.
    pub(in super::super) outputs: Range<usize>,
    /// Room for weights that are widened.
    pub(in super::super) room: &'a mut Vec<f32>,
}

/// The weights of one or two vectors of outputs.
#[derive(Clone, Copy)]
struct Panel<'a> {
    /// The first of them.
    output: usize,
    bias: &'a [f32],
    weights: &'a [f32],
    /// What is read behind them.
    next: Next,
}

/// `P` positions and the weights of `V` vectors of outputs.
struct Block<'a, 'b, const P: usize, const V: usize> {
    layer: &'a mut Correlate<'b>,
    panel: Panel<'a>,
    /// The first position.
    at: usize,
    ahead: Ahead,
}

impl<const P: usize, const V: usize> WithSimd for Block<'_, '_, P, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer, panel, at, ahead } = self;
        let [bias, weights] = [panel.bias, panel.weights].map(|numbers| S::as_simd_f32s(numbers).0);
        let mut sums = [[simd.splat_f32s(0.0); V]; P];
        for sums in &mut sums {
            sums[..V].copy_from_slice(&bias[..V]);
        }
        let (bases, places) = layer.places::<P>(at);
        let sums = tile::<S, P, V>(simd, layer.input, &bases, layer.runs, weights, ahead, sums);
        let left = layer.panels.outputs - panel.output;
        layer.store(simd, &places, panel.output, left, sums);
    }
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match (&self.panels.weights, self.panels.outputs) {
            (Weights::Inputs(_), 1) => return self.narrow::<S, 1>(simd),
            (Weights::Inputs(_), 2) => return self.narrow::<S, 2>(simd),
            (Weights::Inputs(_), 3) => return self.narrow::<S, 3>(simd),
            (Weights::Inputs(_), _) => return self.narrow::<S, 4>(simd),
            (Weights::Positions { .. }, 1) => return self.along_rows::<S, 8, 1>(simd),
            (Weights::Positions { .. }, 2) => return self.along_rows::<S, 4, 2>(simd),
            (Weights::Positions { .. }, 3) => return self.along_rows::<S, 4, 3>(simd),
            (Weights::Positions { .. }, _) => return self.along_rows::<S, 4, 4>(simd),
            _ => {}
        }
        for rows in self.strips(4) {
            self.rows = rows;
            self.strip(simd);
        }
    }
}

impl Correlate<'_> {
    pub(in super::super) fn run(self, arch: Arch) {
        match &self.panels.weights {
            Weights::Integers(_) => IntegerArch::of(arch).run(self),
            _ => arch.dispatch(self),
        }
    }

    /// The rows by strips whose inputs, of so many bytes a number, stay in the cache while every panel of
    /// weights meets them; in one where the weights take more room than the inputs.
    pub(super) fn strips(&self, bytes: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let row = self.grid.input[1].max(1);
        let rows = self.rows.clone();
        let step = match self.panels.bytes() > rows.len() * row * bytes {
            true => rows.len(),
            false => (STRIP / row).max(1),
        };
        let end = rows.end;
        rows.step_by(step.max(1)).map(move |first| first..end.min(first + step))
    }

    /// Where the inputs and the outputs of consecutive positions begin.
    #[inline(always)]
    pub(super) fn places<const P: usize>(&self, at: usize) -> ([usize; P], [usize; P]) {
        let Grid { columns, input, output, .. } = self.grid;
        let (row, mut column) = (at / columns, at % columns);
        let mut from = input[0] + row * input[1] + column * input[2];
        let mut to = output[0] + row * output[1] + column * output[2];
        let (mut inputs, mut outputs) = ([0; P], [0; P]);
        for (i, o) in inputs.iter_mut().zip(&mut outputs) {
            (*i, *o) = (from, to);
            column += 1;
            from += input[2];
            to += output[2];
            if column == columns {
                column = 0;
                from = from + input[1] - columns * input[2];
                to = to + output[1] - columns * output[2];
            }
        }
        (inputs, outputs)
    }

    /// The plane of an output, and how far it lies from its position's place there.
    #[inline(always)]
    pub(super) fn plane(&self, output: usize) -> (usize, usize) {
        match self.grid.channel {
            1 => (0, output),
            _ => (output, 0),
        }
    }

    pub(super) fn positions(&self) -> Range<usize> {
        self.rows.start * self.grid.columns..self.rows.end * self.grid.columns
    }

    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S) {
        let panels = self.panels;
        let mut output = self.outputs.start;
        let mut at = panels.depth * output;
        while output < self.outputs.end {
            let bias = &panels.bias[output..];
            match &panels.weights {
                Weights::Halves(halves) => {
                    let len = panels.depth * S::F32_LANES;
                    let (pairs, next) = halves.pairs[at / 2..].split_at(len);
                    let panel = Panel { output, bias, weights: &[], next: Next::of(next, len) };
                    self.halves(simd, panel, halves, pairs);
                    at += 2 * len;
                    output += 2 * S::F32_LANES;
                }
                Weights::Outputs(weights) => {
                    let vectors = panels.vectors(output);
                    let len = panels.depth * vectors * S::F32_LANES;
                    let (weights, next) = weights.values()[at..].split_at(len);
                    let panel = Panel { output, bias, weights, next: Next::of(next, len) };
                    match vectors {
                        2 => self.panel::<S, 2>(simd, panel),
                        _ => self.panel::<S, 1>(simd, panel),
                    }
                    at += len;
                    output += vectors * S::F32_LANES;
                }
                Weights::Inputs(_) | Weights::Positions { .. } | Weights::Integers(_) => return,
            }
        }
    }

    /// One panel of weights at all positions, which are shared out evenly.
    #[inline(always)]
    fn panel<S: Simd, const V: usize>(&mut self, simd: S, panel: Panel) {
        let positions = self.positions();
        let blocks = positions.len().div_ceil(most::<S>(V));
        let mut at = positions.start;
        for block in 0..blocks {
            let end = positions.start + positions.len() * (block + 1) / blocks;
            let ahead = panel.next.share(panel.weights, block, blocks, self.panels.depth);
            self.block_of::<S, V>(simd, at, end - at, panel, ahead);
            at = end;
        }
    }

    #[inline(always)]
    fn block_of<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        at: usize,
        count: usize,
        panel: Panel,
        ahead: Ahead,
    ) {
        match count {
            1 => self.block::<S, 1, V>(simd, at, panel, ahead),
            2 => self.block::<S, 2, V>(simd, at, panel, ahead),
            3 => self.block::<S, 3, V>(simd, at, panel, ahead),
            4 => self.block::<S, 4, V>(simd, at, panel, ahead),
            5 if most::<S>(V) >= 5 => self.block::<S, 5, V>(simd, at, panel, ahead),
            6 if most::<S>(V) >= 6 => self.block::<S, 6, V>(simd, at, panel, ahead),
            7 if most::<S>(V) >= 7 => self.block::<S, 7, V>(simd, at, panel, ahead),
            8 if most::<S>(V) >= 8 => self.block::<S, 8, V>(simd, at, panel, ahead),
            9 if most::<S>(V) >= 9 => self.block::<S, 9, V>(simd, at, panel, ahead),
            10 if most::<S>(V) >= 10 => self.block::<S, 10, V>(simd, at, panel, ahead),
            11 if most::<S>(V) >= 11 => self.block::<S, 11, V>(simd, at, panel, ahead),
            12 if most::<S>(V) >= 12 => self.block::<S, 12, V>(simd, at, panel, ahead),
            _ => unreachable!("no block is larger than the largest"),
        }
    }

    /// A function of its own for every size: a compiler takes several times as long for one with all of them.
    #[inline(never)]
    fn block<S: Simd, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        at: usize,
        panel: Panel,
        ahead: Ahead,
    ) {
        simd.vectorize(Block::<P, V> { layer: self, panel, at, ahead });
    }

    /// Writes a panel's sums, no more than are left, from `offset` behind every place on. Sums without a place are
    /// dropped.
    #[inline(always)]
    pub(super) fn store<S: Simd, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        places: &[usize],
        offset: usize,
        left: usize,
        mut sums: [[S::f32s; V]; P],
    ) {
        Activation::each(self.activations, simd, sums.as_flattened_mut());
        let width = V * S::F32_LANES;
        if left < width {
            let sums = bytemuck::cast_slice(sums.as_flattened());
            return self.store_some(places, offset, left, sums, width);
        }
        for (place, sums) in places.iter().zip(&sums) {
            let target = &mut self.output.at(0, place + offset)[..width];
            S::as_mut_simd_f32s(target).0.copy_from_slice(sums);
        }
    }

    /// Writes the first `left` sums of every place, which has `width` of them.
    #[inline(never)]
    fn store_some(
        &mut self,
        places: &[usize],
        offset: usize,
        left: usize,
        sums: &[f32],
        width: usize,
    ) {
        for (place, sums) in places.iter().zip(sums.chunks_exact(width)) {
            self.output.at(0, place + offset)[..left].copy_from_slice(&sums[..left]);
        }
    }

    /// A panel of half-precision weights. Where more positions meet it than are computed at once, it is
    /// widened once for all.
    #[inline(always)]
    fn halves<S: Simd>(&mut self, simd: S, panel: Panel, halves: &Halves, pairs: &[u32]) {
        let at_once = (S::REGISTER_COUNT - 7) / 2;
        match (self.runs.len(), self.positions().len()) {
            (1, 1) => return self.few_halves::<S, 1>(simd, panel, halves, pairs),
            (1, 2) => return self.few_halves::<S, 2>(simd, panel, halves, pairs),
            (1, 3) => return self.few_halves::<S, 3>(simd, panel, halves, pairs),
            (1, 4) => return self.few_halves::<S, 4>(simd, panel, halves, pairs),
            (1, 5..=8) if at_once >= 8 => {
                return self.few_halves::<S, 8>(simd, panel, halves, pairs);
            }
            (1, 9..=12) if at_once >= 12 => {
                return self.few_halves::<S, 12>(simd, panel, halves, pairs);
            }
            _ => {}
        }
        let mut room = std::mem::take(self.room);
        room.resize((2 * pairs.len()).max(room.len()), 0.0);
        let widened = &mut room[..2 * pairs.len()];
        halves.widen(simd, pairs, widened);
        self.panel::<S, 2>(simd, Panel { weights: widened, ..panel });
        *self.room = room;
    }

    /// Up to `P` positions; those that are missing are computed as the last one, and not kept.
    #[inline(always)]
    fn few_halves<S: Simd, const P: usize>(
        &mut self,
        simd: S,
        Panel { output, bias, .. }: Panel,
        halves: &Halves,
        pairs: &[u32],
    ) {
        let (positions, run) = (self.positions(), self.runs[0]);
        let (mut bases, places) = self.places::<P>(positions.start);
        let last = bases[positions.len() - 1];
        bases[positions.len()..].fill(last);
        let inputs = bases.map(|base| &self.input[base + run.offset..][..run.len]);
        let bias = S::as_simd_f32s(bias).0;
        let sums = [[bias[0], bias[1]]; P];
        let sums = halves.tile(simd, inputs, pairs, sums);
        for (place, sums) in places.iter().zip(sums).take(positions.len()) {
            self.store(simd, &[*place], output, self.panels.outputs - output, [sums]);
        }
    }

    /// A layer with few outputs: as many positions at once as their sums fill a vector.
    #[inline(always)]
    fn narrow<S: Simd, const C: usize>(&mut self, simd: S) {
        match S::F32_LANES / C {
            16.. => self.few::<S, 16, C>(simd),
            8.. => self.few::<S, 8, C>(simd),
            5.. => self.few::<S, 5, C>(simd),
            4.. => self.few::<S, 4, C>(simd),
            2.. => self.few::<S, 2, C>(simd),
            _ => self.few::<S, 1, C>(simd),
        }
    }

    #[inline(always)]
    fn few<S: Simd, const P: usize, const C: usize>(&mut self, simd: S) {
        let Weights::Inputs(weights) = &self.panels.weights else { return };
        let weights = S::as_simd_f32s(weights.values()).0;
        let fold = Fold::new(simd);
        let mut bias = [0.0; LANES];
        for (lane, bias) in bias.iter_mut().enumerate() {
            *bias = self.panels.bias[lane % C];
        }
        let bias = S::as_simd_f32s(&bias).0[0];
        let positions = self.positions();
        let mut at = positions.start;
        while at < positions.end {
            // What is behind the last position is computed at the last one, and not kept.
            let count = P.min(positions.end - at);
            let (mut bases, places) = self.places::<P>(at);
            let last = bases[count - 1];
            bases[count..].fill(last);
            let sums = narrow::<S, P, C>(simd, fold, self.input, &bases, self.runs, weights);
            let mut sums = [simd.add_f32s(sums, bias)];
            Activation::each(self.activations, simd, &mut sums);
            let mut values = [0.0; LANES];
            S::as_mut_simd_f32s(&mut values).0[0] = sums[0];
            for (place, values) in places.iter().zip(values.chunks(C)).take(count) {
                for (c, value) in values.iter().enumerate() {
                    let (plane, shift) = self.plane(c);
                    self.output.at(plane, place + shift)[0] = *value;
                }
            }
            at += count;
        }
    }
}
