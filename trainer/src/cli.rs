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
    /// The run's folder gets the configuration, one line of metrics an epoch, checkpoints, the final
    /// figures, and pictures of the model. Ctrl-C finishes the step, saves and exits; --resume goes on from there.
    Fit(Fit),
    /// Draw pictures of a trained model
    ///
    /// Loss curves, reconstructions, samples, the latent space, interpolations, posterior draws, the
    /// epochs as an animation, and reconstructions under noise, from the weights of the best epoch
    /// and the images that were held out. The paths of the files are printed; where a picture has
    /// no meaning for a model, one line says why. Pictures of an earlier call are replaced. With
    /// several runs over the same images, `noise-comparison.png` sets them side by side.
    Figures(Figures),
    /// Write a trained model as a bundle for `vae-infer`, where all engines agree on its answers
    Export(Export),
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

/// Options of `vae-train figures`.
#[derive(Debug, Args)]
pub struct Figures {
    /// The run's folder
    pub run: PathBuf,
    /// Runs over the same images, to be compared under the same noise
    #[arg(value_name = "OTHER")]
    pub others: Vec<PathBuf>,
    /// Folder with the images [default: where they were when the run was trained]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    pub device: DeviceName,
    /// The folder that gets the pictures [default: RUN/figures]
    #[arg(short, long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
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
