use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use vae_infer::manifest::Provenance;
use vae_infer::{Manifest, sha256};

use super::{open, print};
use crate::cli::Export;
use crate::device::DeviceName;
use crate::evaluation;
use crate::run::RunInfo;
use crate::trained::Trained;

pub(super) fn run(options: Export) -> Result<ExitCode> {
    let manifest = export(&options)?;
    let bytes = manifest.encoder.file.bytes + manifest.decoder.file.bytes;
    let mut text = format!("{}: {} KiB of graphs\n", options.out.display(), bytes / 1024);
    for engine in ["tract", "ort"] {
        let rows = manifest.parity.iter().filter(|row| row.engine == engine);
        if let Some(worst) = rows.map(|row| row.difference).max_by(f64::total_cmp) {
            text +=
                &format!("{engine}: at most {worst:.1e} of an output's range from the trainer\n");
        }
    }
    print(&text)
}

/// Writes a trained model as a bundle.
///
/// # Errors
///
/// Where the run has no weights, and as [`vae_onnx::export`].
pub(crate) fn export(options: &Export) -> Result<Manifest> {
    let trained = open(&options.run, options.epoch, DeviceName::Cpu)?;
    let Trained { run, config, info, vae, epoch, device } = trained;
    let RunInfo { data_sha256, classes, mut metrics, versions, .. } = info;
    // The final figures are those of the best epoch.
    if metrics.get("epoch") != Some(&(epoch as f64)) {
        metrics.clear();
    }
    let probe = run.probe()?;
    let carried = evaluation::kl_per_dimension(&vae, &probe, &device);
    if let Some(warning) = evaluation::collapse(&carried) {
        eprintln!("warning: {warning}");
    }
    let model = vae_onnx::Export {
        name: &config.name,
        config: &config.model,
        vae: &vae,
        image: &config.image,
        beta: config.train.beta,
        classes: &classes,
        provenance: Provenance {
            preset: config.preset().unwrap_or("custom").to_owned(),
            config_sha256: Some(sha256(config.to_toml().as_bytes())),
            data_sha256: Some(data_sha256),
            seed: Some(config.seed),
            epochs: Some(epoch),
            sources: BTreeMap::new(),
            metrics,
            versions,
        },
        probe: &probe,
    };
    let ort_library = options.ort_lib.as_deref();
    let exported = vae_onnx::export(model, &options.out, options.force, ort_library, &device)?;

    if let Some(reason) = exported.without_onnx_runtime {
        eprintln!("note: not compared with ONNX Runtime: {reason}");
    }
    run.write_parity(&exported.manifest.parity)?;
    Ok(exported.manifest)
}
