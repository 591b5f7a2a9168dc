//! Layers with few outputs over long rows: vectors lie along the rows.

use pulp::Simd;

use super::super::pack::Weights;
use super::activation::Activation;
use super::correlate::Correlate;
use super::grid::Grid;
use super::narrow::LANES;

/// The positions of consecutive rows that are computed at once, at most.
const ALONG: usize = 8 * LANES;

impl Correlate<'_> {
    /// A layer with few outputs over long rows. These are one row, `X` vectors of positions at once: what is
    /// computed between the last position of a row and the first of the next is not kept.
    #[inline(always)]
    pub(super) fn along_rows<S: Simd, const X: usize, const C: usize>(&mut self, simd: S) {
        let Grid { rows, columns, input: [_, pitch, _], .. } = self.grid;
        let [first, end] = [self.rows.start, self.rows.end].map(|row| row * pitch);
        let last = (rows - 1) * pitch + columns - X * S::F32_LANES;
        let mut values = [[[0.0; ALONG]; C]; 2];
        for at in (first..end).step_by(X * S::F32_LANES) {
            let at = at.min(last);
            let others = self.beside.iter().map(|part| (&part.panels, &part.grid));
            let phases = std::iter::once((self.panels, &self.grid)).chain(others);
            for ((panels, grid), values) in phases.zip(&mut values) {
                let Weights::Positions { offsets, weights } = &panels.weights else { return };
                let (base, bias) = (grid.input[0] + at, &panels.bias[..C]);
                let mut sums = row::<S, X, C>(simd, self.input, base, offsets, weights, bias);
                Activation::each(self.activations, simd, sums.as_flattened_mut());
                for (values, sums) in values.iter_mut().zip(sums) {
                    for (value, sum) in S::as_mut_simd_f32s(values).0.iter_mut().zip(sums) {
                        *value = sum;
                    }
                }
            }
            let mut from = at.max(first);
            while from < end.min(at + X * S::F32_LANES) {
                let (row, column) = (from / pitch, from % pitch);
                if column < columns {
                    let len = (at + X * S::F32_LANES - from).min(columns - column);
                    self.store_along::<C>(&values, from - at, row, column, len);
                    from += len;
                } else {
                    from = (row + 1) * pitch;
                }
            }
        }
    }

    /// Writes the results of consecutive positions of a row, those of its phases in turn.
    #[inline(always)]
    fn store_along<const C: usize>(
        &mut self,
        values: &[[[f32; ALONG]; C]; 2],
        from: usize,
        row: usize,
        column: usize,
        len: usize,
    ) {
        let Grid { width, output, .. } = self.grid;
        let phases = 1 + self.beside.len();
        let pixel = output[2] / phases;
        for c in 0..C {
            let (plane, shift) = self.plane(c);
            let place = output[0] + row * output[1] + column * output[2] + shift;
            let target = self.output.at(plane, place);
            let (even, odd) = (&values[0][c][from..][..len], &values[1][c][from..][..len]);
            match (pixel, phases) {
                (1, 1) => target[..len].copy_from_slice(even),
                (1, _) => {
                    let outputs = (2 * len).min(width - 2 * column);
                    let (pairs, alone) = target[..outputs].as_chunks_mut::<2>();
                    for (pair, (even, odd)) in pairs.iter_mut().zip(even.iter().zip(odd)) {
                        *pair = [*even, *odd];
                    }
                    alone.copy_from_slice(&even[len - alone.len()..]);
                }
                _ => {
                    for (phase, values) in [even, odd].iter().enumerate().take(phases) {
                        let left = (width - phases * column).saturating_sub(phase);
                        let values = &values[..len.min(left.div_ceil(phases))];
                        for (i, value) in values.iter().enumerate() {
                            target[(phases * i + phase) * pixel] = *value;
                        }
                    }
                }
            }
        }
    }
}

/// The sums of `X` vectors of consecutive positions by `C` outputs, from inputs in planes.
///
/// `base` is the place of the first position; `offsets` the inputs of a sum from there on; `weights` those of
/// all outputs for each.
#[inline(always)]
fn row<S: Simd, const X: usize, const C: usize>(
    simd: S,
    input: &[f32],
    base: usize,
    offsets: &[usize],
    weights: &[f32],
    bias: &[f32],
) -> [[S::f32s; X]; C] {
    let mut sums = [[simd.splat_f32s(0.0); X]; C];
    for (sums, bias) in sums.iter_mut().zip(bias) {
        *sums = [simd.splat_f32s(*bias); X];
    }
    let input = &input[base..];
    for (&offset, weights) in offsets.iter().zip(weights.as_chunks::<C>().0) {
        let x = S::as_simd_f32s(&input[offset..][..X * S::F32_LANES]).0;
        let x: &[S::f32s; X] = x.as_array().expect("as many vectors");
        for c in 0..C {
            let weight = simd.splat_f32s(weights[c]);
            for i in 0..X {
                sums[c][i] = simd.mul_add_e_f32s(x[i], weight, sums[c][i]);
            }
        }
    }
    sums
}
