//! Checkpoints: weights, optimiser and the place in the run, complete or not there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use burn::store::burn_pack::Reader;
use burn::tensor::{Bytes, TensorData};
use serde::{Deserialize, Serialize};
use vae_infer::{images, sha256};
use vae_models::Vae;

use crate::means::Sums;
use crate::run::{EpochMetrics, Run};

/// The place in a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Steps done.
    pub step: usize,
    /// Whole epochs done.
    pub epoch: usize,
    /// Steps done in the epoch that is under way.
    pub step_in_epoch: usize,
    /// The training terms of the epoch that is under way.
    pub sums: Sums,
    /// The best epoch so far.
    pub best: Option<Best>,
}

/// The epoch with the lowest loss on the validation images (without such images, on the training images).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its number, counted from 1.
    pub epoch: usize,
    /// The steps that were done at its end.
    pub step: usize,
    /// Its loss.
    pub loss: f64,
}

/// A run after a step. Its tensors are those of the loop, which changes none that is held here.
pub struct Snapshot {
    /// The network.
    pub vae: Vae,
    /// Its optimiser.
    pub optimizer: ModuleOptimizer,
    /// The place in the run.
    pub state: State,
    /// The metrics of the epoch that ends here, where one does.
    pub metrics: Option<EpochMetrics>,
}

#[derive(Serialize, Deserialize)]
struct StateFile {
    #[serde(flatten)]
    state: State,
    sha256: BTreeMap<String, String>,
}

const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const STATE: &str = "state.json";

/// Saves a checkpoint of a run under a name of its own, then drops those that are neither among the newest
/// two nor the best nor of the steps in `keep`.
///
/// The state names the other files' hashes and is written last, into a folder that is renamed as a
/// whole: a checkpoint that can be seen is complete. An epoch's metrics come before it: a run that is killed between
/// the two goes on from an older one, and writes them again.
///
/// # Errors
///
/// Where a weight or a moment of the optimiser is not a finite number (nothing is then written), or where it cannot be
/// written; checkpoints that were there are still there.
pub fn save(run: &Run, snapshot: &Snapshot, keep: &[usize]) -> Result<()> {
    let Snapshot { vae, optimizer, state, metrics } = snapshot;
    let folder = &run.checkpoints();
    let model = vae.clone().into_record().into_bytes()?.shared();
    let optimizer = optimizer.into_bytes()?.shared();
    let broken = match (broken_tensor(&model)?, broken_tensor(&optimizer)?) {
        (Some(weight), _) => Some(format!("the weight `{weight}`")),
        (None, Some(_)) => Some("a moment of the optimiser".to_owned()),
        (None, None) => None,
    };
    if let Some(broken) = broken {
        bail!(
            "after step {} {broken} is not a finite number, and every term of the loss still was: the \
             step was too large, or a gradient was not finite; {} {HINT}",
            state.step,
            last_good(folder)
        );
    }
    if let Some(metrics) = metrics {
        run.write_metrics(metrics)?;
    }
    let at = path(folder, state.step);
    let context = || format!("cannot save the checkpoint `{}`", at.display());
    let temporary = tempfile::Builder::new().prefix(SAVING).tempdir_in(folder)?;
    let mut hashes = BTreeMap::new();
    for (file, bytes) in [(MODEL, model), (OPTIMIZER, optimizer)] {
        hashes.insert(file.to_owned(), sha256(&bytes));
        vae_infer::write::atomically(&temporary.path().join(file), &bytes).with_context(context)?;
    }
    let state_file = StateFile { state: state.clone(), sha256: hashes };
    let json = serde_json::to_vec_pretty(&state_file)?;
    vae_infer::write::atomically(&temporary.path().join(STATE), &json).with_context(context)?;
    if at.exists() {
        let aside = temporary.path().with_extension("replaced");
        std::fs::rename(&at, aside).with_context(context)?;
    }
    std::fs::rename(temporary.keep(), &at).with_context(context)?;
    prune(folder, state, keep)
}

/// What to try where training breaks.
pub const HINT: &str =
    "(hint: begin anew with a lower train.learning_rate, or with train.clip_norm)";

/// Which weights are there to go on from, for people.
pub fn last_good(folder: &Path) -> String {
    match Checkpoint::newest(folder) {
        Ok(Some((good, _))) => {
            format!("the last good weights are those of step {}", good.state.step)
        }
        Ok(None) => "no weights had been saved yet".to_owned(),
        Err(unreadable) => format!("the weights that were saved cannot be read: {unreadable:#}"),
    }
}

/// The first tensor of a file with a number that is not finite.
fn broken_tensor(file: &Bytes) -> Result<Option<String>> {
    for tensor in Reader::from_bytes(file.clone())?.into_tensors()? {
        let (name, dtype, shape, _, bytes) = tensor.into_parts()?;
        if !TensorData::from_bytes(bytes, shape, dtype).iter::<f32>().all(f32::is_finite) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn prune(folder: &Path, state: &State, keep: &[usize]) -> Result<()> {
    let best = state.best.map(|best| best.step);
    let kept: Vec<_> = best.iter().chain(keep).map(|&step| path(folder, step)).collect();
    let older = folders(folder, STEP)?.into_iter().rev().skip(2);
    let superseded = older.filter(|path| !kept.contains(path));
    for path in superseded.chain(folders(folder, SAVING)?) {
        std::fs::remove_dir_all(&path)
            .with_context(|| format!("cannot remove `{}`", path.display()))?;
    }
    Ok(())
}

/// The checkpoint of a step.
pub fn path(folder: &Path, step: usize) -> PathBuf {
    folder.join(format!("{STEP}{step:09}"))
}

/// What the names of checkpoints, and of those that a killed run has left half saved, begin with.
const STEP: &str = "step-";
const SAVING: &str = ".saving-";

/// The folders whose names begin so, in the order of their names.
fn folders(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let read = || format!("cannot read `{}`", folder.display());
    let mut paths = vec![];
    for entry in std::fs::read_dir(folder).with_context(read)? {
        let path = entry.with_context(read)?.path();
        if path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// A checkpoint whose files were held against their hashes.
pub struct Checkpoint {
    /// The place in the run.
    pub state: State,
    model: ModuleRecord,
    optimizer: Vec<u8>,
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    ///
    /// Where a file is missing or is not the one that was saved.
    pub fn load(path: &Path) -> Result<Self> {
        let state = images::read_file(&path.join(STATE))?;
        let StateFile { state, sha256: hashes } = serde_json::from_slice(&state)
            .with_context(|| format!("`{}` is damaged", path.join(STATE).display()))?;
        let file = |name: &str| -> Result<Vec<u8>> {
            let bytes = images::read_file(&path.join(name))?;
            if hashes.get(name) != Some(&sha256(&bytes)) {
                bail!("`{}` is not the file that was saved", path.join(name).display());
            }
            Ok(bytes)
        };
        let model = ModuleRecord::from_bytes(Bytes::from_bytes_vec(file(MODEL)?))?;
        Ok(Self { state, model, optimizer: file(OPTIMIZER)? })
    }

    /// The newest checkpoint that is whole, and what is wrong with those that are newer; none
    /// where nothing has been saved yet.
    ///
    /// # Errors
    ///
    /// Where there are checkpoints and not one is whole.
    pub fn newest(folder: &Path) -> Result<Option<(Self, Vec<String>)>> {
        let mut damaged = vec![];
        for path in folders(folder, STEP)?.into_iter().rev() {
            match Self::load(&path) {
                Ok(checkpoint) => return Ok(Some((checkpoint, damaged))),
                Err(error) => damaged.push(format!("{error:#}")),
            }
        }
        if damaged.is_empty() {
            return Ok(None);
        }
        bail!(
            "`{}` holds no whole checkpoint: {} (hint: with one of these files as it was it goes on, with another \
             --out it begins anew)",
            folder.display(),
            damaged.join("; ")
        )
    }

    /// Forgets a best epoch whose checkpoint is not whole, and says what is wrong with it.
    pub fn forget_broken_best(&mut self, folder: &Path) -> Option<anyhow::Error> {
        let before = self.state.best.filter(|best| best.step != self.state.step)?;
        let broken = Self::load(&path(folder, before.step)).err()?;
        self.state.best = None;
        Some(broken)
    }

    /// The weights in a model of the same configuration.
    ///
    /// # Errors
    ///
    /// Where the configuration is another one.
    pub fn model(&self, vae: Vae) -> Result<Vae> {
        vae.try_load_record(self.model.clone()).context("the checkpoint is of another network")
    }

    /// The state of the optimiser in a fresh one.
    ///
    /// # Errors
    ///
    /// Where the file's content is damaged.
    pub fn optimizer(&self, optimizer: ModuleOptimizer) -> Result<ModuleOptimizer> {
        Ok(optimizer.from_bytes(Bytes::from_bytes_vec(self.optimizer.clone()))?)
    }
}
