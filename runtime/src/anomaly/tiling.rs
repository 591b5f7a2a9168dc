//! Large images by tiles: each is scored as an image, and the worst make the score of the whole.

use ndarray::{Array2, Array3, Axis};
use serde::{Deserialize, Serialize};

use super::Scorer;
use crate::images::Picture;
use crate::maps::Mask;
use crate::maps::error_map::{SIGMA, error_map};
use crate::maps::gaussian::smooth;
use crate::maps::resized::resized;
use crate::maps::tiles::{Tiles, worst_tiles};
use crate::{Error, ImageSpec, Resize, Score};

/// The tiles that go through a model at once.
const BATCH: usize = 64;

/// How large images are cut into square tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tiling {
    /// The tiles' side, in pixels of the picture.
    pub side: usize,
    /// From one tile to the next, in pixels of the picture: 1 to the side.
    pub stride: usize,
}

/// The place of a tile, in pixels of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tile {
    /// The leftmost column, counted from 0.
    pub x: usize,
    /// The topmost row, counted from 0.
    pub y: usize,
    /// The width.
    pub width: usize,
    /// The height.
    pub height: usize,
}

/// A picture that was scored by its tiles.
#[derive(Debug, Clone, PartialEq)]
pub struct Tiled {
    /// The score of the whole, as [`worst_tiles`] makes it.
    pub score: f64,
    /// The number of tiles that have a score.
    pub tiles: usize,
    /// The tile with the highest score; of equal ones, the first row by row.
    pub worst: Tile,
    /// What every image has whatever the method, of that tile.
    pub parts: Score,
    /// Where it was asked for, the picture's [`error_map`], `[H, W]`: at every pixel the mean over the
    /// tiles that cover it, then smoothed.
    pub map: Option<Array2<f32>>,
}

impl Tiling {
    /// Says why pictures cannot be cut like this for a network.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a stride that leaves gaps or goes nowhere, for a side that is not the
    /// network's where nothing is resized, and for [`Resize::Crop`] where it would cut something off.
    pub fn check(self, spec: &ImageSpec) -> Result<(), Error> {
        self.tiles(self.side, self.side)?;
        if spec.resize == Resize::Refuse && !self.is_as_large_as(spec) {
            let (width, height) = (spec.width, spec.height);
            let expected = format!("the model's {width}x{height} pixels (hint: --resize stretch)");
            let got = self.side.to_string();
            return Err(Error::Setting { what: "the side of tiles", got, expected });
        }
        if spec.resize == Resize::Crop && spec.height != spec.width {
            let (width, height) = (spec.width, spec.height);
            let expected = format!("stretch, for tiles and a model of {width}x{height} pixels");
            let got = "crop".into();
            return Err(Error::Setting { what: "the resizing", got, expected });
        }
        Ok(())
    }

    /// Whether a tile goes through a network pixel by pixel.
    pub fn is_as_large_as(self, spec: &ImageSpec) -> bool {
        (self.side, self.side) == (spec.height, spec.width)
    }

    /// The tiles of a picture.
    ///
    /// # Errors
    ///
    /// Those of [`Tiles::new`].
    pub fn tiles(self, height: usize, width: usize) -> Result<Tiles, Error> {
        Tiles::new(height, width, self.side, self.stride)
    }

    /// Scores a picture by its tiles, each of which becomes a tensor as by [`ImageSpec::tensor`], and
    /// by what a mask of its size leaves of them: a tile that is hidden has no part in it. With
    /// `mapped`, the picture gets a map too.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a mask of another size, and those of [`Tiles::new`], [`Tiles::batches`] and
    /// [`Scorer::score`].
    pub fn score(
        self,
        scorer: &mut Scorer,
        spec: &ImageSpec,
        picture: &Picture,
        mask: Option<&Mask>,
        mapped: bool,
    ) -> Result<Tiled, Error> {
        let (width, height) = picture.size();
        if let Some((w, h)) = mask.map(Mask::size).filter(|&size| size != (width, height)) {
            let (what, got) = ("the mask", vec![h, w]);
            return Err(Error::Shape { what, got, expected: format!("[{height}, {width}]") });
        }
        let tiles = self.tiles(height, width)?;
        let mut scored = Vec::with_capacity(tiles.count());
        let mut assembly = mapped.then(|| tiles.assembly());
        let mut places = (0..tiles.count()).map(|index| tiles.position(index));
        for batch in tiles.batches(picture, spec, BATCH)? {
            let batch = batch?;
            let places: Vec<_> = places.by_ref().take(batch.len_of(Axis(0))).collect();
            let seen = mask.map(|mask| self.seen(mask, &places, spec));
            let examined = match &seen {
                Some(seen) => scorer.score_seen(batch.view(), seen.view())?,
                None => scorer.score(batch.view())?,
            };
            let is_seen = |tile: usize| match &seen {
                Some(seen) => seen.index_axis(Axis(0), tile).iter().any(|&seen| seen),
                None => true,
            };
            let numbers = examined.scores.into_iter().zip(examined.parts);
            let numbers = places.into_iter().zip(numbers).enumerate();
            scored.extend(numbers.filter(|&(tile, _)| is_seen(tile)).map(|(_, scored)| scored));
            let Some(assembly) = &mut assembly else { continue };
            let pairs = batch.outer_iter().zip(examined.reconstruction.images.outer_iter());
            for (tile, reconstruction) in pairs {
                let map = error_map(tile, reconstruction, 0.0)?;
                let map = resized(map.view(), self.side, self.side)?;
                assembly.add(map.insert_axis(Axis(0)).view())?;
            }
        }
        let scores: Vec<f64> = scored.iter().map(|&(_, (score, _))| score).collect();
        let nothing = || Error::NotFinite { what: "the score of a picture without a tile".into() };
        let score = worst_tiles(&scores).ok_or_else(nothing)?;
        let worse = |worst: usize, tile: usize| match scores[tile] > scores[worst] {
            true => tile,
            false => worst,
        };
        let ((y, x), (_, parts)) = scored[(0..scores.len()).fold(0, worse)];
        let worst = Tile { x, y, width: self.side, height: self.side };
        let map = assembly.map(|assembly| smooth(assembly.finish()?.view(), SIGMA)).transpose()?;
        Ok(Tiled { score, tiles: scores.len(), worst, parts, map })
    }

    /// What a mask leaves of the tiles at these places `(y, x)`, at the network's size.
    fn seen(self, mask: &Mask, places: &[(usize, usize)], spec: &ImageSpec) -> Array3<bool> {
        let mut seen = Array3::from_elem((places.len(), spec.height, spec.width), true);
        for (mut seen, &(y, x)) in seen.outer_iter_mut().zip(places) {
            seen.assign(&mask.part([x, y], self.side, [spec.height, spec.width]));
        }
        seen
    }
}
