use ndarray::{Array2, ArrayView3, Axis, Slice};

use super::super::checks;
use super::Tiles;
use crate::Error;

/// A map that grows tile by tile.
#[derive(Debug, Clone)]
pub struct Assembly<'a> {
    tiles: &'a Tiles,
    sums: Array2<f64>,
    added: usize,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(tiles: &'a Tiles) -> Self {
        Self { tiles, sums: Array2::zeros((tiles.height, tiles.width)), added: 0 }
    }

    /// Adds the maps of the next tiles, in the order of [`Tiles::batches`] and at the tiles' size.
    ///
    /// # Shapes
    ///
    /// maps: `[N, side, side]`
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for maps of another size or of more tiles than there are.
    pub fn add(&mut self, maps: ArrayView3<f32>) -> Result<(), Error> {
        let (side, left) = (self.tiles.side, self.tiles.count() - self.added);
        let (count, height, width) = maps.dim();
        if (height, width) != (side, side) || count > left {
            let (what, got) = ("the maps of tiles", maps.shape().to_vec());
            let expected = format!("[{left} or fewer, {side}, {side}]");
            return Err(Error::Shape { what, got, expected });
        }
        for map in maps.outer_iter() {
            let (y, x) = self.tiles.position(self.added);
            let mut rows = self.sums.slice_axis_mut(Axis(0), Slice::from(y..y + side));
            let mut place = rows.slice_axis_mut(Axis(1), Slice::from(x..x + side));
            place.zip_mut_with(&map, |sum, &value| *sum += f64::from(value));
            self.added += 1;
        }
        Ok(())
    }

    /// The image's map: at every pixel the mean over the tiles that cover it.
    ///
    /// # Shapes
    ///
    /// output: `[H, W]`
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where maps of tiles are missing, [`Error::NotFinite`] for a value that is
    /// not a number.
    pub fn finish(mut self) -> Result<Array2<f32>, Error> {
        let Tiles { side, tops, lefts, .. } = self.tiles;
        if self.added < self.tiles.count() {
            let expected = format!("[{}, {side}, {side}]", self.tiles.count());
            let (what, got) = ("the maps of tiles", vec![self.added, *side, *side]);
            return Err(Error::Shape { what, got, expected });
        }
        // A tile's place is one of a row and one of a column, and so is the number that cover.
        for (axis, starts) in [(Axis(0), tops), (Axis(1), lefts)] {
            let covers = covers(starts, *side, self.sums.len_of(axis));
            for (mut line, covers) in self.sums.axis_iter_mut(axis).zip(covers) {
                line /= covers;
            }
        }
        checks::single(&self.sums)
    }
}

/// How many of the tiles that start at these places cover each place of an axis.
fn covers(starts: &[usize], side: usize, length: usize) -> Vec<f64> {
    let mut covers = vec![0.0; length];
    for &start in starts {
        covers[start..start + side].iter_mut().for_each(|count| *count += 1.0);
    }
    covers
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, ArrayView2};
    use proptest::prelude::*;

    use super::super::tests::{layouts, picture, spec};
    use super::*;

    /// The map of an image of one channel whose tiles are their own maps.
    fn reassembled(tiles: &Tiles, image: ArrayView2<f32>, size: usize) -> Array2<f32> {
        let mut assembly = tiles.assembly();
        let picture = picture(image.insert_axis(Axis(2)).to_owned());
        let spec = spec(1, tiles.side);
        for batch in tiles.batches(&picture, &spec, size).expect("the tiles are of its size") {
            let batch = batch.expect("within the range");
            assembly.add(batch.index_axis(Axis(1), 0)).expect("a map for a tile");
        }
        assembly.finish().expect("every tile is there")
    }

    #[test]
    fn pixels_get_the_mean_of_the_tiles_that_cover_them() {
        let tiles = Tiles::new(2, 3, 2, 1).expect("they fit");
        let mut assembly = tiles.assembly();
        for value in [1.0, 4.0] {
            assembly.add(Array3::from_elem((1, 2, 2), value).view()).expect("a map for a tile");
        }
        let map = assembly.finish().expect("every tile is there");
        assert_eq!(map, ndarray::array![[1.0, 2.5, 4.0], [1.0, 2.5, 4.0]]);
    }

    #[test]
    fn it_takes_one_map_for_every_tile() {
        let tiles = Tiles::new(4, 6, 4, 2).expect("they fit");
        let mut assembly = tiles.assembly();
        assert!(assembly.add(Array3::zeros((1, 4, 3)).view()).is_err());
        assert!(assembly.add(Array3::zeros((3, 4, 4)).view()).is_err());
        assembly.add(Array3::zeros((1, 4, 4)).view()).expect("the first");
        assert!(matches!(assembly.clone().finish(), Err(Error::Shape { .. })), "one is missing");
        assembly.add(Array3::from_elem((1, 4, 4), f32::NAN).view()).expect("the second");
        assert!(matches!(assembly.finish(), Err(Error::NotFinite { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::with_cases(300)
        })]

        #[test]
        fn what_tiles_agree_on_comes_back_exactly(
            (height, width, side, stride) in layouts(), size in 0..9_usize,
            values in proptest::collection::vec(-1e30..1e30_f32, 28 * 28),
        ) {
            let tiles = Tiles::new(height, width, side, stride).expect("they fit");
            let image = Array2::from_shape_fn((height, width), |(y, x)| values[28 * y + x]);
            prop_assert_eq!(&reassembled(&tiles, image.view(), size), &image);
            let constant = Array2::from_elem((height, width), values[0]);
            prop_assert_eq!(&reassembled(&tiles, constant.view(), size), &constant);
        }
    }
}
