//! Copies between pixels whose channels lie side by side and planes.

use pulp::{Simd, WithSimd};

/// Numbers along the side of a block, whose transposition stays in registers.
const SIDE: usize = 8;

/// A matrix whose columns become rows.
pub(in super::super) struct Transpose<'a> {
    pub(in super::super) input: &'a [f32],
    pub(in super::super) output: &'a mut [f32],
    pub(in super::super) rows: usize,
    pub(in super::super) columns: usize,
    /// From a row of the input to the next, and from a row of the output.
    pub(in super::super) pitches: [usize; 2],
}

impl WithSimd for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { input, output, rows, columns, pitches: [from, to] } = self;
        for column in (0..columns).step_by(SIDE) {
            let width = SIDE.min(columns - column);
            for row in (0..rows).step_by(SIDE) {
                let height = SIDE.min(rows - row);
                let (input, output) =
                    (&input[row * from + column..], &mut output[column * to + row..]);
                if (height, width) == (SIDE, SIDE) {
                    block(input, output, [from, to]);
                    continue;
                }
                for x in 0..width {
                    for y in 0..height {
                        output[x * to + y] = input[y * from + x];
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn block(input: &[f32], output: &mut [f32], [from, to]: [usize; 2]) {
    let mut block = [[0.0; SIDE]; SIDE];
    for (y, row) in block.iter_mut().enumerate() {
        row.copy_from_slice(&input[y * from..][..SIDE]);
    }
    for x in 0..SIDE {
        let mut column = [0.0; SIDE];
        for y in 0..SIDE {
            column[y] = block[y][x];
        }
        output[x * to..][..SIDE].copy_from_slice(&column);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_rows_and_nothing_else_is_written() {
        for (rows, columns) in [(1, 1), (8, 8), (7, 19), (33, 16), (24, 9)] {
            let [from, to] = [columns + 3, rows + 5];
            let input: Vec<f32> = (0..rows * from).map(|i| i as f32).collect();
            let pitches = [from, to];
            for arch in super::super::instruction_sets() {
                let mut output = vec![-1.0; columns * to];
                let (input, output_now) = (&input[..], &mut output[..]);
                arch.dispatch(Transpose { input, output: output_now, rows, columns, pitches });
                for (place, value) in output.iter().enumerate() {
                    let (column, row) = (place / to, place % to);
                    let expected = if row < rows { (row * from + column) as f32 } else { -1.0 };
                    assert_eq!(*value, expected, "{rows} by {columns}, row {row}, {column}");
                }
            }
        }
    }
}
