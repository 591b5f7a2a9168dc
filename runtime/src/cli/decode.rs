use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use ndarray::{Array2, Axis};
use vae_infer::tuning::Goal;
use vae_infer::{Decoder, Error, images, npy};

use super::options::{Options, Ready};
use super::output::{self, Target};
use super::pictures::Sheet;
use super::results::{Images, Results};

/// Decode latent vectors into images
#[derive(Args)]
pub(super) struct Decode {
    /// A .npy array [N, Z], or - for standard input
    #[arg(value_name = "LATENTS.npy")]
    latents: PathBuf,
    /// X.npy for an array [N, H, W, C], X.png for a grid; - is standard output as .npy, png:- as PNG
    #[arg(short, long, value_name = "OUT")]
    output: OsString,
}

impl Decode {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let bundle = options.bundle()?;
        bundle.manifest.decodes_alone("decode latent vectors alone")?;
        let target = Target::file(&self.output)?;
        if let Some(path) = target.path() {
            output::check(path, options.force, [self.latents.as_path()])?;
        }
        let latents = read(&self.latents, bundle.manifest.latent)?;
        let spec = &bundle.manifest.image;
        let mut decoder = options.decoder(&bundle, Goal::of(latents.nrows()))?;
        let mut results = Results::new(options.force)?;
        let mut images = Images::open(target, Sheet::Grid, spec, latents.nrows())?;
        let part = |range: Range<usize>| Ok(latents.slice_axis(Axis(0), range.into()).to_owned());
        decode(&mut decoder, latents.nrows(), part, &mut images)?;
        images.close(&mut results)?;
        results.write()
    }
}

/// The latent vectors in a `.npy` file, `[N, Z]`.
fn read(path: &Path, latent: usize) -> Result<Array2<f32>> {
    let (name, bytes) = images::content(path)?;
    let array = npy::floats(&name, &bytes)?;
    let shape = array.shape().to_vec();
    match array.into_dimensionality::<ndarray::Ix2>() {
        Ok(latents) if latents.ncols() == latent && latents.nrows() > 0 => Ok(latents),
        _ => {
            let reason = format!("its shape is {shape:?}, the model decodes [N, {latent}]");
            Err(Error::Npy { name, reason }.into())
        }
    }
}

/// Decodes so many latent vectors, a batch at a time.
///
/// # Shapes
///
/// latents: those in a range, `[n, Z]`
pub(super) fn decode(
    Ready { model: decoder, batch }: &mut Ready<Decoder>,
    count: usize,
    mut latents: impl FnMut(Range<usize>) -> Result<Array2<f32>>,
    images: &mut Images,
) -> Result<()> {
    for first in (0..count).step_by(*batch) {
        let latents = latents(first..count.min(first.saturating_add(*batch)))?;
        images.take(decoder.decode(latents.view(), &[])?.view())?;
    }
    Ok(())
}
