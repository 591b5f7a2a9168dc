use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use vae_infer::Bundle;
use vae_infer::anomaly::{Calibration, Label, Method, Verdict};
use vae_infer::maps::regions::Region;

use super::contract::{Monitor, Monitored};
use super::examine::{Scored, examine};
use super::heatmaps::{Heatmaps, Where};
use super::inputs::Inputs;
use super::lines::Lines;
use super::options::{DRAWS, Format, Options, method};

/// The version of the line that an image gets.
const SCHEMA: u32 = 1;

/// Say how far images are from what the model knows, and whether one is an anomaly
///
/// One line an image with its score by the method (the higher, the more abnormal) and, at the mean of
/// the posterior, the mean squared error of a pixel (mse), the negative log-likelihood summed over
/// pixels (nll), the divergence of the posterior from the prior (kl), and the evidence lower bound,
/// -(nll + kl), in nats (elbo). A squared error is no likelihood: it has no nll and no elbo, and a
/// plain autoencoder has no kl and no elbo.
///
/// Where the model was calibrated (`vae-infer calibrate`), the line has a p-value and a label too:
/// normal, unsure or anomaly. The exit code is then 1 where an image is an anomaly.
#[derive(Args)]
pub(super) struct Score {
    /// Images, folders of images, .npy arrays, or - for standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// What makes a score of an image: mse, nll, elbo, probability, mahalanobis, path, sap, nap,
    /// ms-ssim or gradient [default: that of the calibration, or the one that the model was exported
    /// with]
    #[arg(long, value_name = "METHOD")]
    method: Option<Method>,
    /// Draws from the posterior, for the methods that draw [default: those of the calibration, or 16]
    #[arg(long, value_name = "L")]
    draws: Option<usize>,
    /// The calibration's file [default: the one in the model's folder or beside its file, if any]
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Promise another rate of false alarms than the calibration's
    #[arg(long, value_name = "RATE")]
    far: Option<f64>,
    /// Call images `unsure` up to this larger rate
    #[arg(long, value_name = "RATE")]
    unsure_band: Option<f64>,
    /// What becomes of an image that cannot be scored
    #[arg(long, value_enum, default_value_t = OnError::Fail)]
    on_error: OnError,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    monitored: Monitored,
}

/// What becomes of an image that cannot be scored.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnError {
    /// the command ends there
    Fail,
    /// it is named and counted, and the next one follows
    Skip,
}

/// The line that an image gets.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    schema: u32,
    method: Method,
    score: f64,
    #[serde(flatten)]
    verdict: Option<Verdict>,
    mse: f64,
    nll: Option<f64>,
    kl: Option<f64>,
    elbo: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    regions: Option<Vec<Region>>,
    engine: &'a str,
}

/// What became of the images.
#[derive(Default)]
struct Counts {
    normal: usize,
    unsure: usize,
    anomalies: usize,
    unlabelled: usize,
    skipped: usize,
}

impl Score {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        let bundle = options.bundle()?;
        let calibration = self.calibration(&bundle)?;
        let judge = calibration.as_ref().map(Calibration::judge).transpose()?;
        let (method, draws) = match &calibration {
            Some(calibration) => self.calibrated(calibration)?,
            None => (method(self.method, &bundle), self.draws.unwrap_or(DRAWS)),
        };
        let spec = match &calibration {
            Some(calibration) => calibration.image.clone(),
            None => options.image(&bundle),
        };
        let inputs = Inputs::find(&self.images)?;
        let mut heatmaps = Heatmaps::open(&self.place, judge.as_ref(), &spec, options.force)?;
        let mut lines = Lines::new(options.format(Format::Json));
        let mut scorer = options.scorer(&bundle, method, draws)?;
        let engine = scorer.model().decoder.backend().to_string();
        let mut monitor = Monitor::of(&self.monitored, judge.as_ref(), options.seed)?;
        let mut counts = Counts::default();
        examine(&inputs, &spec, &mut scorer, |scored| {
            let scored = match scored {
                Err(error) if self.on_error == OnError::Skip => {
                    counts.skipped += 1;
                    eprintln!("skipped: {error:#}");
                    return Ok(());
                }
                scored => scored?,
            };
            let verdict = judge.as_ref().map(|judge| judge.judge(scored.score));
            counts.add(verdict);
            monitor.as_mut().map_or(Ok(()), |monitor| monitor.observe(scored.score))?;
            let Scored { item, score, parts, .. } = &scored;
            let vae_infer::Score { mse, nll, kl, elbo } = *parts;
            let regions = heatmaps.as_mut().map(|heatmaps| heatmaps.take(&scored)).transpose()?;
            let (name, score, schema) = (&*item.picture.name, *score, SCHEMA);
            let engine = engine.as_str();
            let line =
                Line { schema, name, method, score, verdict, mse, nll, kl, elbo, regions, engine };
            lines.print(&line, text)
        })?;
        lines.flush()?;
        if let Some(heatmaps) = heatmaps {
            heatmaps.publish()?;
        }
        counts.report(judge.is_some());
        monitor.map_or(Ok(()), Monitor::finish)?;
        Ok(if counts.anomalies > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    /// The calibration that was named, or the one beside the model.
    fn calibration(&self, bundle: &Bundle) -> Result<Option<Calibration>> {
        let beside = || Calibration::beside(bundle.source()).filter(|path| path.exists());
        let Some(path) = self.calibration.clone().or_else(beside) else {
            if self.far.is_some() || self.unsure_band.is_some() {
                bail!("a rate of false alarms takes a calibration (hint: vae-infer calibrate)");
            }
            return Ok(None);
        };
        let mut calibration = Calibration::open(&path, bundle)?;
        calibration.rate = self.far.unwrap_or(calibration.rate);
        calibration.unsure = self.unsure_band.or(calibration.unsure);
        Ok(Some(calibration))
    }

    /// The method and the draws of a calibration, where nothing else is asked for.
    fn calibrated(&self, calibration: &Calibration) -> Result<(Method, usize)> {
        let &Calibration { method, draws, .. } = calibration;
        let other = self.method.is_some_and(|asked| asked != method);
        if other || self.draws.is_some_and(|asked| asked != draws) {
            bail!(
                "the model was calibrated with `{method}` and {draws} draws, and other scores have no \
                 threshold (hint: `vae-infer calibrate`, or --calibration FILE for another one)"
            );
        }
        Ok((method, draws))
    }
}

impl Counts {
    fn add(&mut self, verdict: Option<Verdict>) {
        *match verdict.map(|verdict| verdict.label) {
            Some(Label::Normal) => &mut self.normal,
            Some(Label::Unsure) => &mut self.unsure,
            Some(Label::Anomaly) => &mut self.anomalies,
            None => &mut self.unlabelled,
        } += 1;
    }

    fn report(&self, judged: bool) {
        let Self { normal, unsure, anomalies, unlabelled, skipped } = self;
        let images = normal + unsure + anomalies + unlabelled + skipped;
        if judged {
            eprintln!(
                "{images} images: {normal} normal, {unsure} unsure, {anomalies} anomalies, {skipped} \
                 skipped"
            );
        } else if *skipped > 0 {
            eprintln!("{images} images: {unlabelled} scored, {skipped} skipped");
        }
    }
}

fn text(line: &Line) -> String {
    let number = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.3}"));
    let [nll, kl, elbo] = [line.nll, line.kl, line.elbo].map(number);
    let Line { name, method, score, mse, .. } = line;
    let verdict = line.verdict.map_or(String::new(), |Verdict { p_value, label }| {
        format!("{label:<7}  p {p_value:.5}  ")
    });
    let method = match method {
        Method::Mse => String::new(),
        method => format!("{method} {score:.6}  "),
    };
    format!("{verdict}{method}mse {mse:.6}  nll {nll:>9}  kl {kl:>8}  elbo {elbo:>10}  {name}")
}
