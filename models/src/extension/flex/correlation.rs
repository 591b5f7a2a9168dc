use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::tiles::{Columns, Table, heights, shares, table, tiles};

/// Numbers of a panel, about: it stays in the nearest cache while every weight meets it.
const PANEL: usize = 4 * 1024;

/// Sums of weighted numbers that lie side by side: at position `n` row `r` is the sum over `k` of
/// `weight[r][k] * source[offset[k] + n]`.
pub(super) struct Correlation {
    rows: usize,
    offsets: Vec<usize>,
    /// `[K, R]` for every `R` rows that are found at once.
    weights: Vec<f32>,
}

impl Correlation {
    /// A correlation of so many rows, with `weight(row, k)` for what lies at `offsets[k]`.
    pub(super) fn new(
        rows: usize,
        offsets: Vec<usize>,
        weight: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let mut weights = Vec::with_capacity(rows * offsets.len());
        for (row, height) in heights(rows) {
            for k in 0..offsets.len() {
                weights.extend((row..row + height).map(|row| weight(row, k)));
            }
        }
        Self { rows, offsets, weights }
    }

    /// The sums at so many positions: `[R, N]`, of which a row is whole vectors long.
    pub(super) fn run(
        &self,
        source: &[f32],
        positions: usize,
        panel: &mut Vec<f32>,
        sums: &mut [f32],
    ) {
        if self.offsets.is_empty() {
            return sums.fill(0.0);
        }
        let stride = sums.len() / self.rows;
        Arch::new().dispatch(Sums { of: self, source, positions, panel, stride, sums });
    }
}

/// The sums of every position.
struct Sums<'a> {
    of: &'a Correlation,
    source: &'a [f32],
    positions: usize,
    /// Room for what weights meet.
    panel: &'a mut Vec<f32>,
    /// From a row of sums to the next.
    stride: usize,
    sums: &'a mut [f32],
}

/// Those of `V` vectors of positions, from a part of what weights meet.
struct Part<'a, const V: usize> {
    of: &'a Correlation,
    range: Range<usize>,
    /// `[K, V]`
    panel: &'a [f32],
    stride: usize,
    sums: &'a mut [f32],
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let columns = self.positions.div_ceil(S::F32_LANES);
        table(simd, &mut self, columns);
    }
}

impl Table for Sums<'_> {
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, column: usize) {
        let (of, first) = (self.of, column * S::F32_LANES);
        let (source, sums) = (&self.source[first..], &mut self.sums[first..]);
        for (k, depth) in shares(of.offsets.len(), PANEL / (V * S::F32_LANES)) {
            let range = k..k + depth;
            self.panel.resize(depth * V * S::F32_LANES, 0.0);
            let places = S::as_mut_simd_f32s(self.panel).0.as_chunks_mut::<V>().0;
            for (place, offset) in places.iter_mut().zip(&of.offsets[range.clone()]) {
                let numbers = &source[*offset..][..V * S::F32_LANES];
                place.copy_from_slice(S::as_simd_f32s(numbers).0);
            }
            let (panel, stride) = (&self.panel[..], self.stride);
            let mut part = Part::<V> { of, range, panel, stride, sums: &mut *sums };
            tiles(simd, &mut part, of.rows);
        }
    }
}

impl<const V: usize> Columns for Part<'_, V> {
    #[inline(always)]
    fn tile<S: Simd, const R: usize>(&mut self, simd: S, row: usize) {
        let weights = &self.of.weights[row * self.of.offsets.len()..];
        let weights = weights[self.range.start * R..self.range.end * R].as_chunks::<R>().0;
        let numbers = S::as_simd_f32s(self.panel).0.as_chunks::<V>().0;
        let width = V * S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        if self.range.start > 0 {
            for (r, sums) in sums.iter_mut().enumerate() {
                let place = &self.sums[(row + r) * self.stride..][..width];
                sums.copy_from_slice(S::as_simd_f32s(place).0);
            }
        }
        for (weights, numbers) in weights.iter().zip(numbers) {
            for r in 0..R {
                let weight = simd.splat_f32s(weights[r]);
                for v in 0..V {
                    sums[r][v] = simd.mul_add_e_f32s(weight, numbers[v], sums[r][v]);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            let place = &mut self.sums[(row + r) * self.stride..][..width];
            S::as_mut_simd_f32s(place).0.copy_from_slice(sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::Scalar;

    use super::super::tiles::LANES;
    use super::*;

    /// Weights enough for several panels, rows for tiles of every height, positions that fill no vector.
    #[test]
    fn sums_are_those_of_a_plain_loop() {
        const SHAPES: [[usize; 3]; 5] =
            [[1, 1, 1], [3, 9, 13], [8, 0, 5], [13, 70, 40], [6, 1200, 21]];
        for [rows, depth, positions] in SHAPES {
            let weight = |row: usize, k: usize| (row * depth + k) as f32 * 0.37 % 2.0 - 1.0;
            let offsets: Vec<_> = (0..depth).map(|k| k * 7 % 100).collect();
            let source: Vec<_> = (0..200).map(|n| (n as f32 * 0.71).sin()).collect();
            let of = Correlation::new(rows, offsets.clone(), weight);
            let stride = positions.next_multiple_of(LANES);
            let mut sums = vec![f32::NAN; rows * stride];
            let mut plain = sums.clone();
            of.run(&source, positions, &mut vec![], &mut sums);
            let (of, source, panel) = (&of, &source[..], &mut vec![]);
            if depth > 0 {
                let sums = &mut plain[..];
                Scalar.vectorize(Sums { of, source, positions, panel, stride, sums });
            }
            for (row, n) in (0..rows).flat_map(|row| (0..positions).map(move |n| (row, n))) {
                let products =
                    (0..depth).map(|k| f64::from(weight(row, k) * source[offsets[k] + n]));
                let expected = products.sum::<f64>() as f32;
                let found = [&sums, &plain].map(|sums| sums[row * stride + n]);
                for found in &found[..if depth > 0 { 2 } else { 1 }] {
                    assert!((found - expected).abs() < 1e-4, "{found} instead of {expected}");
                }
            }
        }
    }
}
