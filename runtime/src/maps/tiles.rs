//! Large images by tiles: cut out, scored one by one, and put together again.

use ndarray::{Array4, ArrayView3, Axis, Slice};

use crate::Error;

mod assembly;

pub use assembly::Assembly;

/// Square tiles that cover an image.
///
/// They follow each other row by row at the stride; the last of a row and of a column lies at the
/// image's border, nearer to the one before where the stride does not divide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiles {
    side: usize,
    height: usize,
    width: usize,
    /// The topmost row of every row of tiles.
    tops: Vec<usize>,
    /// The leftmost column of every column of tiles.
    lefts: Vec<usize>,
}

impl Tiles {
    /// Tiles of `side` by `side` pixels at a `stride` of 1 to `side` pixels.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a stride that leaves gaps or goes nowhere, [`Error::Shape`] for an
    /// image smaller than a tile.
    pub fn new(height: usize, width: usize, side: usize, stride: usize) -> Result<Self, Error> {
        if !(1..=side).contains(&stride) {
            let expected = format!("from 1 to the tiles' side of {side} pixels");
            let (what, got) = ("the stride of tiles", stride.to_string());
            return Err(Error::Setting { what, got, expected });
        }
        if height < side || width < side {
            let (what, got) = ("an image to be tiled", vec![height, width]);
            return Err(Error::Shape { what, got, expected: format!("at least [{side}, {side}]") });
        }
        let starts = |length: usize| {
            let last = length - side;
            (0..last).step_by(stride).chain([last]).collect()
        };
        Ok(Self { side, height, width, tops: starts(height), lefts: starts(width) })
    }

    /// The number of tiles.
    pub fn count(&self) -> usize {
        self.tops.len() * self.lefts.len()
    }

    /// The topmost row and leftmost column of tile `index`, counted row by row.
    ///
    /// # Panics
    ///
    /// Where there is no such tile.
    pub fn position(&self, index: usize) -> (usize, usize) {
        (self.tops[index / self.lefts.len()], self.lefts[index % self.lefts.len()])
    }

    /// Cuts the tiles out of an image in batches of `size`, at least 1, of which the last may be
    /// smaller; each is cut when it is asked for.
    ///
    /// # Shapes
    ///
    /// image: `[C, H, W]`, output: `[N, C, side, side]`
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for an image of another size.
    pub fn batches<'a>(
        &'a self,
        image: ArrayView3<'a, f32>,
        size: usize,
    ) -> Result<impl Iterator<Item = Array4<f32>> + 'a, Error> {
        let (channels, height, width) = image.dim();
        if (height, width) != (self.height, self.width) {
            return Err(Error::Shape {
                what: "the image",
                got: image.shape().to_vec(),
                expected: format!("[C, {}, {}]", self.height, self.width),
            });
        }
        let (side, size) = (self.side, size.max(1));
        Ok((0..self.count()).step_by(size).map(move |first| {
            let count = size.min(self.count() - first);
            let mut batch = Array4::zeros((count, channels, side, side));
            for (i, mut tile) in batch.outer_iter_mut().enumerate() {
                let (y, x) = self.position(first + i);
                let rows = image.slice_axis(Axis(1), Slice::from(y..y + side));
                tile.assign(&rows.slice_axis(Axis(2), Slice::from(x..x + side)));
            }
            batch
        }))
    }

    /// A map of the image that takes the tiles' maps.
    pub fn assembly(&self) -> Assembly<'_> {
        Assembly::new(self)
    }
}

/// Of this many tiles, one counts for the image's score.
const TILES_PER_WORST: usize = 100;

/// The score of an image from those of its tiles: the mean over the worst hundredth of them, rounded
/// up, and so the largest of up to 100.
///
/// A defect is in few tiles, so that a mean over all would drown it. The largest alone hangs on one
/// tile, and grows with their number on normal images too; from 100 tiles on, the mean of a
/// hundredth estimates the same tail whatever their number. `None` without tiles and for a score
/// that is not a number.
pub fn worst_tiles(scores: &[f64]) -> Option<f64> {
    if scores.is_empty() || scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let worst = &sorted[..sorted.len().div_ceil(TILES_PER_WORST)];
    Some(worst.iter().sum::<f64>() / worst.len() as f64)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tiles_follow_each_other_row_by_row_to_the_border() {
        let cases: [(_, &[_]); 5] = [
            ((4, 4, 4, 1), &[(0, 0)]),
            ((4, 8, 4, 4), &[(0, 0), (0, 4)]),
            ((4, 9, 4, 4), &[(0, 0), (0, 4), (0, 5)]),
            ((5, 6, 4, 2), &[(0, 0), (0, 2), (1, 0), (1, 2)]),
            ((4, 6, 4, 3), &[(0, 0), (0, 2)]),
        ];
        for ((height, width, side, stride), expected) in cases {
            let tiles = Tiles::new(height, width, side, stride).expect("they fit");
            let got: Vec<_> = (0..tiles.count()).map(|i| tiles.position(i)).collect();
            assert_eq!(got, expected, "{height}x{width} by {side} at {stride}");
        }
    }

    #[test]
    fn batches_hold_the_tiles_with_all_channels() {
        let image = Array3::from_shape_fn((2, 3, 5), |(c, y, x)| (100 * c + 10 * y + x) as f32);
        let tiles = Tiles::new(3, 5, 2, 2).expect("they fit");
        let batches: Vec<_> = tiles.batches(image.view(), 4).expect("its size").collect();
        let shapes: Vec<_> = batches.iter().map(Array4::dim).collect();
        assert_eq!(shapes, [(4, 2, 2, 2), (2, 2, 2, 2)]);
        // The sixth tile lies at row 1 and column 3.
        let last = batches[1].index_axis(Axis(0), 1);
        assert!(last.iter().eq(&[13.0, 14.0, 23.0, 24.0, 113.0, 114.0, 123.0, 124.0]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (height, width) in [(3, 8), (8, 3)] {
            let refused = Tiles::new(height, width, 4, 2);
            assert!(matches!(refused, Err(Error::Shape { .. })), "{height}x{width}");
        }
        for (side, stride) in [(4, 0), (4, 5), (0, 0)] {
            let refused = Tiles::new(8, 8, side, stride);
            assert!(matches!(refused, Err(Error::Setting { .. })), "{side} at {stride}");
        }
        let tiles = Tiles::new(4, 6, 4, 2).expect("they fit");
        assert!(tiles.batches(Array3::zeros((1, 6, 4)).view(), 1).is_err());
    }

    #[test]
    fn the_worst_hundredth_makes_the_score() {
        let scores: Vec<f64> = (0..250).map(|i| f64::from(i * 7 % 250)).collect();
        assert_eq!(worst_tiles(&scores), Some((249.0 + 248.0 + 247.0) / 3.0));
        assert_eq!(worst_tiles(&scores[..100]), scores[..100].iter().copied().reduce(f64::max));
        assert_eq!(worst_tiles(&[-2.0]), Some(-2.0));
        assert_eq!(worst_tiles(&[]), None);
        assert_eq!(worst_tiles(&[1.0, f64::NAN]), None);
    }

    /// An image's height and width, and the side and stride of tiles that fit.
    pub(super) fn layouts() -> impl Strategy<Value = (usize, usize, usize, usize)> {
        (1..9_usize).prop_flat_map(|side| (side..side + 20, side..side + 20, Just(side), 1..=side))
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::with_cases(300)
        })]

        #[test]
        fn every_pixel_is_covered((height, width, side, stride) in layouts()) {
            let tiles = Tiles::new(height, width, side, stride).expect("they fit");
            let mut covered = Array2::from_elem((height, width), false);
            for (top, left) in (0..tiles.count()).map(|i| tiles.position(i)) {
                prop_assert!(top + side <= height && left + side <= width);
                for (y, x) in (0..side * side).map(|i| (top + i / side, left + i % side)) {
                    covered[[y, x]] = true;
                }
            }
            prop_assert!(covered.iter().all(|&covered| covered));
        }
    }
}
