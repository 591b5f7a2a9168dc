//! Large images by tiles: each is scored as an image, and the worst make the score of the whole.

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

use super::Scorer;
use crate::images::Picture;
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
    /// The number of tiles.
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
    /// [`Error::Setting`] for a stride that leaves gaps or goes nowhere, and for
    /// [`Resize::Crop`] where it would cut something off.
    pub fn check(self, spec: &ImageSpec) -> Result<(), Error> {
        self.tiles(self.side, self.side)?;
        if spec.resize == Resize::Crop && spec.height != spec.width {
            let (width, height) = (spec.width, spec.height);
            let expected = format!("stretch, for tiles and a model of {width}x{height} pixels");
            let got = "crop".into();
            return Err(Error::Setting { what: "the resizing", got, expected });
        }
        Ok(())
    }

    /// The tiles of a picture.
    ///
    /// # Errors
    ///
    /// Those of [`Tiles::new`].
    pub fn tiles(self, height: usize, width: usize) -> Result<Tiles, Error> {
        Tiles::new(height, width, self.side, self.stride)
    }

    /// Scores a picture by its tiles, each of which becomes a tensor as by [`ImageSpec::tensor`].
    /// With `mapped`, it gets a map too.
    ///
    /// # Errors
    ///
    /// Those of [`Tiles::new`], [`Tiles::batches`] and [`Scorer::score`].
    pub fn score(
        self,
        scorer: &mut Scorer,
        spec: &ImageSpec,
        picture: &Picture,
        mapped: bool,
    ) -> Result<Tiled, Error> {
        let (width, height) = picture.size();
        let tiles = self.tiles(height, width)?;
        let mut scores = Vec::with_capacity(tiles.count());
        let mut parts = Vec::with_capacity(tiles.count());
        let mut assembly = mapped.then(|| tiles.assembly());
        for batch in tiles.batches(picture, spec, BATCH)? {
            let batch = batch?;
            let examined = scorer.score(batch.view())?;
            scores.extend(examined.scores);
            parts.extend(examined.parts);
            let Some(assembly) = &mut assembly else { continue };
            let pairs = batch.outer_iter().zip(examined.reconstruction.images.outer_iter());
            for (tile, reconstruction) in pairs {
                let map = error_map(tile, reconstruction, 0.0)?;
                let map = resized(map.view(), self.side, self.side)?;
                assembly.add(map.insert_axis(Axis(0)).view())?;
            }
        }
        let score = worst_tiles(&scores).expect("there is a tile, and its score is finite");
        let first_worst =
            |worst: usize, i: usize| if scores[i] > scores[worst] { i } else { worst };
        let worst = (0..scores.len()).fold(0, first_worst);
        let (y, x) = tiles.position(worst);
        let map = assembly.map(|assembly| smooth(assembly.finish()?.view(), SIGMA)).transpose()?;
        Ok(Tiled {
            score,
            tiles: tiles.count(),
            worst: Tile { x, y, width: self.side, height: self.side },
            parts: parts[worst],
            map,
        })
    }
}
