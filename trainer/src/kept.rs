//! The weights that a run has kept.

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use vae_models::Vae;

use crate::checkpoint::{self, Checkpoint};
use crate::config::RunConfig;
use crate::run::Run;

/// The weights of a run's best epoch, with its number; before the first epoch's end, those of the
/// newest checkpoint.
///
/// # Errors
///
/// Where there is no whole checkpoint.
pub fn best(run: &Run, config: &RunConfig, device: &Device) -> Result<(Vae, usize)> {
    let folder = run.checkpoints();
    let (newest, _) = Checkpoint::newest(&folder)?.context("the run has saved no weights yet")?;
    let (checkpoint, epoch) = match newest.state.best {
        Some(best) => {
            let checkpoint = Checkpoint::load(&checkpoint::path(&folder, best.step));
            let hint = || format!("the best epoch is {} (hint: --epoch takes another)", best.epoch);
            (checkpoint.with_context(hint)?, best.epoch)
        }
        None => (newest, 0),
    };
    Ok((weights(&checkpoint, config, device)?, epoch))
}

/// The weights after an epoch, counted from 1, that the run has kept.
///
/// # Errors
///
/// Where the run has not got so far, or has not kept them.
pub fn after(run: &Run, config: &RunConfig, epoch: usize, device: &Device) -> Result<Vae> {
    let lines = run.metrics()?;
    let line = lines.iter().find(|line| line.epoch == epoch);
    let line = line.with_context(|| format!("the run has no epoch {epoch}"))?;
    let path = checkpoint::path(&run.checkpoints(), line.step);
    let saved = Checkpoint::newest(&run.checkpoints())?.map_or(0, |(newest, _)| newest.state.step);
    if line.step > saved {
        bail!(
            "the weights of epoch {epoch} were not saved before the run was stopped (hint: --resume)"
        );
    }
    if !path.exists() {
        bail!("the weights of epoch {epoch} were not kept (hint: --set train.keep=[{epoch}])");
    }
    weights(&Checkpoint::load(&path)?, config, device)
}

fn weights(checkpoint: &Checkpoint, config: &RunConfig, device: &Device) -> Result<Vae> {
    let vae = config.model.init(config.image.shape(), device)?;
    checkpoint.model(vae)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Tensor;
    use tempfile::TempDir;

    use super::*;
    use crate::checkpoint::{Snapshot, State};
    use crate::device::DeviceName;
    use crate::means::Means;
    use crate::objective::Objective;
    use crate::run::EpochMetrics;
    use crate::training::Training;

    #[test]
    fn weights_that_were_never_saved_are_told_from_those_that_were_not_kept() {
        let config = RunConfig::load("patterns", &[]).expect("a preset");
        let folder = TempDir::new().expect("a folder");
        let run = Run::create(folder.path(), &config).expect("it is empty");
        let chosen = DeviceName::Cpu.open().expect("it is in this build");
        let objective = Objective::new(&config, &chosen.device).expect("no feature network");
        let mut training = Training::new(&config, &objective, &chosen, None).expect("it fits");
        let mut snapshot = |step| {
            let images = Tensor::ones([2, 1, 4, 4], &chosen.device);
            training.step(images, step, config.weights(), 1e-3);
            let (vae, optimizer) = training.parts();
            let (vae, optimizer) = (vae.clone(), optimizer.clone());
            let metrics = EpochMetrics {
                epoch: step,
                step,
                train: Means::default(),
                validation: None,
                beta: 1.0,
                perceptual_weight: 0.0,
                learning_rate: 1e-3,
            };
            let state = State { step, epoch: step, ..State::default() };
            Snapshot { vae, optimizer, state, metrics: Some(metrics) }
        };
        for epoch in 1..=3 {
            checkpoint::save(&run, &snapshot(epoch), &[]).expect("all is finite");
        }
        let metrics = snapshot(4).metrics.expect("it has some");
        run.write_metrics(&metrics).expect("it can be written");
        let after = |epoch| after(&run, &config, epoch, &chosen.device).map_err(|e| e.to_string());
        assert!(after(3).is_ok());
        for (epoch, words) in [(1, "train.keep=[1]"), (4, "not saved"), (5, "no epoch 5")] {
            let error = after(epoch).expect_err("they are not there");
            assert!(error.contains(words), "`{words}` is not in `{error}`");
        }
    }
}
