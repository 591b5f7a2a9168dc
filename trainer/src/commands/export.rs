use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use ndarray::{Array4, Axis};
use vae_infer::anomaly::Statistics;
use vae_infer::manifest::{Precision, Verdicts};
use vae_infer::{Bundle, EngineOptions};
use vae_onnx::{Anomaly, CALIBRATION_IMAGES, Exported, Timing};

use super::{agreement, open, print};
use crate::cli::{Export, PrecisionName};
use crate::data::spread;
use crate::data::{self, DataConfig};
use crate::device::DeviceName;
use crate::evaluation;
use crate::say::say;
use crate::split::{Part, Split};
use crate::statistics::{self, TRAINING_IMAGES};
use crate::trained::Trained;

/// The most held-out images that verdicts are compared on.
const HELD_OUT: usize = 1000;

pub(super) fn run(options: Export) -> Result<ExitCode> {
    let Exported { manifest, timings, .. } = export(&options)?;
    let mut text = agreement(&options.out, &manifest, "the trainer");
    if let Some(verdicts) = manifest.verdicts {
        let Verdicts { images, flips, psnr_lost, rank_correlation, .. } = verdicts;
        text += &format!("{images} held-out images: {flips} verdicts flip, ");
        text += &format!("{psnr_lost:.4} dB of PSNR lost");
        if let Some(correlation) = rank_correlation {
            text += &format!(", rank correlation {correlation:.6}");
        }
        text += "\n";
    }
    for (engine, Timing { full, reduced }) in timings {
        let precision = manifest.precision;
        text += &format!("{engine}: {reduced:.1?} an image in {precision}, {full:.1?} in f32\n");
    }
    print(&text)
}

/// Writes a trained model as a bundle.
///
/// # Errors
///
/// Where the run has no weights, and as [`vae_onnx::export`].
pub(crate) fn export(options: &Export) -> Result<Exported> {
    let trained = open(&options.run, options.epoch, DeviceName::Cpu)?;
    if options.calibrate.is_some() && options.precision != PrecisionName::Int8 {
        bail!("--calibrate is for --precision int8");
    }
    let calibration = options.calibrate.as_deref().map(|folder| calibration(folder, &trained));
    let calibration = calibration.transpose()?;
    let probe = trained.run.probe()?;
    let (training, held_out) = match parts(&trained, options.data.as_deref()) {
        Ok([training, held_out]) => (Some(training), held_out),
        Err(error) if options.data.is_some() => return Err(error),
        Err(error) if options.score.takes_statistics() => {
            let method = options.score;
            return Err(error.context(format!(
                "--score {method} takes the training images (hint: --data DIR)"
            )));
        }
        Err(error) => {
            let count = probe.len_of(Axis(0));
            say(format!(
                "note: verdicts are compared on the {count} images in the run, and no statistics of training images \
                 go into the bundle, by which `vae-infer calibrate` would know them (hint: --data DIR): {error:#}"
            ));
            (None, probe.clone())
        }
    };
    let carried = evaluation::kl_per_dimension(&trained.vae, &probe, &trained.device);
    if let Some(warning) = evaluation::collapse(&carried) {
        say(format!("warning: {warning}"));
    }
    let method = options.score;
    let fit = |bundle: &Bundle, engine: &EngineOptions| match &training {
        Some(images) => statistics::fit(bundle, engine, images.view(), method),
        None => Ok(Statistics::default()),
    };
    let model = vae_onnx::Export {
        precision: options.precision.into(),
        calibration: calibration.as_ref(),
        allow_slower: options.allow_slower,
        anomaly: Some(Anomaly { method, fit: &fit }),
        ..trained.to_export(&probe, &held_out)
    };
    let ort_library = options.ort_lib.as_deref();
    let exported =
        vae_onnx::export(model, &options.out, options.force, ort_library, &trained.device)?;

    if let Some(reason) = &exported.without_onnx_runtime {
        say(format!("note: not compared with ONNX Runtime: {reason}"));
    }
    if exported.manifest.precision == Precision::F32 {
        trained.run.write_parity(&exported.manifest.parity)?;
    }
    Ok(exported)
}

/// Images that a run was trained on, and images that it holds out: test images, those of its
/// validation where there are none, and where there are none either, training images.
fn parts(trained: &Trained, folder: Option<&Path>) -> Result<[Array4<f32>; 2]> {
    let Split { train, validation, test } = trained.data(folder)?;
    let held_out = [&test, &validation].into_iter().find(|part| !part.is_empty());
    if held_out.is_none() {
        say(
            "note: the run holds no images out: verdicts are compared on images that it was trained on",
        );
    }
    let some = |part: &Part, count| part.images.read(&spread(part.len(), count));
    Ok([some(&train, TRAINING_IMAGES)?, some(held_out.unwrap_or(&train), HELD_OUT)?])
}

/// Images of a folder that has nothing to do with the run.
fn calibration(folder: &Path, trained: &Trained) -> Result<Array4<f32>> {
    let loaded = data::load(&DataConfig::default(), Some(folder), &trained.config.image)?;
    super::tell(loaded.notes);
    let part = Part::from(loaded.train);
    Ok(part.images.read(&spread(part.len(), CALIBRATION_IMAGES))?)
}
