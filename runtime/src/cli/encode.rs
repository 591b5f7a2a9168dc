use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use ndarray::Array2;
use serde::Serialize;
use vae_infer::npy;

use super::inputs::Inputs;
use super::lines::Lines;
use super::options::{Format, Options};
use super::output::{self, NpyPath, Results};

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

        let latent = bundle.manifest.latent;
        let (mut means, mut log_vars) = (Vec::<f32>::new(), Vec::<f32>::new());
        let pipeline = inputs.pipeline(Some(&spec), options)?;
        let mut encoder = options.encoder(&bundle)?;
        for items in pipeline.batches() {
            let pictures: Vec<_> = items?.into_iter().map(|item| item.picture).collect();
            let posterior = encoder.encode(spec.batch(&pictures)?.view())?.posterior;
            for (i, picture) in pictures.iter().enumerate() {
                let mean = posterior.mean.row(i).to_vec();
                let log_var = posterior.log_var.as_ref().map(|l| l.row(i).to_vec());
                lines.print(&Line { name: &picture.name, mean, log_var }, text)?;
            }
            if !outputs.is_empty() {
                means.extend(posterior.mean.iter());
                log_vars.extend(posterior.log_var.iter().flatten());
            } else if !lines.wanted() {
                break;
            }
        }

        let mut results = Results::default();
        if let Some(path) = &self.output {
            let rows = means.len() / latent;
            results.add_file(&path.0, npy::encode(&Array2::from_shape_vec((rows, latent), means)?));
        }
        if let Some(path) = &self.out_log_var {
            if log_vars.is_empty() {
                bail!("`{}` is a plain autoencoder: it has no log-variances", bundle.manifest.name);
            }
            let rows = log_vars.len() / latent;
            results
                .add_file(&path.0, npy::encode(&Array2::from_shape_vec((rows, latent), log_vars)?));
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
