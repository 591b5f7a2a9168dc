//! The test images of a case.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use ndarray::{Array4, Axis};
use vae_infer::ImageSpec;

use super::plan::{Case, FASHION, LETTERS, MNIST, Part, Set, TILES};
use super::tiles::Tiles;
use super::{Options, folder};
use crate::data::{self, DataConfig, Dataset, Images};

/// The test images of data sets, each read when it is first asked for.
#[derive(Default)]
pub(super) struct Tests {
    sets: BTreeMap<&'static str, Dataset>,
    tiles: Option<Tiles>,
}

/// What a case's scores are measured on.
pub(super) struct HeldOut {
    /// Images of the kind that was trained on.
    pub(super) normal: Images,
    /// Images that are none, by what they are, with how they are mirrored before.
    pub(super) abnormal: Vec<(String, Images, Mirror)>,
}

/// How an image is mirrored.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mirror {
    /// Not at all.
    None,
    /// Left to right.
    Horizontal,
    /// Top to bottom.
    Vertical,
}

impl Mirror {
    /// Mirrors images, `[N, C, H, W]`.
    pub(super) fn apply(self, mut images: Array4<f32>) -> Array4<f32> {
        match self {
            Self::None => return images,
            Self::Horizontal => images.invert_axis(Axis(3)),
            Self::Vertical => images.invert_axis(Axis(2)),
        }
        images.as_standard_layout().into_owned()
    }
}

impl Tests {
    /// The test images of a case.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub(super) fn of(
        &mut self,
        case: &Case,
        image: &ImageSpec,
        options: &Options<'_>,
    ) -> Result<HeldOut> {
        let own = self.read(&case.set, image, options)?;
        if let Some(class) = case.class {
            let label = own.classes.iter().position(|name| *name == class.to_string());
            let (is, others): (Vec<usize>, Vec<usize>) =
                (0..own.labels.len()).partition(|&place| Some(own.labels[place]) == label);
            let (class, others) = (own.images.select(&is), own.images.select(&others));
            let (normal, abnormal, what) = match case.part {
                Part::Anomalous => (others, class, "the class"),
                _ => (class, others, "other classes"),
            };
            let abnormal = vec![(what.to_owned(), abnormal, Mirror::None)];
            return Ok(HeldOut { normal, abnormal });
        }
        let normal = own.images.clone();
        let mut abnormal = vec![
            ("flipped, left to right".to_owned(), normal.clone(), Mirror::Horizontal),
            ("flipped, top to bottom".to_owned(), normal.clone(), Mirror::Vertical),
        ];
        let others = if case.set == MNIST { vec![FASHION, LETTERS] } else { vec![MNIST] };
        for other in others {
            let images = self.read(&other, image, options)?.images.clone();
            abnormal.push((other.title.to_owned(), images, Mirror::None));
        }
        Ok(HeldOut { normal, abnormal })
    }

    /// The magnetic tiles.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub(super) fn tiles(&mut self, options: &Options<'_>) -> Result<&Tiles> {
        if self.tiles.is_none() {
            self.tiles = Some(Tiles::read(&folder(&TILES, options)?)?);
        }
        self.tiles.as_ref().context("they were just read")
    }

    fn read(&mut self, set: &Set, image: &ImageSpec, options: &Options<'_>) -> Result<&Dataset> {
        if !self.sets.contains_key(set.folder) {
            let folder = folder(set, options)?;
            let loaded = data::load(&DataConfig::default(), Some(&folder), image)
                .with_context(|| format!("the images of {}", set.title))?;
            // The letters that come without training images are all test images here.
            self.sets.insert(set.folder, loaded.test.unwrap_or(loaded.train));
        }
        self.sets.get(set.folder).context("it was just read")
    }
}
