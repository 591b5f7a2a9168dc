//! Positions on a grid, and how they are shared out.

use std::ops::Range;

/// The positions that are computed at once, at most.
pub(super) const MOST: usize = 12;

/// Computes with the size of blocks as a constant, for every size up to the largest.
macro_rules! by_size {
    ($size:expr, $most:expr, $constant:ident => $compute:block) => {
        by_size!($size, $most, $constant => $compute, 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    ($size:expr, $most:expr, $constant:ident => $compute:block, $($each:literal)+) => {
        match $size {
            $($each if $most >= $each => {
                const $constant: usize = $each;
                $compute
            })+
            _ => unreachable!("no block is larger than the largest"),
        }
    };
}
pub(super) use by_size;

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

/// A position that moves on, by columns and then rows, and where its input and its output begin.
pub(super) struct Cursor {
    column: usize,
    input: usize,
    output: usize,
}

/// Blocks of as many consecutive positions each.
pub(super) struct Blocks {
    pub(super) size: usize,
    /// The first position of the first of them.
    pub(super) at: usize,
    /// Their numbers among all.
    pub(super) numbers: Range<usize>,
}

impl Grid {
    pub(super) fn cursor(&self, at: usize) -> Cursor {
        let (row, column) = (at / self.columns, at % self.columns);
        let place = |[first, down, along]: [usize; 3]| first + row * down + column * along;
        Cursor { column, input: place(self.input), output: place(self.output) }
    }
}

impl Cursor {
    /// Where the inputs and the outputs of the next positions begin.
    #[inline(always)]
    pub(super) fn places<const P: usize>(&mut self, grid: &Grid) -> ([usize; P], [usize; P]) {
        let Grid { columns, input, output, .. } = *grid;
        let (mut inputs, mut outputs) = ([0; P], [0; P]);
        for (i, o) in inputs.iter_mut().zip(&mut outputs) {
            (*i, *o) = (self.input, self.output);
            self.column += 1;
            self.input += input[2];
            self.output += output[2];
            if self.column == columns {
                self.column = 0;
                self.input = self.input + input[1] - columns * input[2];
                self.output = self.output + output[1] - columns * output[2];
            }
        }
        (inputs, outputs)
    }
}

impl Blocks {
    /// Positions shared out evenly to blocks of `most` at most: those with one more come first.
    pub(super) fn of(positions: Range<usize>, most: usize) -> [Self; 2] {
        let count = positions.len().div_ceil(most);
        let size = positions.len().div_ceil(count.max(1));
        let large = positions.len() - count * size.saturating_sub(1);
        let at = positions.start;
        [
            Self { size, at, numbers: 0..large },
            Self { size: size.saturating_sub(1), at: at + large * size, numbers: large..count },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_every_position_once() {
        for (len, most) in (0..100).flat_map(|len| (1..13).map(move |most| (len, most))) {
            let (mut at, mut number, mut sizes) = (7, 0, vec![]);
            for blocks in Blocks::of(7..7 + len, most) {
                assert!(blocks.numbers.is_empty() || blocks.at == at, "{len} by {most}");
                for block in blocks.numbers {
                    assert_eq!(block, number, "{len} by {most}");
                    sizes.push(blocks.size);
                    number += 1;
                    at += blocks.size;
                }
            }
            assert_eq!((at, number), (7 + len, len.div_ceil(most)), "{len} by {most}");
            assert!(sizes.iter().all(|size| (1..=most).contains(size)), "{sizes:?}");
            assert!(sizes.first().zip(sizes.last()).is_none_or(|(a, b)| a - b <= 1), "{sizes:?}");
        }
    }
}
