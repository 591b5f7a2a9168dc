//! Large images by tiles: cut out, scored one by one, and put together again.

use ndarray::Array4;

use crate::images::Picture;
use crate::{Error, ImageSpec};

mod assembly;

pub use assembly::Assembly;

/// The most tiles of an image.
const MOST_TILES: usize = 1 << 20;

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
    /// [`Error::Setting`] for a stride that leaves gaps or goes nowhere and for more than 2^20 tiles,
    /// [`Error::Shape`] for an image smaller than a tile.
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
        let starts = |length: usize| -> Vec<usize> {
            let last = length - side;
            (0..last).step_by(stride).chain([last]).collect()
        };
        let (tops, lefts) = (starts(height), starts(width));
        let count = tops.len() * lefts.len();
        if count > MOST_TILES {
            let expected = format!("at most {MOST_TILES} (hint: a larger --stride)");
            let (what, got) = ("the number of an image's tiles", count.to_string());
            return Err(Error::Setting { what, got, expected });
        }
        Ok(Self { side, height, width, tops, lefts })
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

    /// Cuts the tiles out of a picture in batches of `size`, at least 1, of which the last may be
    /// smaller. Each is cut from the picture as it is and becomes a tensor as by
    /// [`ImageSpec::tensor`], when it is asked for.
    ///
    /// # Shapes
    ///
    /// output: `[N, C, H, W]`
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a picture of another size, and in the place of a batch those of
    /// [`ImageSpec::tensor`].
    pub fn batches<'a>(
        &'a self,
        picture: &'a Picture,
        spec: &'a ImageSpec,
        size: usize,
    ) -> Result<impl Iterator<Item = Result<Array4<f32>, Error>> + 'a, Error> {
        let (width, height) = picture.size();
        if (height, width) != (self.height, self.width) {
            let (what, got) = ("the image", vec![height, width]);
            let expected = format!("[{}, {}]", self.height, self.width);
            return Err(Error::Shape { what, got, expected });
        }
        let size = size.max(1);
        Ok((0..self.count()).step_by(size).map(move |first| {
            let places = first..(first + size).min(self.count());
            let tiles: Vec<_> = places.map(|index| self.tile(picture, index)).collect();
            spec.batch(&tiles)
        }))
    }

    /// A picture's tile, under a name that says where it lies.
    fn tile(&self, picture: &Picture, index: usize) -> Picture {
        let (y, x) = self.position(index);
        let name = format!("{}, tile at {x},{y}", picture.name);
        Picture { name, pixels: picture.pixels.cut([x, y], [self.side, self.side]) }
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
    use image::{GrayImage, Luma};
    use ndarray::{Array2, Array3, Axis};
    use proptest::prelude::*;

    use super::*;
    use crate::Resize;
    use crate::images::Pixels;

    /// A picture of the values `[H, W, C]`.
    pub(super) fn picture(values: Array3<f32>) -> Picture {
        Picture { name: "values".into(), pixels: Pixels::Float(values) }
    }

    /// Tiles of a side as they are, whatever their values.
    pub(super) fn spec(channels: usize, side: usize) -> ImageSpec {
        ImageSpec { range: [-1e30, 1e30], ..ImageSpec::new(channels, side, side) }
    }

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
        let picture =
            picture(Array3::from_shape_fn((3, 5, 3), |(y, x, c)| (100 * c + 10 * y + x) as f32));
        let tiles = Tiles::new(3, 5, 2, 2).expect("they fit");
        let spec = spec(3, 2);
        let batches = tiles.batches(&picture, &spec, 4).expect("its size");
        let batches: Vec<_> = batches.map(|batch| batch.expect("within the range")).collect();
        let shapes: Vec<_> = batches.iter().map(Array4::dim).collect();
        assert_eq!(shapes, [(4, 3, 2, 2), (2, 3, 2, 2)]);
        // The sixth tile lies at row 1 and column 3.
        let last = batches[1].index_axis(Axis(0), 1);
        let first = [13.0, 14.0, 23.0, 24.0];
        let expected = [0.0, 100.0, 200.0].map(|c| first.map(|v| v + c));
        assert!(last.iter().eq(expected.as_flattened()));
    }

    #[test]
    fn a_tile_of_another_size_is_resized_where_that_is_asked_for() {
        let grey = GrayImage::from_fn(8, 4, |x, _| Luma([if x < 4 { 0 } else { 255 }]));
        let picture = Picture { name: "x".into(), pixels: Pixels::Integer(grey.into()) };
        let tiles = Tiles::new(4, 8, 4, 4).expect("they fit");
        let first = |spec: &ImageSpec| tiles.batches(&picture, spec, 8).expect("its size").next();
        let refused = first(&ImageSpec::new(1, 2, 2)).expect("a batch");
        let message = refused.expect_err("it is of another size").to_string();
        assert!(message.starts_with("`x, tile at 0,0` is 4x4 pixels"), "{message}");
        let stretched = ImageSpec { resize: Resize::Stretch, ..ImageSpec::new(1, 2, 2) };
        let batch = first(&stretched).expect("a batch").expect("stretched");
        assert!(batch.iter().eq(&[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]), "{batch}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (height, width) in [(3, 8), (8, 3)] {
            let refused = Tiles::new(height, width, 4, 2);
            assert!(matches!(refused, Err(Error::Shape { .. })), "{height}x{width}");
        }
        for (side, stride, size) in [(4, 0, 8), (4, 5, 8), (0, 0, 8), (1, 1, 1025)] {
            let refused = Tiles::new(size, size, side, stride);
            assert!(matches!(refused, Err(Error::Setting { .. })), "{side} at {stride}");
        }
        let tiles = Tiles::new(4, 6, 4, 2).expect("they fit");
        assert!(tiles.batches(&picture(Array3::zeros((6, 4, 1))), &spec(1, 4), 1).is_err());
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
