use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use vae_infer::tuning::Goal;

use super::inputs::Inputs;
use super::measure::Measured;
use super::options::Options;
use super::raw::{self, Raw};
use super::scoring::{OnError, Scoring};

/// Say how far images are from what the model knows, and whether one is an anomaly
///
/// One line an image with its score by the method (the higher, the more abnormal) and, at the mean of
/// the posterior, the mean squared error of a pixel (mse), the negative log-likelihood summed over
/// pixels (nll), the divergence of the posterior from the prior (kl), and the evidence lower bound,
/// -(nll + kl), in nats (elbo). A squared error is no likelihood: it has no nll and no elbo, and a
/// plain autoencoder has no kl and no elbo.
///
/// Where the model was calibrated (`vae-infer calibrate`), the line has a p-value and a label too:
/// normal, unsure or anomaly. The exit code is then 1 where an image is an anomaly. SIGINT and SIGTERM
/// end it after the images that are under way, with 130 or 143.
#[derive(Args)]
pub(super) struct Score {
    /// Images, folders of images, .npy arrays, or - for standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Take frames without headers, one after the other, from standard input: their width, height and
    /// pixels (gray8, gray16le, rgb24 or rgb48le), for example 640x480:gray8
    #[arg(long, value_name = "FORMAT")]
    raw: Option<Raw>,
    /// What happens to frames while as many wait as there is room for
    #[arg(long, value_enum, default_value_t = WhenFull::Wait, requires = "raw")]
    when_full: WhenFull,
    #[command(flatten)]
    scoring: Scoring,
}

/// What happens to frames while as many wait as there is room for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WhenFull {
    /// the program that writes them is held back
    Wait,
    /// those that have waited longest are dropped and counted
    Drop,
}

impl Score {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        let Some(raw) = self.raw else {
            let inputs = Inputs::find(&self.images)?;
            let files = |measured: &Measured| inputs.pipeline(measured.whole(), options);
            return self.scoring.run(files, inputs.goal(), OnError::Fail, options);
        };
        if self.images != [Path::new("-")] {
            bail!("--raw takes frames from standard input alone (hint: score --raw FORMAT -)");
        }
        let drop = self.when_full == WhenFull::Drop;
        let frames = |_: &Measured| Ok(raw::frames(raw, std::io::stdin(), drop));
        self.scoring.run(frames, Goal::Latency, OnError::Fail, options)
    }
}
