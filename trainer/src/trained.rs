//! A run that has weights: what evaluation, figures and export begin with.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use ndarray::Array4;
use vae_infer::manifest::{Precision, Provenance};
use vae_infer::sha256;
use vae_models::Vae;
use vae_onnx::Export;

use crate::config::RunConfig;
use crate::data;
use crate::kept;
use crate::run::{Run, RunInfo};
use crate::split::{Split, split};

/// A run and the weights of one of its epochs.
pub struct Trained {
    /// The run's folder.
    pub run: Run,
    /// The run's configuration.
    pub config: RunConfig,
    /// What the run noted.
    pub info: RunInfo,
    /// The weights.
    pub vae: Vae,
    /// Their epoch's number, counted from 1; 0 before the end of the first.
    pub epoch: usize,
    /// Where the weights are.
    pub device: Device,
}

impl Trained {
    /// Opens a run and brings the weights of its best epoch, or of another one that it has kept,
    /// to a device.
    ///
    /// # Errors
    ///
    /// Where there is no run, or where it has no such weights.
    pub fn open(folder: &Path, epoch: Option<usize>, device: Device) -> Result<Self> {
        let run = Run::open(folder)?;
        let config = run.config()?;
        let (vae, epoch) = match epoch {
            Some(epoch) => (kept::after(&run, &config, epoch, &device)?, epoch),
            None => kept::best(&run, &config, &device)?,
        };
        let info = run.info()?.context("the run has no run.json")?;
        Ok(Self { run, config, info, vae, epoch, device })
    }

    /// The run's images, split as in training, from the folder that it was trained on or from
    /// another one with the same content.
    ///
    /// # Errors
    ///
    /// Where they cannot be read, or where they are not the images that the run was trained on.
    pub fn data(&self, folder: Option<&Path>) -> Result<Split> {
        let given = folder.is_some();
        let folder = folder.or(self.info.data.as_deref());
        let hint = || match given {
            true => "the run's images",
            false => "the run's images are not where they were (hint: --data DIR)",
        };
        let loaded =
            data::load(&self.config.data, folder, &self.config.image).with_context(hint)?;
        let test = loaded.test.as_ref().map(|test| &test.hash);
        if loaded.train.hash != self.info.data_sha256 || test != self.info.test_sha256.as_ref() {
            let folder = folder.map_or("made here".into(), |f| format!("in `{}`", f.display()));
            bail!("the images {folder} are not those that the run was trained on");
        }
        Ok(split(loaded, &self.config))
    }

    /// What goes into its bundle, in 32 bits and without a method that scores anomalies.
    ///
    /// # Shapes
    ///
    /// probe, held_out: `[N, C, H, W]`
    pub fn to_export<'a>(
        &'a self,
        probe: &'a Array4<f32>,
        held_out: &'a Array4<f32>,
    ) -> Export<'a> {
        let Self { config, info, vae, epoch, .. } = self;
        // The final figures are those of the best epoch.
        let metrics = match info.metrics.get("epoch") == Some(&(*epoch as f64)) {
            true => info.metrics.clone(),
            false => BTreeMap::new(),
        };
        Export {
            name: &config.name,
            config: &config.model,
            vae,
            image: &config.image,
            beta: config.train.beta,
            classes: &info.classes,
            provenance: Provenance {
                preset: config.preset().unwrap_or("custom").to_owned(),
                config_sha256: Some(sha256(config.to_toml().as_bytes())),
                data_sha256: Some(info.data_sha256.clone()),
                seed: Some(config.seed),
                epochs: Some(*epoch),
                sources: BTreeMap::new(),
                metrics,
                versions: info.versions.clone(),
            },
            precision: Precision::F32,
            probe,
            held_out,
            calibration: None,
            allow_slower: false,
            anomaly: None,
        }
    }
}
