//! The training loop.

use std::time::Instant;

use anyhow::{Result, anyhow};
use burn::tensor::{Device, Tensor};

use crate::batches::Batches;
use crate::checkpoint::{Best, Checkpoint, HINT, Snapshot, State, last_good};
use crate::config::RunConfig;
use crate::device::Chosen;
use crate::draws::{self, Purpose};
use crate::frames::{Frames, fresh};
use crate::means::{BETWEEN_READS, Broken, Means, evaluate};
use crate::objective::{Objective, TermWeights};
use crate::progress::Progress;
use crate::run::{EpochMetrics, Run};
use crate::saving::Saving;
use crate::signals::Signals;
use crate::training::Training;

/// What to do where an image could not be read.
const RESUME: &str = "(hint: with that image there again, --resume goes on)";

/// How a training loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done, or none was better for too long.
    Finished,
    /// A signal, by its number, stopped it after a step; its checkpoint is saved.
    Interrupted(i32),
}

/// What a loop reads.
pub struct Data {
    /// The images to train on.
    pub train: Batches,
    /// The images to choose the best epoch by; without them it is chosen by the training loss.
    pub validation: Option<Batches>,
}

/// A loop between two steps.
pub struct Loop<'a> {
    config: &'a RunConfig,
    objective: &'a Objective,
    run: &'a Run,
    data: &'a Data,
    device: &'a Device,
    frames: Option<Frames<'a>>,
    training: Training<'a>,
    state: State,
    saving: Saving,
    saved: Instant,
    /// Sums of the steps since the last look at the loss, still on the device, with the images of each.
    unread: Vec<(Tensor<1>, usize)>,
}

impl<'a> Loop<'a> {
    /// A loop at its first step, or after the step of a checkpoint, which draws a frame of every epoch
    /// where it gets some.
    ///
    /// # Errors
    ///
    /// As [`Training::new`].
    pub fn new(
        config: &'a RunConfig,
        objective: &'a Objective,
        run: &'a Run,
        data: &'a Data,
        chosen: &'a Chosen,
        frames: Option<Frames<'a>>,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Self> {
        let training = Training::new(config, objective, chosen, checkpoint)?;
        let device = &chosen.device;
        let state = checkpoint.map(|saved| saved.state.clone()).unwrap_or_default();
        let steps_per_epoch = data.train.len().div_ceil(config.train.batch_size);
        let keep = config.train.keep.iter().map(|epoch| epoch * steps_per_epoch).collect();
        Ok(Self {
            config,
            objective,
            run,
            data,
            device,
            frames,
            training,
            state,
            saving: Saving::new(run, keep),
            saved: Instant::now(),
            unread: vec![],
        })
    }

    /// Runs the epochs that are left, each followed by a validation and a checkpoint, which is
    /// written while the next one runs; within a long one there are others. All are there when this ends.
    ///
    /// # Errors
    ///
    /// Where a term of the loss, a weight or a moment of the optimiser is not a finite number (the last checkpoint
    /// is then the last good one), where an image can no longer be read (the last checkpoint is then of the step
    /// before), or where a file cannot be written.
    pub fn run(mut self, progress: &Progress, signals: &Signals) -> Result<Outcome> {
        let outcome = self.epochs(progress, signals);
        match (outcome, self.saving.finish()) {
            (Err(error), Err(unsaved)) => Err(unsaved.context(format!("{error:#}"))),
            (outcome, saved) => saved.and(outcome),
        }
    }

    fn epochs(&mut self, progress: &Progress, signals: &Signals) -> Result<Outcome> {
        let train = &self.config.train;
        if let (0, Some(frames)) = (self.state.step, &self.frames) {
            let first = train.batch_size.min(self.data.train.len());
            frames.draw(&fresh(self.config, first, self.device)?, 0)?;
        }
        while self.state.epoch < train.epochs && !self.is_stale() {
            let started = Instant::now();
            let first = self.state.step_in_epoch;
            if let Some(signal) = self.epoch(progress, signals)? {
                self.save(None)?;
                return Ok(Outcome::Interrupted(signal));
            }
            let images = self.data.train.len().saturating_sub(first * train.batch_size);
            let seconds = started.elapsed().as_secs_f64();
            let metrics = self.finish_epoch()?;
            progress.epoch(&metrics, images as f64 / seconds);
            if let Some(signal) = signals.received() {
                return Ok(Outcome::Interrupted(signal));
            }
        }
        Ok(Outcome::Finished)
    }

    /// Runs the steps of an epoch that are left, or those before a signal.
    fn epoch(&mut self, progress: &Progress, signals: &Signals) -> Result<Option<i32>> {
        let train = &self.config.train;
        let place = draws::seed(self.config.seed, Purpose::Order, self.state.epoch as u64);
        let order = draws::permutation(place, self.data.train.len());
        let data = self.data;
        let pass = data.train.pass(order, train.batch_size, self.state.step_in_epoch);
        let steps = pass.batches();
        let mut bar = progress.steps(self.state.epoch + 1, train.epochs, steps);
        for images in pass {
            let images = images.map_err(|error| self.stop_reading(&error))?;
            self.step(images, steps);
            let done = self.state.step_in_epoch;
            let last = done == steps;
            let signal = signals.received();
            if last || signal.is_some() || self.unread.len() == BETWEEN_READS {
                let means = self.read_losses()?;
                bar.set(done, &means);
                let late = self.saved.elapsed().as_secs_f64() >= 60.0 * train.save_minutes;
                if late && !last && signal.is_none() {
                    self.save(None)?;
                }
            }
            if !last && signal.is_some() {
                return Ok(signal);
            }
        }
        Ok(None)
    }

    fn step(&mut self, images: Tensor<4>, steps_per_epoch: usize) {
        let [count, ..] = images.dims();
        let (weights, rate) = (self.weights(steps_per_epoch), self.learning_rate(steps_per_epoch));
        self.unread.push((self.training.step(images, self.state.step, weights, rate), count));
        self.state.step += 1;
        self.state.step_in_epoch += 1;
    }

    /// Reads the losses of the steps since the last look, and stops at the first that is broken: it and those after
    /// it do not count.
    fn read_losses(&mut self) -> Result<Means> {
        self.saving.check()?;
        let unread = std::mem::take(&mut self.unread);
        let steps = unread.len();
        if let Err(broken) = self.state.sums.add(unread) {
            self.state.step -= steps - broken.batch;
            self.state.step_in_epoch -= steps - broken.batch;
            return Err(self.stop(&format!("at step {} {broken}", self.state.step + 1), HINT));
        }
        Ok(self.state.sums.means())
    }

    /// Why a run stops, once it is known which weights are kept, and what to do then.
    fn stop(&mut self, why: &str, hint: &str) -> anyhow::Error {
        match self.saving.finish() {
            Ok(()) => anyhow!("{why}; {} {hint}", last_good(&self.run.checkpoints())),
            Err(unsaved) => unsaved.context(why.to_owned()),
        }
    }

    /// Why a run stops whose images can no longer be read, once the steps before are saved.
    fn stop_reading(&mut self, error: &anyhow::Error) -> anyhow::Error {
        let why = format!("{error:#}");
        let saved = self.read_losses().and_then(|_| match self.state.step_in_epoch {
            0 => Ok(()),
            _ => self.save(None),
        });
        match saved {
            Ok(()) => self.stop(&why, RESUME),
            Err(unsaved) => unsaved.context(why),
        }
    }

    fn finish_epoch(&mut self) -> Result<EpochMetrics> {
        let steps = self.state.step_in_epoch;
        let (weights, learning_rate) = (self.weights(steps), self.learning_rate(steps));
        let train = self.state.sums.means();
        let validation = self.data.validation.as_ref().map(|images| -> Result<Means> {
            let (latent, seed) = (self.config.model.latent, self.config.seed);
            evaluate(&self.training.vae(), self.objective, images, latent, seed, self.device)
        });
        let step = self.state.step;
        let validation =
            validation.transpose().map_err(|error| match error.downcast::<Broken>() {
                Ok(broken) => {
                    self.stop(&format!("on the validation images after step {step} {broken}"), HINT)
                }
                Err(error) => self.stop_reading(&error),
            })?;
        self.state.epoch += 1;
        self.state.step_in_epoch = 0;
        self.state.sums = Default::default();

        let epoch = self.state.epoch;
        let loss = validation.unwrap_or(train).loss(self.config.weights());
        if self.state.best.is_none_or(|best| loss < best.loss) {
            self.state.best = Some(Best { epoch, step, loss });
        }
        let TermWeights { beta, perceptual: perceptual_weight } = weights;
        let metrics =
            EpochMetrics { epoch, step, train, validation, beta, perceptual_weight, learning_rate };
        if let Some(frames) = &self.frames {
            frames.draw(&self.training.vae(), epoch)?;
        }
        self.save(Some(metrics.clone()))?;
        Ok(metrics)
    }

    fn save(&mut self, metrics: Option<EpochMetrics>) -> Result<()> {
        let (vae, optimizer) = self.training.parts();
        let (vae, optimizer) = (vae.clone(), optimizer.clone());
        self.saved = Instant::now();
        self.saving.begin(Snapshot { vae, optimizer, state: self.state.clone(), metrics })
    }

    fn is_stale(&self) -> bool {
        let since = self.state.best.map_or(0, |best| self.state.epoch - best.epoch);
        self.config.train.patience.is_some_and(|patience| since >= patience)
    }

    /// The weights of the terms at the next step.
    fn weights(&self, steps_per_epoch: usize) -> TermWeights {
        let part = self.state.step_in_epoch as f64 / steps_per_epoch as f64;
        let beta = self.config.warmup().at(self.state.epoch as f64 + part);
        TermWeights { beta, ..self.config.weights() }
    }

    fn learning_rate(&self, steps_per_epoch: usize) -> f64 {
        let train = &self.config.train;
        let factor = train.schedule.factor(self.state.step, steps_per_epoch, train.epochs);
        train.learning_rate * factor
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use std::path::{Path, PathBuf};

    use ndarray::Array4;
    use tempfile::TempDir;

    use super::*;
    use crate::data::{DataConfig, load};
    use crate::device::DeviceName;

    #[test]
    fn the_step_whose_term_broke_first_is_named_and_is_the_first_that_does_not_count() {
        let config = RunConfig::load("patterns", &[]).expect("a preset");
        let folder = TempDir::new().expect("a folder");
        let run = Run::create(folder.path(), &config).expect("it is empty");
        let chosen = DeviceName::Cpu.open().expect("it is in this build");
        let device = &chosen.device;
        let objective = Objective::new(&config, device).expect("no feature network");
        let train = Batches::new(Array4::zeros((4, 1, 4, 4)), 1, device);
        let data = Data { train, validation: None };
        let mut training =
            Loop::new(&config, &objective, &run, &data, &chosen, None, None).expect("it fits");
        let mut take = |steps: &[[f32; 2]]| {
            for &sums in steps {
                training.unread.push((Tensor::from_floats(sums, device), 2));
                training.state.step += 1;
                training.state.step_in_epoch += 1;
            }
            let read = training.read_losses().map_err(|error| error.to_string());
            (read, training.state.step, training.state.step_in_epoch, training.state.sums)
        };
        let (read, .., sums) = take(&[[2.0, 4.0]; 3]);
        let means = read.expect("all is finite");
        assert_eq!((means.reconstruction, means.kl), (1.0, 2.0));

        let (nan, infinite) = (f32::NAN, f32::INFINITY);
        let (read, step, step_in_epoch, then) =
            take(&[[2.0, 4.0], [2.0, 4.0], [2.0, infinite], [nan, nan], [nan, nan]]);
        let error = read.expect_err("the third of these is broken");
        assert_eq!((step, step_in_epoch), (5, 5));
        assert_eq!(then.means(), sums.means());
        assert!(
            error.starts_with("at step 6 the KL term is not a finite number (inf); "),
            "{error}"
        );
        assert!(error.contains("no weights had been saved yet"), "{error}");
    }

    /// Twelve images in files of a folder, read batch by batch.
    fn files(folder: &Path, config: &RunConfig, device: &Device) -> Batches {
        for number in 0..12_u8 {
            let content = [&b"P5 4 4 255\n"[..], &[number; 16]].concat();
            std::fs::write(file(folder, number.into()), content).expect("it can be written");
        }
        let data = DataConfig { memory_mib: 0, ..DataConfig::default() };
        let loaded = load(&data, Some(folder), &config.image).expect("they are whole");
        Batches::new(loaded.train.images, 0, device)
    }

    fn file(folder: &Path, number: usize) -> PathBuf {
        folder.join(format!("{number:02}.pgm"))
    }

    #[test]
    fn the_steps_before_an_image_that_is_gone_are_saved() {
        let settings = ["train.batch_size=2", "train.epochs=2"].map(str::to_owned);
        let config = RunConfig::load("patterns", &settings).expect("a preset");
        let chosen = DeviceName::Cpu.open().expect("it is in this build");
        let objective = Objective::new(&config, &chosen.device).expect("no feature network");
        let folders: [TempDir; 3] = std::array::from_fn(|_| TempDir::new().expect("a folder"));
        let [train, validation, out] = folders.each_ref().map(TempDir::path);
        let run = Run::create(out, &config).expect("it is empty");
        let data = Data {
            train: files(train, &config, &chosen.device),
            validation: Some(files(validation, &config, &chosen.device)),
        };
        let go_on = || {
            let newest = Checkpoint::newest(&run.checkpoints()).expect("it can be read");
            let newest = newest.map(|(newest, _)| newest);
            let signals = Signals::watch().expect("the system lets us");
            Loop::new(&config, &objective, &run, &data, &chosen, None, newest.as_ref())
                .and_then(|training| training.run(&Progress::stderr(), &signals))
                .map_err(|error| format!("{error:#}"))
        };
        let order = |epoch| {
            let place = draws::seed(config.seed, Purpose::Order, epoch);
            draws::permutation(place, data.train.len())
        };
        // In the first batch, in the fourth, behind the last, and in the fifth of the second epoch.
        let gone = [
            (file(train, order(0)[1]), "no weights had been saved yet", None),
            (file(train, order(0)[7]), "those of step 3 (", Some((3, 0, 3))),
            (file(validation, 5), "those of step 6 (", Some((6, 0, 6))),
            (file(train, order(1)[8]), "those of step 10 (", Some((10, 1, 4))),
        ];
        let aside = out.join("aside");
        for (gone, good, place) in gone {
            std::fs::rename(&gone, &aside).expect("it is there");
            let error = go_on().expect_err("an image is gone");
            let name = gone.file_name().expect("a file").to_string_lossy();
            for words in [&name, good, "--resume goes on"] {
                assert!(error.contains(words), "`{words}` is not in `{error}`");
            }
            let newest = Checkpoint::newest(&run.checkpoints()).expect("it can be read");
            let state = newest.map(|(newest, _)| newest.state);
            assert_eq!(state.map(|state| (state.step, state.epoch, state.step_in_epoch)), place);
            std::fs::rename(&aside, &gone).expect("it is there");
        }
        assert_eq!(go_on(), Ok(Outcome::Finished));

        let folder = TempDir::new().expect("a folder");
        let whole = Run::create(folder.path(), &config).expect("it is empty");
        let signals = Signals::watch().expect("the system lets us");
        Loop::new(&config, &objective, &whole, &data, &chosen, None, None)
            .and_then(|training| training.run(&Progress::stderr(), &signals))
            .expect("all images are there");
        let lines = |run: &Path| std::fs::read(run.join("metrics.jsonl")).expect("they are there");
        assert_eq!(lines(out), lines(folder.path()));

        std::fs::remove_file(file(train, 0)).expect("it is there");
        std::fs::remove_dir_all(run.checkpoints()).expect("it is there");
        let newest = Loop::new(&config, &objective, &run, &data, &chosen, None, None);
        let error = newest.and_then(|training| training.run(&Progress::stderr(), &signals));
        let error = format!("{:#}", error.expect_err("an image is gone, and the run"));
        assert!(error.contains("00.pgm") && error.contains("checkpoints"), "{error}");
    }
}
