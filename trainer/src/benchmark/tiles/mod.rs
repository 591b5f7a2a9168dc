//! Magnetic tiles with defects: large pictures, by patches.

pub(super) mod archive;
mod groups;
pub(super) mod made;
mod overlap;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use ndarray::{Array3, Array4, ArrayView1, ArrayView4, Axis, concatenate};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use vae_infer::maps::error_map;
use vae_infer::maps::gaussian::smooth;
use vae_infer::maps::tiles::{Tiles as Patches, worst_tiles};
use vae_infer::{Bundle, EngineOptions, Model, images, npy};

use super::measured::Comparison;
use super::scorer::Scorer;
use crate::anomaly::ranking::auroc;
use archive::{FREE, Picture};
use groups::Sides;
use overlap::Pixels;

/// The side of a patch in pixels.
pub(super) const SIDE: usize = 32;
/// The pixels from a patch to the next when a picture is scored.
pub(super) const STRIDE: usize = 16;
/// Patches to train on from every picture, at places chosen by the seed.
const PATCHES: usize = 40;
/// Pictures whose patches are scored at once.
const PICTURES: usize = 32;
/// The score that is a map of its own: the squared error of every pixel, smoothed.
pub(super) const ERROR_MAP: &str = "error map";

/// The pictures of the archive in their groups.
pub(super) struct Tiles {
    pictures: Vec<Picture>,
    groups: Vec<usize>,
}

impl Tiles {
    /// Reads the archive in a folder.
    ///
    /// # Errors
    ///
    /// Where it is missing or damaged.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let pictures = archive::read(folder)?;
        let groups = groups::groups(&pictures);
        Ok(Self { pictures, groups })
    }

    fn sides(&self, seed: u64) -> Sides {
        let kinds: Vec<&str> = self.pictures.iter().map(|picture| &*picture.kind).collect();
        groups::split(&kinds, &self.groups, seed)
    }

    /// Writes the patches that a seed trains on as a folder of images.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(super) fn write_patches(&self, seed: u64, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let Sides { train, .. } = self.sides(seed);
        let mut patches = Array4::<u8>::zeros((train.len() * PATCHES, SIDE, SIDE, 1));
        for (place, mut patch) in patches.outer_iter_mut().enumerate() {
            let image = &self.pictures[train[place / PATCHES]].image;
            let (_, height, width) = image.dim();
            let [y, x] = [height, width].map(|size| generator.random_range(0..=size - SIDE));
            for ((row, column, _), value) in patch.indexed_iter_mut() {
                *value = (image[[0, y + row, x + column]] * 255.0).round() as u8;
            }
        }
        Ok(npy::write(&folder.join("train.npy"), &patches)?)
    }

    /// How well scores find the pictures with a defect, all of them and kind by kind, and its pixels.
    ///
    /// # Errors
    ///
    /// Those of running the model.
    pub(super) fn compare(
        &self,
        seed: u64,
        bundle: &Bundle,
        train: ArrayView4<f32>,
    ) -> Result<Vec<Comparison>> {
        let scorer = Scorer::new(bundle, train, super::measure::DRAWS_OF_PATCHES);
        let mut model = Model::load(bundle, &EngineOptions::default())?;
        let Sides { test, .. } = self.sides(seed);
        // Of every score, each picture's, and the pixels of its maps.
        let mut scores: BTreeMap<String, Vec<(&str, f64)>> = BTreeMap::new();
        let mut pixels: BTreeMap<String, Pixels> = BTreeMap::new();
        for chosen in test.chunks(PICTURES) {
            let pictures: Vec<&Picture> = chosen.iter().map(|&i| &self.pictures[i]).collect();
            let layouts = pictures.iter().map(|picture| layout(picture));
            let layouts: Vec<Patches> = layouts.collect::<Result<_, _>>()?;
            let cut = pictures.iter().zip(&layouts).map(|(picture, layout)| {
                let values = picture.image.view().permuted_axes([1, 2, 0]);
                let pixels = images::Pixels::Float(values.as_standard_layout().into_owned());
                let whole = images::Picture { name: picture.kind.clone(), pixels };
                let mut batches = layout.batches(&whole, &bundle.manifest.image, layout.count())?;
                batches.next().expect("there is a patch")
            });
            let cut: Vec<Array4<f32>> = cut.collect::<Result<_, vae_infer::Error>>()?;
            let views: Vec<_> = cut.iter().map(|patches| patches.view()).collect();
            let all = concatenate(Axis(0), &views).expect("patches have one shape");
            for (name, patch_scores) in scorer.scores(all.view())? {
                let pixels = pixels.entry(name.clone()).or_default();
                let of_pictures = scores.entry(name).or_default();
                let mut left = &patch_scores[..];
                for (picture, layout) in pictures.iter().zip(&layouts) {
                    let (own, others) = left.split_at(layout.count());
                    left = others;
                    let score = worst_tiles(own).context("a score is not a number")?;
                    of_pictures.push((&picture.kind, score));
                    let values: Vec<f32> = own.iter().map(|&score| score as f32).collect();
                    let values =
                        ArrayView1::from(&values).insert_axis(Axis(1)).insert_axis(Axis(2));
                    let maps = values.broadcast((own.len(), SIDE, SIDE)).expect("one for all");
                    let mut assembly = layout.assembly();
                    assembly.add(maps)?;
                    pixels.add(assembly.finish()?.view(), picture.mask.view());
                }
            }
            let pixels = pixels.entry(ERROR_MAP.to_owned()).or_default();
            for ((picture, layout), patches) in pictures.iter().zip(&layouts).zip(&cut) {
                let mut assembly = layout.assembly();
                assembly.add(squared_errors(&mut model, patches)?.view())?;
                let map = smooth(assembly.finish()?.view(), error_map::SIGMA)?;
                pixels.add(map.view(), picture.mask.view());
            }
        }
        Ok(comparisons(&scores, pixels))
    }
}

/// The patches that a picture is scored by.
fn layout(picture: &Picture) -> Result<Patches, vae_infer::Error> {
    let (_, height, width) = picture.image.dim();
    Patches::new(height, width, SIDE, STRIDE)
}

/// The squared error of every pixel of patches, `[N, SIDE, SIDE]`.
fn squared_errors(model: &mut Model, patches: &Array4<f32>) -> Result<Array3<f32>> {
    let reconstruction = model.reconstruct(patches.view())?;
    let errors = (patches - &reconstruction.images).mapv(|difference| difference * difference);
    Ok(errors.index_axis(Axis(1), 0).to_owned())
}

/// All defects together with the figures of pixels, then each kind.
fn comparisons(
    scores: &BTreeMap<String, Vec<(&str, f64)>>,
    pixels: BTreeMap<String, Pixels>,
) -> Vec<Comparison> {
    let of = |scores: &[(&str, f64)], takes: &dyn Fn(&str) -> bool| -> Vec<f64> {
        scores.iter().filter(|(kind, _)| takes(kind)).map(|&(_, score)| score).collect()
    };
    let Some(one) = scores.values().next() else { return vec![] };
    let mut kinds: Vec<&str> = one.iter().map(|&(kind, _)| kind).filter(|k| *k != FREE).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let compared = |what: &str, takes: &dyn Fn(&str) -> bool| {
        let normal = |scores: &[(&str, f64)]| of(scores, &|kind| kind == FREE);
        let aurocs = scores
            .iter()
            .map(|(name, scores)| (name.clone(), auroc(&normal(scores), &of(scores, takes))));
        Comparison {
            abnormal: what.to_owned(),
            images: [normal(one).len(), of(one, takes).len()],
            auroc: aurocs.collect(),
            pixel_auroc: BTreeMap::new(),
            overlap: BTreeMap::new(),
        }
    };
    let mut all = compared("all defects", &|kind| kind != FREE);
    for (name, pixels) in pixels {
        if let Some([roc, overlap]) = pixels.areas() {
            all.pixel_auroc.insert(name.clone(), roc);
            all.overlap.insert(name, overlap);
        }
    }
    let kinds = kinds.iter().map(|kind| compared(kind, &|other| other == *kind));
    [all].into_iter().chain(kinds).collect()
}
