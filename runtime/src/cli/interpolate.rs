use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use ndarray::Array2;
use vae_infer::images::{self, Picture};
use vae_infer::tuning::Goal;

use super::decode::decode;
use super::inputs::read_once;
use super::options::{Options, Ready};
use super::output::{self, Target};
use super::pictures::Sheet;
use super::results::{Images, Results};

/// Draw the way from one image to another through latent space
///
/// The steps lie on the straight line between the means of the two posteriors, ends included.
#[derive(Args)]
pub(super) struct Interpolate {
    /// The first image
    #[arg(value_name = "A")]
    from: PathBuf,
    /// The last image
    #[arg(value_name = "B")]
    to: PathBuf,
    /// Number of images, with both ends
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = RangedU64ValueParser::<usize>::new().range(2..))]
    steps: usize,
    /// X.png for a row, X.npy for an array [N, H, W, C]; - is standard output as .npy, png:- as PNG
    #[arg(short, long, value_name = "OUT")]
    output: OsString,
}

impl Interpolate {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let bundle = options.bundle()?;
        let manifest = &bundle.manifest;
        manifest.decodes_alone("interpolate")?;
        read_once([self.from.as_path(), self.to.as_path()])?;
        let target = Target::file(&self.output)?;
        if let Some(path) = target.path() {
            output::check(path, options.force, [self.from.as_path(), self.to.as_path()])?;
        }
        let ends = options.image(&bundle).batch(&[one(&self.from)?, one(&self.to)?])?;

        let mut results = Results::new(options.force)?;
        let mut images = Images::open(target, Sheet::Row, &manifest.image, self.steps)?;
        let Ready { mut model, batch } = options.load(&bundle, Goal::of(self.steps))?;
        let mean = model.encode(ends.view())?.posterior.mean;
        let last = (self.steps - 1) as f32;
        let way = |range: Range<usize>| {
            Ok(Array2::from_shape_fn((range.len(), manifest.latent), |(step, z)| {
                let t = (range.start + step) as f32 / last;
                (1.0 - t) * mean[[0, z]] + t * mean[[1, z]]
            }))
        };
        let mut decoder = Ready { model: model.decoder, batch };
        decode(&mut decoder, self.steps, way, &mut images)?;
        images.close(&mut results)?;
        results.write()
    }
}

fn one(path: &Path) -> Result<Picture> {
    let mut pictures = images::read(path)?;
    match (pictures.pop(), pictures.len()) {
        (Some(picture), 0) => Ok(picture),
        (_, others) => bail!("`{}` holds {} images, one is needed", path.display(), others + 1),
    }
}
