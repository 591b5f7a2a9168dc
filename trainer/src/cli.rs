//! The command line of `vae-train`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::data::Known;
use crate::device::DeviceName;

/// Trains variational autoencoders and exports them for `vae-infer`
#[derive(Debug, Parser)]
#[command(name = "vae-train", version, propagate_version = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a model
    ///
    /// The run's folder gets the configuration, one line of metrics an epoch, checkpoints, and the
    /// final figures. Ctrl-C finishes the step, saves and exits; --resume goes on from there.
    Fit(Fit),
    /// Write a trained model as a bundle for `vae-infer`, where all engines agree on its answers
    Export(Export),
    /// Train a small classifier, whose layers a perceptual loss can compare
    ///
    /// The folder gets features.toml and weights.safetensors;
    /// --set train.perceptual.features=FOLDER/features.toml takes it into a fit.
    Features(Features),
    /// Download a well-known data set
    Data(Data),
    /// List the presets, or print one as TOML to start a configuration from
    Presets {
        /// The preset to print
        name: Option<String>,
    },
}

/// Options of `vae-train fit`.
#[derive(Debug, Args)]
pub struct Fit {
    /// A preset's name (see `vae-train presets`), or a configuration file
    #[arg(value_name = "PRESET|CONFIG.toml")]
    pub config: String,
    /// Folder with the images: IDX files, .npy arrays, or image files with sub-folders as labels
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The run's folder; it must be new or empty, unless the run is resumed
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    pub device: DeviceName,
    /// Change a value of the configuration, for example train.epochs=3
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Go on from the run's newest whole checkpoint
    #[arg(long)]
    pub resume: bool,
}

/// Options of `vae-train export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The run's folder
    pub run: PathBuf,
    /// The bundle's folder
    #[arg(short, long, value_name = "BUNDLE")]
    pub out: PathBuf,
    /// Replace a bundle that is there
    #[arg(long)]
    pub force: bool,
    /// ONNX Runtime's shared library [default: found as `vae-infer` finds it]
    #[arg(long, value_name = "FILE")]
    pub ort_lib: Option<PathBuf>,
}

/// Options of `vae-train features`.
#[derive(Debug, Args)]
pub struct Features {
    /// Folder with labelled images: IDX files, .npy arrays, or image files with sub-folders as labels
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The folder that gets the feature network; it must be new
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Passes over the images
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..))]
    pub epochs: u16,
    /// The source of every random draw
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Channels of its input: 1 for grey, 3 for RGB
    #[arg(long, default_value_t = 1)]
    pub channels: usize,
    /// Height and width of its input; images of another size are stretched
    #[arg(long, value_name = "PIXELS", default_value_t = 28)]
    pub size: usize,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    pub device: DeviceName,
}

/// Options of `vae-train data`.
#[derive(Debug, Args)]
pub struct Data {
    /// The data set
    #[arg(value_enum)]
    pub name: Known,
    /// The folder that gets its files
    pub folder: PathBuf,
    /// Fetch from this address instead of the well-known mirrors
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
}
