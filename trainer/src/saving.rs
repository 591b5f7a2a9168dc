//! Checkpoints that are written beside the training loop.

use std::panic;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::Result;

use crate::checkpoint::{self, Snapshot};
use crate::run::Run;

/// Writes the checkpoints of a run in their order, one at a time, on a thread of its own.
pub struct Saving {
    save: Arc<Save>,
    written: Option<JoinHandle<Result<()>>>,
}

type Save = dyn Fn(&Snapshot) -> Result<()> + Send + Sync;

impl Saving {
    /// Saves into a run, where the checkpoints of the steps in `keep` stay.
    pub fn new(run: &Run, keep: Vec<usize>) -> Self {
        let run = run.clone();
        Self::by(move |snapshot| checkpoint::save(&run, snapshot, &keep))
    }

    fn by(save: impl Fn(&Snapshot) -> Result<()> + Send + Sync + 'static) -> Self {
        Self { save: Arc::new(save), written: None }
    }

    /// Begins to save, once the snapshot before has been saved.
    ///
    /// # Errors
    ///
    /// Where that one could not be.
    pub fn begin(&mut self, snapshot: Snapshot) -> Result<()> {
        self.finish()?;
        let save = Arc::clone(&self.save);
        self.written = Some(thread::spawn(move || save(&snapshot)));
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use burn::tensor::Tensor;
    use tempfile::TempDir;

    use super::*;
    use crate::checkpoint::{Checkpoint, State, last_good};
    use crate::config::RunConfig;
    use crate::device::{Chosen, DeviceName};
    use crate::means::Means;
    use crate::objective::{Objective, TermWeights};
    use crate::run::EpochMetrics;
    use crate::training::Training;

    /// A run whose every step is an epoch.
    struct Steps {
        folder: TempDir,
        config: RunConfig,
        chosen: Chosen,
        objective: Objective,
    }

    impl Steps {
        fn new() -> (Self, Run) {
            let config = RunConfig::load("patterns", &[]).expect("a preset");
            let folder = TempDir::new().expect("a folder");
            let run = Run::create(folder.path(), &config).expect("it is empty");
            let chosen = DeviceName::Cpu.open().expect("it is in this build");
            let objective = Objective::new(&config, &chosen.device).expect("no feature network");
            (Self { folder, config, chosen, objective }, run)
        }

        fn training(&self) -> Training<'_> {
            Training::new(&self.config, &self.objective, &self.chosen, None).expect("it fits")
        }

        /// A run after a step, of which every term is a finite number.
        fn step(&self, training: &mut Training<'_>, step: usize, beta: f64, rate: f64) -> Snapshot {
            let images = Tensor::ones([2, 1, 4, 4], &self.chosen.device);
            let weights = TermWeights { beta, ..self.config.weights() };
            let terms = training.step(images, step - 1, weights, rate).into_data();
            assert!(terms.iter::<f32>().all(f32::is_finite), "the terms are of the weights before");
            let (vae, optimizer) = training.parts();
            let (vae, optimizer) = (vae.clone(), optimizer.clone());
            let metrics = EpochMetrics {
                epoch: step,
                step,
                train: Means::default(),
                validation: None,
                beta,
                perceptual_weight: 0.0,
                learning_rate: rate,
            };
            let state = State { step, ..State::default() };
            Snapshot { vae, optimizer, state, metrics: Some(metrics) }
        }
    }

    #[test]
    fn snapshots_are_saved_in_their_order_until_a_number_is_not_finite() {
        // A learning rate that breaks the weights, and gradients whose squares are too large for the moments alone.
        let cases = [(1.0, f64::NAN, "the weight `"), (1e25, 1e-3, "a moment of the optimiser")];
        for (beta, rate, broken) in cases {
            let (steps, run) = Steps::new();
            let (mut training, mut saving) = (steps.training(), Saving::new(&run, vec![2]));
            for number in 1..=5 {
                let snapshot = steps.step(&mut training, number, 1.0, 1e-3);
                saving.begin(snapshot).expect("all is finite");
            }
            saving.finish().expect("all is finite");
            let snapshot = steps.step(&mut training, 6, beta, rate);
            saving.begin(snapshot).expect("the one before was saved");
            let error = saving.finish().expect_err("it is broken").to_string();
            let why = "the step was too large, or a gradient was not finite";
            let good = "the last good weights are those of step 5 ";
            for words in ["after step 6 ", broken, why, good] {
                assert!(error.contains(words), "`{words}` is not in `{error}`");
            }
            let folder = run.checkpoints();
            let mut there: Vec<_> = std::fs::read_dir(&folder)
                .expect("it is there")
                .map(|entry| entry.expect("it can be read").path())
                .collect();
            there.sort();
            assert_eq!(there, [2, 4, 5].map(|step| checkpoint::path(&folder, step)));
            let lines = run.metrics().expect("they are whole");
            assert_eq!(lines.iter().map(|line| line.epoch).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
            let newest = Checkpoint::newest(&folder).expect("it can be read");
            let (newest, damaged) = newest.expect("it is there");
            assert_eq!((newest.state.step, damaged.len()), (5, 0));
        }
    }

    #[test]
    fn training_goes_on_while_a_snapshot_is_written_and_waits_for_it_before_the_next() {
        let (steps, _) = Steps::new();
        let mut training = steps.training();
        let (let_go, disk) = channel::<()>();
        let (wrote, written) = channel();
        let disk = Mutex::new(disk);
        let mut saving = Saving::by(move |snapshot| {
            disk.lock().expect("no writer panics").recv_timeout(Duration::from_secs(60))?;
            Ok(wrote.send(snapshot.state.step)?)
        });
        let first = steps.step(&mut training, 1, 1.0, 1e-3);
        saving.begin(first).expect("none was there before");
        let later = (2..=9).map(|number| steps.step(&mut training, number, 1.0, 1e-3)).last();
        saving.check().expect("it is being written");
        assert!(written.try_recv().is_err(), "nothing can be written yet");

        let later = later.expect("there are steps");
        let next = thread::spawn(move || saving.begin(later).map(|()| saving));
        let_go.send(()).expect("a writer waits");
        let mut saving = next.join().expect("no panic").expect("the first one is written");
        assert_eq!(written.try_iter().collect::<Vec<_>>(), [1]);
        let_go.send(()).expect("a writer waits");
        saving.finish().expect("it is written");
        assert_eq!(written.try_iter().collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn weights_that_cannot_be_read_are_not_said_to_be_missing() {
        let (steps, run) = Steps::new();
        let folder = run.checkpoints();
        assert_eq!(last_good(&folder), "no weights had been saved yet");
        let mut saving = Saving::new(&run, vec![]);
        let snapshot = steps.step(&mut steps.training(), 1, 1.0, 1e-3);
        saving.begin(snapshot).and_then(|()| saving.finish()).expect("all is finite");
        assert_eq!(last_good(&folder), "the last good weights are those of step 1");
        let model = checkpoint::path(&folder, 1).join("model.bpk");
        std::fs::write(&model, "damaged").expect("it can be written");
        let said = last_good(&folder);
        assert!(said.starts_with("the weights that were saved cannot be read"), "{said}");
        assert!(said.contains("model.bpk") && steps.folder.path().exists(), "{said}");
    }
}
