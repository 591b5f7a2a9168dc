//! A run's folder: what was asked, what happened, and the weights.
//!
//! ```text
//! config.toml      the configuration, complete
//! run.json         data, device, versions, final figures
//! metrics.jsonl    one line an epoch
//! evaluations/     one file for each evaluation by part, epoch, limit and draws
//! anomaly/         the newest comparison of scores by epoch, on made and on given anomalies
//! parity.json      how far the engines were from the trainer at the last export
//! probe.npy        held-out images, on which an export is checked
//! checkpoints/     one folder for each kept step
//! lock             held by the process that trains
//! frames/          the same latent vectors, decoded after every epoch
//! figures/         pictures of the trained model
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ndarray::Array4;
use serde::{Deserialize, Serialize};
use vae_infer::manifest::Parity;
use vae_infer::{images, npy, write};

use crate::anomaly::Comparison;
use crate::config::RunConfig;
use crate::evaluation::{Evaluation, Protocol};
use crate::means::Means;
use crate::objective::TermWeights;

/// A run's folder, which exists.
#[derive(Debug, Clone)]
pub struct Run {
    folder: PathBuf,
}

/// What `run.json` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunInfo {
    /// SHA-256 of the training data's content.
    pub data_sha256: String,
    /// SHA-256 of the test data's content, where there is some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_sha256: Option<String>,
    /// SHA-256 of the feature network, where the loss has a perceptual term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features_sha256: Option<String>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Images trained on, validated on, and tested on.
    pub images: [usize; 3],
    /// The folder that the images came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// The device that training began on.
    pub device: String,
    /// Versions of the programs that it began with.
    pub versions: BTreeMap<String, String>,
    /// Final figures by name, once training has ended.
    pub metrics: BTreeMap<String, f64>,
}

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Epochs done, counted from 1.
    pub epoch: usize,
    /// Steps done.
    pub step: usize,
    /// Mean terms over the epoch's training steps.
    pub train: Means,
    /// Mean terms over the validation images after the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Means>,
    /// The KL term's weight that the epoch has reached.
    pub beta: f64,
    /// The perceptual term's weight.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub perceptual_weight: f64,
    /// The learning rate that the epoch has reached.
    pub learning_rate: f64,
}

fn is_zero(weight: &f64) -> bool {
    *weight == 0.0
}

impl EpochMetrics {
    /// The weights that the terms have reached. The best epoch is chosen with the last ones.
    pub fn weights(&self) -> TermWeights {
        TermWeights { beta: self.beta, perceptual: self.perceptual_weight }
    }
}

/// Names for runs that are shown together: their own, or their folders where two have one name.
pub fn distinct(names: Vec<String>, folders: &[&Path]) -> Vec<String> {
    match names.iter().collect::<BTreeSet<_>>().len() == names.len() {
        true => names,
        false => folders.iter().map(|folder| folder.display().to_string()).collect(),
    }
}

/// Holds a file against other processes, until it is dropped or the process ends. None where another
/// one holds it.
///
/// # Errors
///
/// Where it cannot be written.
pub fn lock(path: &Path) -> Result<Option<File>> {
    let file = File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock `{}`", path.display()))
        }
    }
}

/// The most images that an export is checked on.
pub const PROBE: usize = 64;

impl Run {
    /// Makes a new run's folder and writes its configuration.
    ///
    /// # Errors
    ///
    /// Where something is there already: a run is never cleared.
    pub fn create(folder: &Path, config: &RunConfig) -> Result<Self> {
        Self::check_vacant(folder)?;
        let run = Self { folder: folder.to_owned() };
        std::fs::create_dir_all(run.checkpoints())
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        write::atomically(&run.path("config.toml"), config.to_toml().as_bytes())?;
        Ok(run)
    }

    /// Checks that a new run's folder can be made, or is there and empty.
    ///
    /// # Errors
    ///
    /// Where something is there already, and where nothing can be written.
    pub fn check_place(folder: &Path) -> Result<()> {
        Self::check_vacant(folder)?;
        let whole = std::path::absolute(folder)?;
        let there = whole.ancestors().find(|above| above.exists()).unwrap_or(&whole);
        let probe = tempfile::tempdir_in(there);
        probe.map(drop).with_context(|| format!("cannot create `{}`", folder.display()))
    }

    /// Checks that a folder is free for a new run.
    ///
    /// # Errors
    ///
    /// Where something is there already.
    fn check_vacant(folder: &Path) -> Result<()> {
        if folder.exists() && !folder.is_dir() {
            bail!("`{}` is not a folder, and a run is one", folder.display());
        }
        if folder.exists() && std::fs::read_dir(folder)?.next().is_some() {
            let folder = folder.display();
            bail!("`{folder}` is not empty (--resume continues a run, another --out begins one)");
        }
        Ok(())
    }

    /// Opens a run's folder.
    ///
    /// # Errors
    ///
    /// Where there is no run.
    pub fn open(folder: &Path) -> Result<Self> {
        let run = Self { folder: folder.to_owned() };
        if !run.path("config.toml").is_file() {
            bail!("`{}` is not a run: it holds no config.toml", folder.display());
        }
        Ok(run)
    }

    /// Keeps other processes from training in this folder, until the file is dropped or the process
    /// ends.
    ///
    /// # Errors
    ///
    /// Where another process does so now, or where the file cannot be written.
    pub fn lock(&self) -> Result<File> {
        match lock(&self.path("lock"))? {
            Some(file) => Ok(file),
            None => bail!("another process is training in `{}`", self.folder.display()),
        }
    }

    /// The folder that holds the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path("checkpoints")
    }

    /// The folder that holds a picture of every epoch.
    pub fn frames(&self) -> PathBuf {
        self.path("frames")
    }

    /// The folder that figures go to where no other is asked for.
    pub fn figures(&self) -> PathBuf {
        self.path("figures")
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// The configuration that the run was begun with.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    pub fn config(&self) -> Result<RunConfig> {
        let path = self.path("config.toml");
        let text = images::read_file(&path)?;
        RunConfig::parse(&String::from_utf8_lossy(&text), &[])
            .with_context(|| format!("in `{}`", path.display()))
    }

    /// Reads `run.json`; a run that was killed at its very beginning has none.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    pub fn info(&self) -> Result<Option<RunInfo>> {
        let path = self.path("run.json");
        if !path.exists() {
            return Ok(None);
        }
        serde_json::from_slice(&images::read_file(&path)?)
            .with_context(|| format!("`{}` is damaged", path.display()))
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn write_info(&self, info: &RunInfo) -> Result<()> {
        Ok(write::atomically(&self.path("run.json"), &serde_json::to_vec_pretty(info)?)?)
    }

    /// Puts an epoch's line after those of the epochs before it; lines of later epochs, which a
    /// killed run may have left, go.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or written.
    pub fn write_metrics(&self, metrics: &EpochMetrics) -> Result<()> {
        let mut lines = self.metrics()?;
        lines.retain(|line| line.epoch < metrics.epoch);
        lines.push(metrics.clone());
        let mut text = Vec::new();
        for line in &lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        Ok(write::atomically(&self.path("metrics.jsonl"), &text)?)
    }

    /// The lines of `metrics.jsonl`.
    ///
    /// # Errors
    ///
    /// Where the file is damaged.
    pub fn metrics(&self) -> Result<Vec<EpochMetrics>> {
        let path = self.path("metrics.jsonl");
        if !path.exists() {
            return Ok(vec![]);
        }
        let text = images::read_file(&path)?;
        let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines
            .map(serde_json::from_slice)
            .collect::<Result<_, _>>()
            .with_context(|| format!("`{}` is damaged", path.display()))
    }

    /// Keeps an evaluation as `evaluations/PART-EPOCH.json`, with the number of its images in the name where
    /// these are not all, and of its draws where it draws.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn write_evaluation(&self, evaluation: &Evaluation) -> Result<()> {
        let Protocol { part, epoch, images, images_in_part, samples, .. } = evaluation.protocol;
        let mut name = format!("{part}-{epoch:04}");
        if images < images_in_part {
            name += &format!("-n{images}");
        }
        if samples > 0 {
            name += &format!("-k{samples}");
        }
        self.write_into("evaluations", &(name + ".json"), evaluation)
    }

    /// Keeps a comparison of scores as `anomaly/made-EPOCH.json`, or as `anomaly/given-EPOCH.json` where
    /// the anomalies are of a folder.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn write_comparison(&self, comparison: &Comparison) -> Result<()> {
        let anomalies = if comparison.folder.is_some() { "given" } else { "made" };
        let file = format!("{anomalies}-{:04}.json", comparison.epoch);
        self.write_into("anomaly", &file, comparison)
    }

    /// Writes a file of JSON into a folder of the run.
    fn write_into(&self, folder: &str, file: &str, content: &impl Serialize) -> Result<()> {
        let folder = self.path(folder);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        Ok(write::atomically(&folder.join(file), &serde_json::to_vec_pretty(content)?)?)
    }

    /// Keeps the differences between engines that an export measured.
    ///
    /// # Errors
    ///
    /// Where they cannot be written.
    pub fn write_parity(&self, parity: &[Parity]) -> Result<()> {
        Ok(write::atomically(&self.path("parity.json"), &serde_json::to_vec_pretty(parity)?)?)
    }

    /// The differences between engines at the last export; none before the first.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub fn parity(&self) -> Result<Vec<Parity>> {
        let path = self.path("parity.json");
        if !path.exists() {
            return Ok(vec![]);
        }
        serde_json::from_slice(&images::read_file(&path)?)
            .with_context(|| format!("`{}` is damaged", path.display()))
    }

    /// The evaluations that were kept, by part and epoch.
    ///
    /// # Errors
    ///
    /// Where one of them cannot be read.
    pub fn evaluations(&self) -> Result<Vec<Evaluation>> {
        let folder = self.path("evaluations");
        if !folder.exists() {
            return Ok(vec![]);
        }
        let read = || format!("cannot read `{}`", folder.display());
        let entries = std::fs::read_dir(&folder).with_context(read)?;
        let files: io::Result<BTreeSet<_>> = entries.map(|entry| Ok(entry?.path())).collect();
        files
            .with_context(read)?
            .iter()
            .filter(|file| file.extension().is_some_and(|extension| extension == "json"))
            .map(|file| {
                serde_json::from_slice(&images::read_file(file)?)
                    .with_context(|| format!("`{}` is damaged", file.display()))
            })
            .collect()
    }

    /// Keeps held-out images, at most [`PROBE`], for the checks of an export.
    ///
    /// # Errors
    ///
    /// Where they cannot be written.
    pub fn write_probe(&self, images: &Array4<f32>) -> Result<()> {
        let probe = images.view().permuted_axes([0, 2, 3, 1]);
        Ok(npy::write(&self.path("probe.npy"), &probe)?)
    }

    /// The held-out images for the checks of an export, `[N, C, H, W]`.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub fn probe(&self) -> Result<Array4<f32>> {
        let path = self.path("probe.npy");
        let array = npy::floats(&path.display().to_string(), &images::read_file(&path)?)?;
        let images: Array4<f32> = array
            .into_dimensionality()
            .with_context(|| format!("`{}` is damaged", path.display()))?;
        Ok(images.permuted_axes([0, 3, 1, 2]).as_standard_layout().into_owned())
    }
}
