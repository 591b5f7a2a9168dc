//! Sums of weighted inputs at many positions: convolutions, the phases of transposed ones, and dense
//! layers, whose positions are the images of a batch.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd, bytemuck};

use super::super::pack::{Panels, Weights};
use super::super::step::Part;
use super::activation::Activation;
use super::ahead::{Ahead, Next};
use super::few::Singles;
use super::grid::{Blocks, Grid, MOST, by_size};
use super::halves::HalfArch;
use super::integers::IntegerArch;
use super::planes::Planes;
use super::tile::{Run, tile};

/// Input numbers of a strip of rows, which every panel of weights meets while they are in the cache.
const STRIP: usize = 128 * 1024;
/// The positions whose sums by `vectors` of outputs fit the registers, beside those vectors' weights and an
/// input. Portable code has no vectors to fill.
const fn most<S: Simd>(vectors: usize) -> usize {
    let fit = if S::IS_SCALAR { 4 } else { (S::REGISTER_COUNT - vectors - 1) / vectors };
    if fit < MOST { fit } else { MOST }
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
pub(super) struct Panel<'a> {
    /// The first of them.
    pub(super) output: usize,
    pub(super) bias: &'a [f32],
    pub(super) weights: &'a [f32],
    /// What is read behind them.
    pub(super) next: Next,
}

/// Blocks of `P` positions and the weights of `V` vectors of outputs.
struct Block<'a, 'b, const P: usize, const V: usize> {
    layer: &'a mut Correlate<'b>,
    panel: &'a Panel<'a>,
    blocks: &'a Blocks,
    ahead: Ahead,
}

impl<const P: usize, const V: usize> WithSimd for Block<'_, '_, P, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer, panel, blocks, ahead } = self;
        let [bias, weights] = [panel.bias, panel.weights].map(|numbers| S::as_simd_f32s(numbers).0);
        let left = layer.panels.outputs - panel.output;
        let mut cursor = layer.grid.cursor(blocks.at);
        for number in blocks.numbers.clone() {
            let mut sums = [[simd.splat_f32s(0.0); V]; P];
            for sums in &mut sums {
                sums[..V].copy_from_slice(&bias[..V]);
            }
            let (bases, places) = cursor.places(&layer.grid);
            let ahead = ahead.of_block(number);
            let sums = tile::<S, P, V>(simd, layer.input, &bases, layer.runs, weights, ahead, sums);
            layer.store(simd, &places, panel.output, left, sums);
        }
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
            // No more sums than the registers hold.
            (Weights::Positions { .. }, 3) if S::REGISTER_COUNT < 32 => {
                return self.along_rows::<S, 3, 3>(simd);
            }
            (Weights::Positions { .. }, 3) => return self.along_rows::<S, 4, 3>(simd),
            (Weights::Positions { .. }, _) if S::REGISTER_COUNT < 32 => {
                return self.along_rows::<S, 3, 4>(simd);
            }
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
            Weights::Halves(_) => HalfArch::of(arch).run(self),
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
        self.grid.cursor(at).places(&self.grid)
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
        let Weights::Outputs(weights) = &panels.weights else { return };
        let Range { start: mut output, end } = self.outputs;
        if self.positions().len() == 1 {
            output = self.few::<_, 1, 4>(Singles(simd), output..end);
            output = self.few::<_, 1, 2>(Singles(simd), output..end);
        }
        let mut rest = &weights.values()[panels.depth * output..];
        while output < end {
            let vectors = panels.vectors(output);
            let len = panels.depth * vectors * S::F32_LANES;
            let (weights, later) = rest.split_at(len);
            rest = later;
            let next = Next::of(&rest[..len.min(rest.len())]);
            let panel = Panel { output, bias: &panels.bias[output..], weights, next };
            match vectors {
                2 => self.panel::<S, 2>(simd, &panel),
                _ => self.panel::<S, 1>(simd, &panel),
            }
            output += vectors * S::F32_LANES;
        }
    }

    /// One panel of weights at all positions, which are shared out evenly.
    #[inline(always)]
    pub(super) fn panel<S: Simd, const V: usize>(&mut self, simd: S, panel: &Panel) {
        let shares = Blocks::of(self.positions(), most::<S>(V));
        let blocks = shares[1].numbers.end;
        let ahead = panel.next.share(panel.weights, blocks, self.panels.depth);
        for blocks in shares.iter().filter(|blocks| !blocks.numbers.is_empty()) {
            by_size!(blocks.size, most::<S>(V), P => {
                self.blocks::<S, P, V>(simd, blocks, panel, ahead)
            });
        }
    }

    /// A function of its own for every size: a compiler takes several times as long for one with all of them.
    #[inline(never)]
    fn blocks<S: Simd, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        blocks: &Blocks,
        panel: &Panel,
        ahead: Ahead,
    ) {
        simd.vectorize(Block::<P, V> { layer: self, panel, blocks, ahead });
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
}
