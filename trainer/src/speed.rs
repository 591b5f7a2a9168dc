//! How fast a network trains on a device: the steps of a fit on images that are made.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore};
use burn::tensor::Device;
use ndarray::{Array2, Array3, Array4};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;
use vae_infer::compare::quantile;
use vae_infer::{machine, npy, write};

use crate::batches::Batches;
use crate::config::RunConfig;
use crate::device::Chosen;
use crate::draws::{self, Purpose};
use crate::forward::host;
use crate::means::Sums;
use crate::objective::Objective;
use crate::precision::Precision;
use crate::run::Run;
use crate::training::Training;

/// Steps between two looks at the loss, each of which waits for the device.
const WINDOW: usize = 10;

/// What is run.
pub struct Options<'a> {
    /// Images in a step.
    pub batch: usize,
    /// Steps that are measured, after those that warm up.
    pub steps: usize,
    /// Steps that warm up: kernels are compiled and chosen in them.
    pub warmup: usize,
    /// A folder for what another program needs to begin at the same place.
    pub start: Option<&'a Path>,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Speed {
    /// The network.
    pub network: String,
    /// The device that trained.
    pub device: String,
    /// What the layers compute in.
    pub precision: Precision,
    /// Images in a step.
    pub batch: usize,
    /// Seconds from the network's making to the end of its first step.
    pub first_step_s: f64,
    /// Seconds of the steps that warm up, with the first.
    pub warmup_s: f64,
    /// Steps that were measured.
    pub steps: usize,
    /// Images a second in steady state: the median, the slowest and the fastest of windows of ten steps.
    pub images_per_second: [f64; 3],
    /// Floating-point operations of a step: three times the network's forward pass, and what the feature network of
    /// a perceptual term adds.
    pub step_flops: f64,
    /// Bytes that a step moves where it goes layer by layer: every value behind a block is written, and read by the next
    /// and on the way back, where its gradient is written and read; every weight is read on both ways, its
    /// gradient is written and read, and the optimiser reads and writes it with two moments.
    pub step_bytes: f64,
    /// Those operations a second in steady state.
    pub flops_per_second: f64,
    /// The most memory of the process, in bytes; what is on a GPU is not in it.
    pub peak_memory: Option<u64>,
    /// The mean loss of an image in the first window after warming up, and in the last.
    pub losses: [f64; 2],
}

/// Trains a network on made images, and measures it.
///
/// # Errors
///
/// Where the configuration does not hold, where `start` cannot be written, and where a term of the loss is
/// not a finite number.
pub fn measure(config: &RunConfig, chosen: &Chosen, options: &Options<'_>) -> Result<Speed> {
    let Options { batch, steps, warmup, start } = *options;
    let Chosen { device, name, .. } = chosen;
    if steps == 0 || !steps.is_multiple_of(WINDOW) {
        bail!("--steps {steps} is not a number of whole windows, of {WINDOW} steps each");
    }
    if let Some(folder) = start
        && Run::open(folder).is_ok_and(|run| run.checkpoints().exists())
    {
        bail!("`{}` is a run (hint: another --start)", folder.display());
    }
    let made = made(config, batch)?;
    let objective = Objective::new(config, device)?;
    let [encoder, decoder] = config.model.cost(config.image.shape())?;
    let (network, features) = (encoder + decoder, objective.features_cost());
    let step_flops = batch as f64 * (3 * network.flops + features.flops) as f64;
    let precision = config.train.precision;
    let values = batch * 5 * network.values * precision.bytes();
    let single = 10 * network.parameters + batch * 2 * features.values;
    let step_bytes = (values + size_of::<f32>() * single) as f64;
    let order = Order { seed: config.seed, images: made.dim().0, batch };
    if let Some(folder) = start {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        npy::write(&folder.join("images.npy"), &made)?;
        npy::write(&folder.join("order.npy"), &order.of(warmup + steps))?;
        npy::write(&folder.join("noise.npy"), &noise(config, batch, warmup + steps, device))?;
        write::atomically(&folder.join("config.toml"), config.to_toml().as_bytes())?;
    }
    let data = Batches::new(made, usize::MAX, device);

    let mut began = Instant::now();
    device.seed(config.seed);
    let mut training = Training::new(config, &objective, chosen, None)?;
    if let Some(folder) = start {
        let writing = Instant::now();
        write_weights(&training, folder)?;
        began += writing.elapsed();
    }
    let (mut first_step_s, mut warmup_s) = (0.0, 0.0);
    let (mut rates, mut losses) = (vec![], vec![]);
    let (mut unread, mut window) = (vec![], Instant::now());
    let mut pass = None;
    for step in 0..warmup + steps {
        let (number, place) = order.place(step);
        if place == 0 {
            pass = Some(data.pass(order.epoch(number), batch, 0));
        }
        let images = pass.as_mut().and_then(Iterator::next).context("an epoch is short")??;
        let (weights, rate) = (config.weights(), config.train.learning_rate);
        unread.push((training.step(images, step, weights, rate), batch));
        let measured = (step + 1).saturating_sub(warmup);
        let ends =
            step == 0 || step + 1 == warmup || measured > 0 && measured.is_multiple_of(WINDOW);
        if !ends {
            continue;
        }
        let read = unread.len();
        let mut sums = Sums::default();
        if let Err(broken) = sums.add(std::mem::take(&mut unread)) {
            bail!("at step {} {broken}", step + 2 - read + broken.batch);
        }
        if step == 0 {
            first_step_s = began.elapsed().as_secs_f64();
        }
        if step + 1 == warmup {
            warmup_s = began.elapsed().as_secs_f64();
        } else if measured > 0 {
            rates.push((read * batch) as f64 / window.elapsed().as_secs_f64());
            losses.push(sums.means().loss(config.weights()));
        }
        window = Instant::now();
    }
    let [median, slowest, fastest] =
        [0.5, 0.0, 1.0].map(|part| quantile(&rates, part).expect("there is a window"));
    Ok(Speed {
        network: config.name.clone(),
        device: name.clone(),
        precision,
        batch,
        first_step_s,
        warmup_s,
        steps,
        images_per_second: [median, slowest, fastest],
        step_flops,
        step_bytes,
        flops_per_second: step_flops / batch as f64 * median,
        peak_memory: machine::peak_memory(),
        losses: [losses[0], losses[losses.len() - 1]],
    })
}

/// Which images every step takes: a shuffled order an epoch, whose last and smaller batch is left out.
struct Order {
    seed: u64,
    images: usize,
    batch: usize,
}

impl Order {
    /// The epoch of a step, and its place in it.
    fn place(&self, step: usize) -> (usize, usize) {
        let steps = self.images / self.batch;
        (step / steps, step % steps)
    }

    fn epoch(&self, number: usize) -> Vec<usize> {
        draws::permutation(draws::seed(self.seed, Purpose::Order, number as u64), self.images)
    }

    /// The images of every step: `[steps, B]`.
    fn of(&self, steps: usize) -> Array2<i64> {
        let mut order = Array2::zeros((steps, self.batch));
        for (step, mut row) in order.outer_iter_mut().enumerate() {
            let (number, place) = self.place(step);
            let epoch = self.epoch(number);
            let images = &epoch[place * self.batch..(place + 1) * self.batch];
            row.iter_mut().zip(images).for_each(|(to, &image)| *to = image as i64);
        }
        order
    }
}

/// The posterior's noise in every step: `[steps, B, Z]`.
fn noise(config: &RunConfig, batch: usize, steps: usize, device: &Device) -> Array3<f32> {
    let latent = config.model.latent;
    let draws = (0..steps as u64).flat_map(|step| {
        let place = draws::seed(config.seed, Purpose::Training, step);
        host(draws::epsilon(place, batch, latent, device))
    });
    Array3::from_shape_vec((steps, batch, latent), draws.collect())
        .expect("every step draws as much")
}

/// Images of the network's size, `[N, C, H, W]`: spots of one brightness on a ground of another, in the
/// image's range or, where it is binarised, of its two values.
///
/// # Errors
///
/// Where there is no memory for so many.
fn made(config: &RunConfig, batch: usize) -> Result<Array4<f32>> {
    let [channels, height, width] = config.image.shape();
    let (count, mut values) = (batch.saturating_mul(2).max(FEWEST), Vec::new());
    let room = count.checked_mul(channels * height * width);
    let room = room.filter(|&room| values.try_reserve_exact(room).is_ok());
    values.resize(room.with_context(|| format!("no memory holds {count} images"))?, 0.0);
    let mut images = Array4::from_shape_vec((count, channels, height, width), values)?;
    let [low, high] = config.image.range;
    let mut generator = ChaCha8Rng::seed_from_u64(config.seed);
    let mut uniform = || (generator.next_u64() >> 40) as f32 / (1 << 24) as f32;
    for mut image in images.outer_iter_mut() {
        let [y, x, radius] = [(); 3].map(|()| uniform());
        let (y, x) = (y * height as f32, x * width as f32);
        let radius = (0.1 + 0.3 * radius) * height.min(width) as f32;
        for mut plane in image.outer_iter_mut() {
            let [ground, spot] = match config.image.binarize {
                Some(_) => [low, high],
                None => [(); 2].map(|()| low + uniform() * (high - low)),
            };
            for ((row, column), value) in plane.indexed_iter_mut() {
                let distance = (row as f32 - y).hypot(column as f32 - x);
                *value = if distance < radius { spot } else { ground };
            }
        }
    }
    Ok(images)
}

/// The fewest images that are made.
const FEWEST: usize = 1024;

/// The fresh weights, named and laid out as PyTorch has them.
fn write_weights(training: &Training<'_>, folder: &Path) -> Result<()> {
    let path = folder.join("weights.safetensors");
    let mut store =
        SafetensorsStore::from_file(&path).overwrite(true).with_to_adapter(BurnToPyTorchAdapter);
    let (vae, _) = training.parts();
    let saved = vae.save_into(&mut store);
    saved.map_err(|e| anyhow::anyhow!("cannot write `{}`: {e}", path.display()))
}
