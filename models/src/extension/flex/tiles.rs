//! Tables of sums, cut into tiles that stay in registers while all their products are added.

use std::iter;

use pulp::Simd;

/// Numbers of the widest vector: what is a multiple of as many consists of whole vectors.
pub(super) const LANES: usize = 16;
/// Rows of a tile, the most there are.
const HIGHEST: usize = 6;

/// A table of sums whose columns are vectors.
pub(super) trait Table {
    /// The sums of all rows and of `V` columns, from one on.
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, column: usize);
}

/// The columns of a table that are found side by side.
pub(super) trait Columns {
    /// Their sums in `R` rows, from one on.
    fn tile<S: Simd, const R: usize>(&mut self, simd: S, row: usize);
}

/// All of a table with so many columns.
#[inline(always)]
pub(super) fn table<S: Simd>(simd: S, table: &mut impl Table, columns: usize) {
    const { assert!(widest::<S>() > 0 && LANES.is_multiple_of(S::F32_LANES)) }
    for (column, width) in shares(columns, const { widest::<S>() }) {
        match width {
            1 => table.columns::<S, 1>(simd, column),
            2 => table.columns::<S, 2>(simd, column),
            3 if const { widest::<S>() > 2 } => table.columns::<S, 3>(simd, column),
            4 if const { widest::<S>() > 3 } => table.columns::<S, 4>(simd, column),
            _ => unreachable!("a tile is no wider than the widest"),
        }
    }
}

/// All of so many rows.
#[inline(always)]
pub(super) fn tiles<S: Simd>(simd: S, columns: &mut impl Columns, rows: usize) {
    for (row, height) in heights(rows) {
        match height {
            1 => columns.tile::<S, 1>(simd, row),
            2 => columns.tile::<S, 2>(simd, row),
            3 => columns.tile::<S, 3>(simd, row),
            4 => columns.tile::<S, 4>(simd, row),
            5 => columns.tile::<S, 5>(simd, row),
            _ => columns.tile::<S, HIGHEST>(simd, row),
        }
    }
}

/// The first row of every tile, and how many there are in it.
pub(super) fn heights(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    shares(rows, HIGHEST)
}

/// Parts of so many that are as even as they can be, none larger than the largest: the first of each, and its size.
pub(super) fn shares(all: usize, largest: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    iter::from_fn(move || {
        let left = all - first;
        let size = left.div_ceil(left.div_ceil(largest).max(1));
        first += size;
        (size > 0).then_some((first - size, size))
    })
}

/// The columns whose sums in the most rows fit in the registers, beside the columns' numbers, a row's, and one for the
/// compiler.
const fn widest<S: Simd>() -> usize {
    (S::REGISTER_COUNT - 2) / (HIGHEST + 1)
}
