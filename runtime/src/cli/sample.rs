use std::ffi::OsString;

use anyhow::Result;
use clap::Args;
use clap::builder::RangedU64ValueParser;
use vae_infer::{Error, noise, npy};

use super::decode::{decode, grid};
use super::options::{Options, affordable, scale};
use super::output::{self, NpyPath, Results, Target};

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
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
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
        affordable(self.n.checked_mul(manifest.latent))?;
        affordable(self.n.checked_mul(manifest.image.shape().iter().product()))?;
        let mut decoder = options.decoder(&bundle)?;

        let mut latents = noise::standard_normal(options.seed, 0, self.n, manifest.latent);
        latents *= self.temperature;
        let images = decode(&mut decoder, &manifest.image, latents.view())?;
        let mut results = Results::default();
        results.add(&target, grid(&manifest.image, &target, &images)?);
        if let Some(path) = latents_path {
            results.add_file(path, npy::encode(&latents));
        }
        results.write()
    }
}
