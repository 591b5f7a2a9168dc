//! Options of `vae-train benchmark`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Format;
use crate::benchmark::Part;
use crate::device::DeviceName;

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum Benchmark {
    /// Measure how well the scores of anomalies find them
    ///
    /// Trains a network for every case and every seed, and measures the area under the ROC curve of
    /// every score on test images, beside PCA, nearest neighbours and the local outlier factor. What
    /// is measured is kept, and the same command goes on where it was stopped; several processes may
    /// share the folder. It gets anomaly.md, which is printed, and anomaly.json.
    Anomaly(AnomalyBenchmark),
    /// Measure how fast a network trains on a device
    ///
    /// Takes the steps of a fit on images that are made, and prints images a second in steady state, how long
    /// the first step and those that warm up took, the most memory, and the loss, which is the same for
    /// the same seed. --start writes the fresh weights, the images, their order and the posterior's noise, with which
    /// another framework takes the same steps.
    Training(TrainingBenchmark),
}

/// Options of `vae-train benchmark training`.
#[derive(Debug, Args)]
pub struct TrainingBenchmark {
    /// A preset's name (see `vae-train presets`), or a configuration file
    #[arg(value_name = "PRESET|CONFIG.toml")]
    pub config: String,
    /// Change a value of the configuration, for example train.clip_norm=1
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Images in a step [default: train.batch_size]
    #[arg(long, value_name = "N")]
    pub batch: Option<NonZeroUsize>,
    /// Steps that are measured, in windows of ten
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..))]
    pub steps: u32,
    /// Steps before them, in which kernels are compiled and chosen
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub warmup: u32,
    /// A folder for config.toml, weights.safetensors, images.npy, order.npy and noise.npy
    #[arg(long, value_name = "DIR")]
    pub start: Option<PathBuf>,
    /// Where to train
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    pub device: DeviceName,
    /// Cut every batch over several such devices, by their numbers, and open no other; on the CPU each takes a part of
    /// the threads
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub devices: Vec<usize>,
    /// A table, or one JSON object
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Options of `vae-train benchmark anomaly`.
#[derive(Debug, Args)]
pub struct AnomalyBenchmark {
    /// What is measured [default: everything]
    #[arg(value_enum)]
    pub parts: Vec<Part>,
    /// Folder with the data sets in `mnist/`, `fashion-mnist/`, `emnist-letters/` and `magnetic-tile/`
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The folder that gets everything
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// Networks for each case, each with a seed of its own
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: u64,
    /// Few cases and a few steps on images that the program makes, to see that everything works
    #[arg(long, conflicts_with_all = ["data", "seeds"])]
    pub quick: bool,
    /// Keep the checkpoints of every network, with which `vae-train export` makes a bundle
    #[arg(long)]
    pub keep: bool,
    /// Where to train
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    pub device: DeviceName,
}
