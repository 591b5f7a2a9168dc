//! Options of `vae-train benchmark`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
