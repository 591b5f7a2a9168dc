//! The test images of a case.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use ndarray::{Array4, ArrayView4, Axis};
use vae_infer::ImageSpec;

use super::plan::{Case, FASHION, LETTERS, MNIST, Part, Set, TILES};
use super::tiles::Tiles;
use super::{Options, folder};
use crate::data::{self, DataConfig, Dataset};

/// The test images of data sets, each read when it is first asked for.
#[derive(Default)]
pub(super) struct Tests {
    sets: BTreeMap<&'static str, Dataset>,
    tiles: Option<Tiles>,
}

/// What a case's scores are measured on.
pub(super) struct HeldOut {
    /// Images of the kind that was trained on, `[N, C, H, W]`.
    pub(super) normal: Array4<f32>,
    /// Images that are none, likewise, by what they are.
    pub(super) abnormal: Vec<(String, Array4<f32>)>,
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
            let (class, others) = (own.images.read(&is)?, own.images.read(&others)?);
            let (normal, abnormal, what) = match case.part {
                Part::Anomalous => (others, class, "the class"),
                _ => (class, others, "other classes"),
            };
            return Ok(HeldOut { normal, abnormal: vec![(what.to_owned(), abnormal)] });
        }
        let normal = own.images.all()?.into_owned();
        let mut abnormal = vec![
            ("flipped, left to right".to_owned(), flipped(normal.view(), 3)),
            ("flipped, top to bottom".to_owned(), flipped(normal.view(), 2)),
        ];
        let others = if case.set == MNIST { vec![FASHION, LETTERS] } else { vec![MNIST] };
        for other in others {
            let images = self.read(&other, image, options)?.images.all()?.into_owned();
            abnormal.push((other.title.to_owned(), images));
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

/// Images mirrored along an axis.
fn flipped(images: ArrayView4<f32>, axis: usize) -> Array4<f32> {
    let mut images = images;
    images.invert_axis(Axis(axis));
    images.as_standard_layout().into_owned()
}
