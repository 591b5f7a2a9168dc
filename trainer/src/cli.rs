//! The command line of `vae-train`.

mod benchmark;
mod import;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use vae_infer::anomaly::Method;
use vae_infer::manifest::Precision;

use crate::data::Known;
use crate::device::DeviceName;
use crate::evaluation::PartName;

pub use benchmark::{AnomalyBenchmark, Benchmark, TrainingBenchmark};
pub use import::{Import, LayoutName, ResizeName, SpreadName};

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
    /// Measure a trained model on its test images
    ///
    /// Prints the evidence lower bound with its two terms, the latent dimensions that carry
    /// something, and how near reconstructions are to their images beside a PCA of the same size,
    /// with the protocol; a file in RUN/evaluations/ gets the same. Figures are sums over pixels in nats.
    Evaluate(Evaluate),
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
    /// Make a bundle for `vae-infer` of an encoder and a decoder that were trained elsewhere
    ///
    /// The two ONNX files may come from PyTorch or TensorFlow, with weights inside or beside them.
    /// What is what is told from names and shapes, and printed; where they do not tell, one line
    /// says which option does. Images may be channels first, channels last or flat; latent vectors may have axes of
    /// one pixel; the spread may be a log-variance, a variance or a standard deviation, beside the
    /// mean or in one tensor with it; a batch axis that the export has fixed is opened. The bundle is written only
    /// where every engine here gives the answers of the files as they are.
    Import(Box<Import>),
    /// Write one HTML file on a run, or on several with a table that compares them
    Report(Report),
    /// Train, evaluate and draw the five systems that this project grew out of
    ///
    /// Runs that are there already are resumed, evaluations are kept. The folder gets every run with
    /// its figures and its bundle, report.html, and seeds.md with each seed's own result beside
    /// ours; for some of the seeds the two files have their names.
    Reproduce(Reproduce),
    /// Measure scores on data sets, and how fast a network trains
    #[command(subcommand)]
    Benchmark(Benchmark),
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
    /// Cut every batch over several such devices, by their numbers, and open no other; on the CPU each takes a part of
    /// the threads
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub devices: Vec<usize>,
    /// Change a value of the configuration, for example train.epochs=3
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Go on from the run's newest whole checkpoint
    #[arg(long)]
    pub resume: bool,
    /// Draw no pictures of the model, neither after every epoch nor in the end
    #[arg(long)]
    pub no_figures: bool,
}

/// Options of `vae-train evaluate`.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// The run's folder
    pub run: PathBuf,
    /// Folder with the images that the run was trained on [default: where they were then]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The images [default: test, or validation where the source has no test images]
    #[arg(long, value_enum)]
    pub part: Option<PartName>,
    /// Take the weights after this epoch, which the run has kept [default: the best epoch's]
    #[arg(long, value_name = "N")]
    pub epoch: Option<usize>,
    /// Draws an image of the importance-sampled likelihood; it is slow, and 0 leaves it out
    #[arg(long, value_name = "K", default_value_t = 0, value_parser = samples)]
    pub samples: usize,
    /// Take this many images at most, spread evenly
    #[arg(long, value_name = "N")]
    pub limit: Option<NonZeroUsize>,
    /// Compare the scores of anomalies instead, and propose one for `export --score`: how well each
    /// tells abnormal images from validation images, at most 1,000, beside PCA, nearest neighbours
    /// and LOF
    #[arg(long, conflicts_with_all = ["samples", "device"])]
    pub anomaly: bool,
    /// Folder with real anomalies, sub-folders are kinds [default: some made of validation images]
    #[arg(long, value_name = "DIR", requires = "anomaly")]
    pub anomalies: Option<PathBuf>,
    /// Draws from the posterior, for the scores that draw [default: 16]
    #[arg(long, value_name = "L", requires = "anomaly")]
    pub draws: Option<NonZeroUsize>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    pub device: DeviceName,
    /// A table, or one JSON object
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What standard output gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table for people.
    Text,
    /// One JSON object.
    Json,
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
    /// Take the weights after this epoch, which the run has kept [default: the best epoch's]
    #[arg(long, value_name = "N")]
    pub epoch: Option<usize>,
    /// How the graphs hold and compute their numbers
    #[arg(long, value_enum, default_value_t = PrecisionName::F32)]
    pub precision: PrecisionName,
    /// Images of the kind that the model will see, which the ranges of int8 are taken from
    #[arg(long, value_name = "DIR", required_if_eq("precision", "int8"))]
    pub calibrate: Option<PathBuf>,
    /// Folder of the run's data, for statistics of the training images and the verdicts on held-out
    /// ones [default: the one that it was trained on]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// How the bundle scores anomalies where nothing else is asked for: mse, nll, elbo, probability,
    /// mahalanobis, path, sap, nap, ms-ssim or gradient; what the method has to know of the training
    /// images goes into the bundle
    #[arg(long, value_name = "METHOD", default_value_t = Method::Mse)]
    pub score: Method,
    /// Export int8 even where it is no faster than f32 on this machine
    #[arg(long)]
    pub allow_slower: bool,
    /// Replace a bundle that is there
    #[arg(long)]
    pub force: bool,
    /// ONNX Runtime's shared library [default: found as `vae-infer` finds it]
    #[arg(long, value_name = "FILE")]
    pub ort_lib: Option<PathBuf>,
}

/// How numbers are stored and computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrecisionName {
    /// 32 bits
    F32,
    /// weights in 16 bits, computed in 32: half the size, for every engine
    F16,
    /// stored and computed in 16 bits: for GPUs
    F16Gpu,
    /// weights and activations in 8 bits: for the native engine and ONNX Runtime on a processor
    Int8,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::F16 => Self::F16,
            PrecisionName::F16Gpu => Self::F16Gpu,
            PrecisionName::Int8 => Self::Int8,
        }
    }
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

/// Options of `vae-train report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The runs' folders
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// The file [default: RUN/report.html for one run, which makes room for a new one]
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write over a file that exists
    #[arg(long, requires = "out")]
    pub force: bool,
}

/// Options of `vae-train reproduce`.
#[derive(Debug, Args)]
pub struct Reproduce {
    /// seed0 to seed4, or all
    #[arg(default_value = "all")]
    pub seeds: Vec<String>,
    /// Folder with the data sets in `mnist/`, `emnist-letters/` and `eyes/`, and in `squeezenet1.1/` the
    /// weights that two of seed 0's runs take, which are left out where there are none
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The folder that gets everything
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// A few steps on images that the program makes, to see that everything works
    #[arg(long)]
    pub quick: bool,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    pub device: DeviceName,
}

/// The most draws an image of an importance-sampled likelihood.
const MAX_SAMPLES: usize = 1_000_000;

fn samples(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(samples) if samples <= MAX_SAMPLES => Ok(samples),
        _ => Err(format!("it is a number from 0 to {MAX_SAMPLES}")),
    }
}
