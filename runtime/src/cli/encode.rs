use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use vae_infer::Encoder;
use vae_infer::manifest::PosteriorKind;
use vae_infer::npy::Rows;

use super::inputs::{Inputs, Item};
use super::lines::Lines;
use super::options::{Format, Options, storable};
use super::output::{self, NpyPath};
use super::results::Results;

/// Encode images: the mean and the log-variance of their posteriors
///
/// Without -o, one line an image.
#[derive(Args)]
pub(super) struct Encode {
    /// Images, folders of images, .npy arrays, or - for standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Write the means as an array [N, Z] instead
    #[arg(short, long, value_name = "X.npy")]
    output: Option<NpyPath>,
    /// Write the log-variances as an array [N, Z]
    #[arg(long, value_name = "X.npy", requires = "output")]
    out_log_var: Option<NpyPath>,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    mean: Vec<f32>,
    log_var: Option<Vec<f32>>,
}

impl Encode {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let bundle = options.bundle()?;
        let spec = options.image(&bundle);
        let inputs = Inputs::find(&self.images)?;
        let outputs: Vec<_> =
            self.output.iter().chain(&self.out_log_var).map(|path| path.0.as_path()).collect();
        output::distinct(&outputs)?;
        for path in &outputs {
            output::check(path, options.force, inputs.paths())?;
        }
        let format = options.format(Format::Json);
        let mut lines = if outputs.is_empty() { Lines::new(format) } else { Lines::none(format) };

        if self.out_log_var.is_some() && bundle.manifest.posterior == PosteriorKind::Point {
            bail!("`{}` is a plain autoencoder: it has no log-variances", bundle.manifest.name);
        }
        let mut results = Results::new(options.force)?;
        let latent = bundle.manifest.latent;
        let rows = |path: &Option<NpyPath>| {
            let Some(NpyPath(path)) = path else { return Ok(None) };
            storable(path, inputs.count.least.checked_mul(latent))?;
            anyhow::Ok(Some(Rows::create(path, &[latent])?))
        };
        let (mut means, mut log_vars) = (rows(&self.output)?, rows(&self.out_log_var)?);
        let pipeline = inputs.pipeline(Some(&spec), options)?;
        let encoder = options.encoder(&bundle, inputs.goal())?;
        let workers = encoder.workers(Encoder::per_thread, pipeline.about, &spec);
        let batches = pipeline.batches(workers.most);
        let encode = |encoder: &mut Encoder, items: Vec<Item>| {
            let images = spec.batch(items.iter().map(|item| &item.picture))?;
            Ok((items, encoder.encode(images.view())?.posterior))
        };
        workers.run(batches, encode, |(items, posterior)| {
            for (i, Item { picture, .. }) in items.iter().enumerate() {
                let mean = posterior.mean.row(i).to_vec();
                let log_var = posterior.log_var.as_ref().map(|l| l.row(i).to_vec());
                lines.print(&Line { name: &picture.name, mean, log_var }, text)?;
            }
            if let Some(means) = &mut means {
                means.add(posterior.mean.view())?;
            }
            if let (Some(log_vars), Some(log_var)) = (&mut log_vars, &posterior.log_var) {
                log_vars.add(log_var.view())?;
            }
            Ok(means.is_some() || lines.wanted())
        })?;

        for rows in means.into_iter().chain(log_vars) {
            results.add_rows(rows)?;
        }
        results.write()?;
        lines.flush()
    }
}

fn text(line: &Line) -> String {
    let numbers =
        |values: &[f32]| values.iter().map(|v| format!("{v:>9.5}")).collect::<Vec<_>>().join(" ");
    let log_var = line.log_var.as_deref().map(|v| format!("  log_var {}", numbers(v)));
    format!("mean {}{}  {}", numbers(&line.mean), log_var.unwrap_or_default(), line.name)
}
