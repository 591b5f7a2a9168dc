//! Products of inputs in 16 bits, by pairs: a pair meets those of the weights of all outputs of a panel, which lie
//! side by side.

use pulp::bytemuck::{self, Pod};
use pulp::{NullaryFnOnce, Simd};

use super::super::super::pack::Weights;
use super::super::correlate::Correlate;
use super::super::grid::{Blocks, MOST, by_size};
use super::{IntegerPanel, IntegerPanels};

/// Vectors of sums of 32 bits, each of them of products of pairs of 16 bits.
pub(super) trait IntegerSimd: Copy {
    /// Vectors of as many numbers.
    type Floats: Simd;
    /// For every sum a pair of weights in eight bits.
    type Weights: Pod;
    /// For every sum a pair in 16 bits.
    type Pairs: Copy;
    type Sums: Copy;

    /// Runs what is compiled for these vectors.
    fn vectorize(self, run: impl NullaryFnOnce<Output = ()>);
    fn floats(self) -> Self::Floats;
    fn zero(self) -> Self::Sums;
    /// The same pair for every sum.
    fn splat(self, pair: [i16; 2]) -> Self::Pairs;
    fn widen(self, weights: Self::Weights) -> Self::Pairs;
    /// `sums` and the two products of every pair.
    fn add_products(self, a: Self::Pairs, b: Self::Pairs, sums: Self::Sums) -> Self::Sums;
    fn add(self, a: Self::Sums, b: Self::Sums) -> Self::Sums;
    fn to_floats(self, sums: Self::Sums) -> <Self::Floats as Simd>::f32s;
}

/// A layer by pairs.
pub(super) struct Pairs<'a, I>(pub(super) I, pub(super) Correlate<'a>);

impl<I: IntegerSimd> NullaryFnOnce for Pairs<'_, I> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.1.pairs(self.0);
    }
}

/// The positions whose sums by `vectors` of outputs fit the registers, beside those vectors' weights, an
/// input and a product.
const fn most<I: IntegerSimd>(vectors: usize) -> usize {
    let fit = (I::Floats::REGISTER_COUNT - vectors - 2) / vectors;
    if fit < MOST { fit } else { MOST }
}

impl Correlate<'_> {
    #[inline(always)]
    fn pairs<I: IntegerSimd>(mut self, simd: I) {
        let Weights::Integers(panels) = &self.panels.weights else { return };
        let mut room = std::mem::take(self.room);
        for rows in self.strips(2) {
            self.rows = rows;
            let (first, len) = self.extent();
            room.resize((len / 2 + 1).max(room.len()), 0.0);
            let integers: &mut [i16] = bytemuck::cast_slice_mut(&mut room[..]);
            panels
                .rounding
                .integers(&self.input[first..][..len], integers, |integer| integer as i16);
            let outputs = self.outputs.clone();
            for panel in panels.panels.iter().filter(|panel| outputs.contains(&panel.output)) {
                let block = IntegerBlock { panel, panels, input: integers, first };
                match panel.outputs > <I::Floats as Simd>::F32_LANES {
                    true => self.integer_panel::<I, 2>(simd, &block),
                    false => self.integer_panel::<I, 1>(simd, &block),
                }
            }
        }
        *self.room = room;
    }

    #[inline(always)]
    fn integer_panel<I: IntegerSimd, const V: usize>(&mut self, simd: I, block: &IntegerBlock) {
        let shares = Blocks::of(self.positions(), most::<I>(V));
        for blocks in shares.iter().filter(|blocks| !blocks.numbers.is_empty()) {
            by_size!(blocks.size, most::<I>(V), P => {
                const U: usize = if P < 3 { 4 / P } else { 1 };
                self.integer_blocks::<I, P, V, U>(simd, block, blocks)
            });
        }
    }

    /// A function of its own for every size: a compiler takes several times as long for one with all of them.
    #[inline(never)]
    fn integer_blocks<I: IntegerSimd, const P: usize, const V: usize, const U: usize>(
        &mut self,
        simd: I,
        block: &IntegerBlock,
        blocks: &Blocks,
    ) {
        simd.vectorize(PairsBlock::<I, P, V, U> { simd, layer: self, block, blocks });
    }
}

/// Blocks of `P` positions and the weights of `V` vectors of outputs, whose sums grow in `U` parts.
struct PairsBlock<'a, 'b, I, const P: usize, const V: usize, const U: usize> {
    simd: I,
    layer: &'a mut Correlate<'b>,
    block: &'a IntegerBlock<'a>,
    blocks: &'a Blocks,
}

impl<I: IntegerSimd, const P: usize, const V: usize, const U: usize> NullaryFnOnce
    for PairsBlock<'_, '_, I, P, V, U>
{
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, layer, block, blocks } = self;
        let output = block.panel.output;
        let lanes = <I::Floats as Simd>::F32_LANES;
        let floats = simd.floats();
        let scale = I::Floats::as_simd_f32s(&block.panels.scale[output..][..V * lanes]).0;
        let bias = I::Floats::as_simd_f32s(&layer.panels.bias[output..][..V * lanes]).0;
        let mut cursor = layer.grid.cursor(blocks.at);
        for _ in blocks.numbers.clone() {
            let (bases, places) = cursor.places(&layer.grid);
            let sums = block.sums::<I, P, V, U>(simd, &bases);
            let mut scaled = [[floats.splat_f32s(0.0); V]; P];
            for p in 0..P {
                for v in 0..V {
                    let sum = simd.to_floats(sums[p][v]);
                    scaled[p][v] = floats.mul_add_e_f32s(sum, scale[v], bias[v]);
                }
            }
            layer.store(floats, &places, block.panel.place, block.panel.outputs, scaled);
        }
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
