use std::ffi::OsString;
use std::ops::Range;

use anyhow::Result;
use clap::Args;
use clap::builder::RangedU64ValueParser;
use vae_infer::npy::Rows;
use vae_infer::tuning::Goal;
use vae_infer::{Error, noise};

use super::decode::decode;
use super::options::{Options, scale, storable};
use super::output::{self, NpyPath, Target};
use super::pictures::Sheet;
use super::results::{Images, Results};

/// Draw images that the model has never seen
///
/// Latent vectors are drawn from the prior N(0, I): for one seed they are the same bytes on every
/// machine, engine and number of threads, and the first of many are the first of few.
#[derive(Args)]
pub(super) struct Sample {
    /// Number of images
    #[arg(short, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    n: usize,
    /// X.npy for an array [N, H, W, C], X.png for a grid; - is standard output as .npy, png:- as PNG
    #[arg(short, long, value_name = "OUT")]
    output: OsString,
    /// Write the latent vectors as an array [N, Z]
    #[arg(long, value_name = "X.npy")]
    out_latents: Option<NpyPath>,
    /// Standard deviation of the draws; below 1, images are more typical and less varied
    #[arg(long, default_value_t = 1.0, value_parser = scale, allow_negative_numbers = true)]
    temperature: f32,
}

impl Sample {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let bundle = options.bundle()?;
        let manifest = &bundle.manifest;
        manifest.decodes_alone("sample")?;
        if !manifest.sampling {
            let reason = "it was not trained towards a distribution to draw from".into();
            let model = manifest.name.clone();
            return Err(Error::Unsupported { model, operation: "sample", reason }.into());
        }
        let target = Target::file(&self.output)?;
        let latents_path = self.out_latents.as_ref().map(|path| path.0.as_path());
        let paths: Vec<_> = target.path().into_iter().chain(latents_path).collect();
        output::distinct(&paths)?;
        for path in paths {
            output::check(path, options.force, [])?;
        }
        if let Some(path) = latents_path {
            storable(path, self.n.checked_mul(manifest.latent))?;
        }
        let mut decoder = options.decoder(&bundle, Goal::of(self.n))?;

        let mut results = Results::new(options.force)?;
        let mut images = Images::open(target, Sheet::Grid, &manifest.image, self.n)?;
        let out_latents = latents_path.map(|path| Rows::create(path, &[manifest.latent]));
        let mut out_latents = out_latents.transpose()?;
        let draw = |range: Range<usize>| {
            let (first, count) = (range.start as u64, range.len());
            let mut latents = noise::standard_normal(options.seed, first, count, manifest.latent);
            latents *= self.temperature;
            out_latents.as_mut().map_or(Ok(()), |rows| rows.add(latents.view()))?;
            Ok(latents)
        };
        decode(&mut decoder, self.n, draw, &mut images)?;
        images.close(&mut results)?;
        out_latents.map_or(Ok(()), |rows| results.add_rows(rows))?;
        results.write()
    }
}
