use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use vae_infer::engine::Backend;

use super::inputs::Inputs;
use super::lines::Lines;
use super::options::{Format, Options};

/// Say how far images are from what the model knows: the higher an error, the more abnormal
///
/// One line an image with the mean squared error of a pixel (mse), the negative log-likelihood
/// summed over pixels (nll), the divergence of the posterior from the prior (kl), and the evidence
/// lower bound, -(nll + kl), in nats (elbo); all at the mean of the posterior. A squared error is no
/// likelihood: it has no nll and no elbo, and a plain autoencoder has no kl and no elbo.
#[derive(Args)]
pub(super) struct Score {
    /// Images, folders of images, .npy arrays, or - for standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
}

impl Score {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let bundle = options.bundle()?;
        let spec = options.image(&bundle);
        let inputs = Inputs::find(&self.images)?;
        let mut lines = Lines::new(options.format(Format::Json));
        let mut model = options.load(&bundle)?;
        for items in inputs.batches() {
            let pictures: Vec<_> = items?.into_iter().map(|item| item.picture).collect();
            let scores = model.score(spec.batch(&pictures)?.view())?;
            for (picture, score) in pictures.iter().zip(&scores) {
                Line::new(&picture.name, score, model.decoder.backend()).print(&mut lines)?;
            }
            if !lines.wanted() {
                break;
            }
        }
        lines.flush()
    }
}

/// The line that an image gets.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    name: &'a str,
    mse: f64,
    nll: Option<f64>,
    kl: Option<f64>,
    elbo: Option<f64>,
    engine: String,
}

impl<'a> Line<'a> {
    pub(super) fn new(name: &'a str, score: &vae_infer::Score, backend: &Backend) -> Self {
        let vae_infer::Score { mse, nll, kl, elbo } = *score;
        Self { name, mse, nll, kl, elbo, engine: backend.to_string() }
    }

    pub(super) fn print(&self, lines: &mut Lines) -> Result<()> {
        lines.print(self, |line| {
            let number = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.3}"));
            let [nll, kl, elbo] = [line.nll, line.kl, line.elbo].map(number);
            let mse = line.mse;
            format!("mse {mse:.6}  nll {nll:>9.3}  kl {kl:>8}  elbo {elbo:>10}  {}", line.name)
        })
    }
}
