use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use ndarray::{Array2, Array4, ArrayView2, Axis, Slice};
use vae_infer::{Decoder, Error, ImageSpec, images, npy};

use super::options::{BATCH, Options, affordable};
use super::output::{self, Kind, Results, Target};
use super::pictures;

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
        let images =
            decode(&mut options.decoder(&bundle)?, &bundle.manifest.image, latents.view())?;
        let mut results = Results::default();
        results.add(&target, grid(&bundle.manifest.image, &target, &images)?);
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

/// Decodes latent vectors, a batch at a time.
///
/// # Shapes
///
/// latents: `[N, Z]`, output: `[N, C, H, W]`
pub(super) fn decode(
    decoder: &mut Decoder,
    spec: &ImageSpec,
    latents: ArrayView2<f32>,
) -> Result<Array4<f32>> {
    let [channels, height, width] = spec.shape();
    let count = latents.nrows();
    affordable(count.checked_mul(channels * height * width))?;
    let mut images = Array4::zeros((count, channels, height, width));
    for first in (0..count).step_by(BATCH) {
        let range = Slice::from(first..count.min(first + BATCH));
        let decoded = decoder.decode(latents.slice_axis(Axis(0), range), &[])?;
        images.slice_axis_mut(Axis(0), range).assign(&decoded);
    }
    Ok(images)
}

/// The file that shows images: an array, or a grid.
pub(super) fn grid(spec: &ImageSpec, target: &Target, images: &Array4<f32>) -> Result<Vec<u8>> {
    match target.kind() {
        Kind::Npy => Ok(pictures::images_npy(spec, images.view())),
        Kind::Png => pictures::grid_png(spec, images.view()),
    }
}
