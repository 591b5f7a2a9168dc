//! Checkpoints that are written beside the training loop.

use std::panic;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use anyhow::Result;

use crate::checkpoint::{self, Snapshot};

/// Writes the checkpoints of a run in their order, one at a time, on a thread of its own.
pub struct Saving {
    folder: PathBuf,
    keep: Vec<usize>,
    written: Option<JoinHandle<Result<()>>>,
}

impl Saving {
    /// Saves into a folder, where the checkpoints of the steps in `keep` stay.
    pub fn new(folder: &Path, keep: Vec<usize>) -> Self {
        Self { folder: folder.to_owned(), keep, written: None }
    }

    /// Begins to save, once the snapshot before has been saved.
    ///
    /// # Errors
    ///
    /// Where that one could not be.
    pub fn begin(&mut self, snapshot: Snapshot) -> Result<()> {
        self.finish()?;
        let (folder, keep) = (self.folder.clone(), self.keep.clone());
        self.written = Some(thread::spawn(move || checkpoint::save(&folder, &snapshot, &keep)));
        Ok(())
    }

    /// Whether all is well so far, without waiting.
    ///
    /// # Errors
    ///
    /// Where the last snapshot could not be saved.
    pub fn check(&mut self) -> Result<()> {
        match &self.written {
            Some(written) if written.is_finished() => self.finish(),
            _ => Ok(()),
        }
    }

    /// Waits until the last snapshot has been saved.
    ///
    /// # Errors
    ///
    /// Where it could not be.
    pub fn finish(&mut self) -> Result<()> {
        match self.written.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(result) => result.unwrap_or_else(|broken| panic::resume_unwind(broken)),
        }
    }
}

impl Drop for Saving {
    /// A loop that stops by an error of its own leaves no checkpoint half written.
    fn drop(&mut self) {
        let _ = self.written.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;
    use crate::checkpoint::{Checkpoint, State};
    use crate::config::RunConfig;
    use crate::device::DeviceName;
    use crate::objective::Objective;
    use crate::training::Training;

    #[test]
    fn snapshots_are_saved_in_their_order_until_a_weight_is_no_number() {
        let config = RunConfig::load("patterns", &[]).expect("a preset");
        let (chosen, folder) =
            (DeviceName::Cpu.open(), tempfile::TempDir::new().expect("a folder"));
        let chosen = chosen.expect("it is in this build");
        let device = chosen.device.clone();
        let objective = Objective::new(&config, &device).expect("no feature network");
        let mut training = Training::new(&config, &objective, &chosen, None).expect("it fits");
        let mut saving = Saving::new(folder.path(), vec![2]);
        let mut step = |number: usize, rate: f64| {
            let images = Tensor::ones([2, 1, 4, 4], &device);
            let terms = training.step(images, number - 1, config.weights(), rate).into_data();
            assert!(terms.iter::<f32>().all(f32::is_finite), "the terms are of the weights before");
            let (vae, optimizer) = training.parts();
            let state = State { step: number, ..State::default() };
            Snapshot { vae: vae.clone(), optimizer: optimizer.clone(), state }
        };
        for number in 1..=5 {
            saving.begin(step(number, 1e-3)).expect("all is finite");
        }
        saving.finish().expect("all is finite");
        saving.begin(step(6, f64::NAN)).expect("the one before was saved");
        let error = saving.finish().expect_err("its weights are broken").to_string();
        assert!(error.contains("step 6") && error.contains("those of step 5"), "{error}");
        let there = (1..=6).filter(|&step| checkpoint::path(folder.path(), step).exists());
        assert_eq!(there.collect::<Vec<_>>(), [2, 4, 5]);
        let (newest, damaged) =
            Checkpoint::newest(folder.path()).expect("it can be read").expect("it is there");
        assert_eq!((newest.state.step, damaged.len()), (5, 0));
    }
}
