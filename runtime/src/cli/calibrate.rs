use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Result, bail};
use clap::Args;
use ndarray::{Array4, ArrayView3};
use serde::Serialize;
use vae_infer::anomaly::{
    Achieved, Audit, Band, CALIBRATION_VERSION, Calibrated, Calibration, Judge, Method, hash,
    images_needed,
};
use vae_infer::images::Picture;
use vae_infer::{Bundle, sha256};

use super::examine::{Examiner, Scored};
use super::inputs::{Inputs, Item};
use super::lines::Lines;
use super::measure::{Measure, Measured};
use super::options::{BATCH, Format, Options};
use super::output;
use super::signals::Signals;

/// The rate of false alarms where none is asked for.
const RATE: f64 = 0.01;
/// The confidence of the range that the achieved rate lies in.
pub(super) const CONFIDENCE: f64 = 0.95;

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
    /// The promised rate of false alarms, between 0 and 1 [default: that of the calibration that is
    /// there, or 0.01]
    #[arg(long, value_name = "RATE")]
    far: Option<f64>,
    /// Call images `unsure` up to this larger rate [default: that of the calibration that is there, or
    /// no image is]
    #[arg(long, value_name = "RATE")]
    unsure_band: Option<f64>,
    #[command(flatten)]
    measure: Measure,
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
        images_needed(self.far.unwrap_or(RATE))?;
        let inputs = Inputs::find(&self.images)?;
        let changes = self.append || self.images.is_empty();
        if changes && !path.exists() {
            bail!(
                "there is no calibration `{}` yet (hint: normal images, without --append)",
                path.display()
            );
        }
        let before = match changes {
            true => Some(Calibration::open(&path, &bundle)?),
            false if path.exists() && !options.force => bail!(
                "cannot write `{}`: it exists (hint: --append adds to it, --force replaces it)",
                path.display()
            ),
            false => None,
        };
        let read = options.read_for(&bundle);
        output::check(&path, true, inputs.paths().chain(read.iter().map(PathBuf::as_path)))?;
        let known = before.as_ref().map_or(0, |before| before.images.len());
        let rates = before.as_ref().map(|before| [Some(before.rate), before.unsure]);
        let mut calibration = self.begun(before, &bundle, options)?;
        Band::check(calibration.rate, calibration.unsure)?;
        let mut repeated = 0;
        if !self.images.is_empty() {
            repeated = self.add(&inputs, &mut calibration, &bundle, options)?;
        } else if rates != Some([Some(calibration.rate), calibration.unsure]) {
            self.audit(&mut calibration, &[], 0, "none".into());
        }
        let judge = calibration.judge()?;
        Signals::abandon()?;
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
        let measured = self.measure.settled(before.as_ref(), bundle, options)?;
        if let Some(before) = before {
            let rate = self.far.unwrap_or(before.rate);
            return Ok(Calibration { rate, unsure: self.unsure_band.or(before.unsure), ..before });
        }
        let Measured { method, draws, tiling, mask, image } = measured;
        Ok(Calibration {
            format_version: CALIBRATION_VERSION,
            manifest_sha256: bundle.id(),
            method,
            draws,
            tiling,
            mask,
            image,
            rate: self.far.unwrap_or(RATE),
            unsure: self.unsure_band,
            audit: vec![],
            images: vec![],
        })
    }

    /// Scores the images and adds them; gives the number of those that were there already.
    fn add(
        &self,
        inputs: &Inputs,
        calibration: &mut Calibration,
        bundle: &Bundle,
        options: &Options,
    ) -> Result<usize> {
        let measured = self.measure.settled(Some(calibration), bundle, options)?;
        let pipeline = inputs.pipeline(measured.whole(), options)?;
        let examiner = Examiner::load(bundle, &measured, inputs.goal(), true, options)?;
        let trained: HashSet<u64> = examiner.scorer.statistics().seen.iter().copied().collect();
        let mut there: HashSet<String> =
            calibration.images.iter().map(|image| image.hash.clone()).collect();
        let (mut added, mut known) = (vec![], 0);
        let engine = examiner.engine();
        let workers = examiner.workers(pipeline.about);
        let batches = pipeline.batches(workers.most);
        let calibrated = |examiner: &mut Examiner, batch: Vec<Item>| {
            let scored = examiner.examine(batch.into_iter().map(Ok).collect()).into_iter();
            let calibrated = scored.map(|scored| {
                let Scored { item, score, map, .. } = scored?;
                let hash = untrained(&item.picture, &measured, &trained)?;
                let peak = map.iter().flatten().fold(0.0_f32, |peak, &v| peak.max(v));
                Ok(Calibrated::new(hash, score, f64::from(peak)))
            });
            calibrated.collect::<Result<Vec<_>>>()
        };
        workers.run(batches, calibrated, |images| {
            for image in images {
                if !there.insert(image.hash.clone()) {
                    known += 1;
                    continue;
                }
                added.push(image.hash.clone());
                calibration.images.push(image);
            }
            Ok(true)
        })?;
        self.audit(calibration, &added, known, engine);
        Ok(known)
    }

    /// Keeps what was done: which images were added, how many were there, and what ran the model.
    fn audit(&self, calibration: &mut Calibration, added: &[String], known: usize, engine: String) {
        calibration.audit.push(Audit {
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            sources: self.images.iter().map(|path| path.display().to_string()).collect(),
            images: added.len(),
            known,
            sha256: sha256(added.join("\n").as_bytes()),
            rate: Some(calibration.rate),
            unsure: calibration.unsure,
            engine,
            version: env!("CARGO_PKG_VERSION").into(),
        });
    }
}

/// An image's hash, that of its tensor or of those of its tiles. Refuses one that the model was trained
/// on, and one with such a tile; those of one colour may be in any image.
fn untrained(picture: &Picture, measured: &Measured, trained: &HashSet<u64>) -> Result<u64> {
    let Measured { tiling, image, .. } = measured;
    let seen = |tensor: ArrayView3<f32>, hash: &u64| {
        trained.contains(hash)
            && (tiling.is_none()
                || tensor.outer_iter().any(|channel| channel.iter().any(|v| v != &channel[[0, 0]])))
    };
    let mut hashes = vec![];
    let mut add = |tensors: Array4<f32>| {
        for tensor in tensors.outer_iter() {
            let hash = hash(tensor);
            if seen(tensor, &hash) {
                bail!(
                    "the model was trained on `{}`, which would promise too much (hint: calibrate \
                     on images that it has not seen)",
                    picture.name
                );
            }
            hashes.push(hash);
        }
        Ok(())
    };
    let Some(tiling) = tiling else {
        add(image.batch(std::slice::from_ref(picture))?)?;
        return Ok(hashes[0]);
    };
    let (width, height) = picture.size();
    for tiles in tiling.tiles(height, width)?.batches(picture, image, BATCH)? {
        add(tiles?)?;
    }
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
    Ok(u64::from_str_radix(&sha256(&bytes)[..16], 16)?)
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
pub(super) fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Axis};
    use vae_infer::ImageSpec;
    use vae_infer::anomaly::Tiling;
    use vae_infer::images::Pixels;

    use super::*;

    /// Two tiles of 2 by 2 pixels: one of one colour, and one that is not.
    fn picture() -> Picture {
        let grey = |(y, x, _): (usize, usize, usize)| if (y, x) == (1, 3) { 0.5 } else { 0.0 };
        Picture { name: "x".into(), pixels: Pixels::Float(Array3::from_shape_fn((2, 4, 1), grey)) }
    }

    fn measured(tiling: Option<Tiling>, width: usize) -> Measured {
        let image = ImageSpec::new(1, 2, width);
        Measured { method: Method::Mse, draws: 1, tiling, mask: None, image }
    }

    #[test]
    fn an_image_that_was_trained_on_is_known_as_a_whole_or_by_a_tile() {
        let (whole, tiled) = (measured(None, 4), measured(Some(Tiling { side: 2, stride: 2 }), 2));
        let picture = picture();
        let tensor = whole.image.tensor(&picture).expect("of the model's size");
        let tiles = tensor.axis_chunks_iter(Axis(2), 2).map(hash).collect::<Vec<_>>();
        let all = hash(tensor.view());
        let cases: [(&Measured, &[u64], bool); 6] = [
            (&whole, &[], false),
            (&whole, &[all], true),
            (&whole, &tiles, false),
            (&tiled, &[all], false),
            (&tiled, &tiles[1..], true),
            // There is black in many images.
            (&tiled, &tiles[..1], false),
        ];
        for (case, (measured, trained, known)) in cases.into_iter().enumerate() {
            let trained = trained.iter().copied().collect();
            let refused = untrained(&picture, measured, &trained);
            assert_eq!(refused.is_err(), known, "case {case}: {refused:?}");
        }
        let none = HashSet::new();
        assert_eq!(untrained(&picture, &whole, &none).expect("it is new"), all);
        let black = Picture { name: "y".into(), pixels: Pixels::Float(Array3::zeros((2, 4, 1))) };
        let [one, other] =
            [&picture, &black].map(|picture| untrained(picture, &tiled, &none).expect("it is new"));
        assert_ne!(one, other);
        let trained = [hash(Array3::zeros((1, 2, 4)).view())].into();
        assert!(untrained(&black, &whole, &trained).is_err(), "a whole image may be of one colour");
    }
}
