use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use vae_infer::anomaly::{
    Achieved, Audit, CALIBRATION_VERSION, Calibrated, Calibration, Judge, Method, hash,
    images_needed,
};
use vae_infer::maps::error_map::{SIGMA, error_map};
use vae_infer::{Bundle, sha256};

use super::examine::{Scored, examine};
use super::inputs::Inputs;
use super::lines::Lines;
use super::options::{DRAWS, Format, Options, method};

/// The confidence of the range that the achieved rate lies in.
const CONFIDENCE: f64 = 0.95;

/// Set the threshold of anomalies on normal images, for a promised rate of false alarms
///
/// Takes images as the model will see them on this device, all of them normal, and none that it was
/// trained on. Of images like these, at most the rate --far will then be called anomalies by `score`,
/// whatever the model is worth: it takes 1 / rate - 1 images at least, and the more there are, the
/// closer the achieved rate is to the promised one. The calibration is written beside the model's
/// files, which stay as they are. Without images, the rates of a calibration that is there change.
#[derive(Args)]
pub(super) struct Calibrate {
    /// Images, folders of images, .npy arrays, or - for standard input
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// The promised rate of false alarms, between 0 and 1
    #[arg(long, value_name = "RATE", default_value_t = 0.01)]
    far: f64,
    /// Call images `unsure` up to this larger rate
    #[arg(long, value_name = "RATE")]
    unsure_band: Option<f64>,
    /// What makes a score of an image: mse, nll, elbo, probability, mahalanobis, path, sap, nap,
    /// ms-ssim or gradient [default: the one that the model was exported with]
    #[arg(long, value_name = "METHOD")]
    method: Option<Method>,
    /// Draws from the posterior, for the methods that draw
    #[arg(long, value_name = "L", default_value_t = DRAWS)]
    draws: usize,
    /// Add the images to the calibration that is there
    #[arg(long)]
    append: bool,
    /// The calibration's file [default: calibration.json in the model's folder, or beside its file]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What was calibrated.
#[derive(Serialize)]
struct Report {
    calibration: String,
    method: Method,
    images: usize,
    added: usize,
    known: usize,
    rate: f64,
    threshold: f64,
    achieved: Achieved,
    confidence: f64,
}

impl Calibrate {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let bundle = options.bundle()?;
        let path = match self.output.clone().or_else(|| Calibration::beside(bundle.source())) {
            Some(path) => path,
            None => bail!(
                "the model is inside this program (hint: -o FILE, and `score --calibration FILE`)"
            ),
        };
        images_needed(self.far)?;
        let changes = self.append || self.images.is_empty();
        let before = match changes {
            true => Some(Calibration::open(&path, &bundle)?),
            false if path.exists() && !options.force => bail!(
                "cannot write `{}`: it exists (hint: --append adds to it, --force replaces it)",
                path.display()
            ),
            false => None,
        };
        let known = before.as_ref().map_or(0, |before| before.images.len());
        let mut calibration = self.begun(before, &bundle, options)?;
        let mut repeated = 0;
        if !self.images.is_empty() {
            repeated = self.add(&mut calibration, &bundle, options)?;
        }
        let judge = calibration.judge()?;
        calibration.save(&path)?;
        let added = calibration.images.len() - known;
        report(&calibration, &judge, &path, [added, repeated], options)
    }

    /// The calibration that images are added to.
    fn begun(
        &self,
        before: Option<Calibration>,
        bundle: &Bundle,
        options: &Options,
    ) -> Result<Calibration> {
        let begun = match before {
            None => Calibration {
                format_version: CALIBRATION_VERSION,
                manifest_sha256: bundle.id(),
                method: method(self.method, bundle),
                draws: self.draws,
                image: options.image(bundle),
                rate: self.far,
                unsure: self.unsure_band,
                audit: vec![],
                images: vec![],
            },
            Some(before) => {
                if let Some(method) = self.method.filter(|&method| method != before.method) {
                    bail!("the calibration is one of `{}`, not of `{method}`", before.method);
                }
                Calibration { rate: self.far, unsure: self.unsure_band, ..before }
            }
        };
        Ok(begun)
    }

    /// Scores the images and adds them; gives the number of those that were there already.
    fn add(
        &self,
        calibration: &mut Calibration,
        bundle: &Bundle,
        options: &Options,
    ) -> Result<usize> {
        let inputs = Inputs::find(&self.images)?;
        let mut scorer = options.scorer(bundle, calibration.method, calibration.draws)?;
        let engine = scorer.model().decoder.backend().to_string();
        let trained: HashSet<u64> = scorer.statistics().seen.iter().copied().collect();
        let mut there: HashSet<String> =
            calibration.images.iter().map(|image| image.hash.clone()).collect();
        let (mut added, mut known) = (vec![], 0);
        let spec = calibration.image.clone();
        examine(&inputs, &spec, &mut scorer, |scored| {
            let Scored { item, score, image, reconstruction, .. } = scored?;
            let hash = hash(image.view());
            if trained.contains(&hash) {
                bail!(
                    "the model was trained on `{}`, which would promise too much (hint: calibrate \
                     on images that it has not seen)",
                    item.picture.name
                );
            }
            let map = error_map(image.view(), reconstruction.view(), SIGMA)?;
            let peak = map.iter().fold(0.0_f32, |peak, &v| peak.max(v));
            let image = Calibrated::new(hash, score, f64::from(peak));
            if !there.insert(image.hash.clone()) {
                known += 1;
                return Ok(());
            }
            added.push(image.hash.clone());
            calibration.images.push(image);
            Ok(())
        })?;
        calibration.audit.push(Audit {
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            sources: self.images.iter().map(|path| path.display().to_string()).collect(),
            images: added.len(),
            known,
            sha256: sha256(added.join("\n").as_bytes()),
            engine,
            version: env!("CARGO_PKG_VERSION").into(),
        });
        Ok(known)
    }
}

fn report(
    calibration: &Calibration,
    judge: &Judge,
    path: &Path,
    [added, known]: [usize; 2],
    options: &Options,
) -> Result<()> {
    let conformal = judge.conformal();
    let report = Report {
        calibration: path.display().to_string(),
        method: calibration.method,
        images: calibration.images.len(),
        added,
        known,
        rate: calibration.rate,
        threshold: conformal.threshold(calibration.rate)?,
        achieved: conformal.achieved(calibration.rate, CONFIDENCE)?,
        confidence: CONFIDENCE,
    };
    let mut lines = Lines::new(options.format(Format::Text));
    lines.print(&report, |report| {
        let Report { calibration, method, images, added, known, rate, threshold, .. } = report;
        let [low, high] = report.achieved.interval.map(|end| 100.0 * end);
        format!(
            "{calibration}: {images} normal images, {added} added, {known} there already\n\
             anomaly: {method} above {threshold:.6}, at a rate of {}% of normal images\n\
             with {}% confidence the rate achieved is between {low:.3}% and {high:.3}%",
            percent(*rate),
            percent(CONFIDENCE),
        )
    })?;
    lines.flush()
}

/// A share in percent, without the digits that multiplication adds.
fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}
