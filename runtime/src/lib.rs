//! Inference for variational autoencoders at the edge: a bundle in, reconstructions, samples and
//! scores out, with no Python.
//!
//! ```
//! use vae_infer::{Bundle, EngineOptions, Model, images};
//!
//! # fn main() -> Result<(), vae_infer::Error> {
//! # let image = std::env::temp_dir().join(format!("vae-infer-doc-{}.pgm", std::process::id()));
//! # std::fs::write(&image, format!("P2 28 28 255 {}", "0 ".repeat(784))).expect("a writable folder");
//! let bundle = Bundle::embedded();
//! let mut model = Model::load(&bundle, &EngineOptions::default())?;
//! let batch = bundle.manifest.image.batch(&images::read(&image)?)?;
//! let scores = model.score(batch.view())?;
//!
//! assert!(scores[0].mse.is_finite());
//! # std::fs::remove_file(&image).expect("it was written above");
//! # Ok(())
//! # }
//! ```
//!
//! # The way of an image
//!
//! ```text
//! Bundle::open -> ImageSpec::batch -> Model::encode -> Model::decode -> score
//! (folder, file)  [B, C, H, W]        Posterior       [B, C, H, W]     Score
//! ```
//!
//! [`anomaly`] goes on from there to verdicts, and [`maps`] to where an image is wrong.
//!
//! Each step is a function that a later one never calls back. Inference is deterministic: it
//! decodes the posterior mean, and what is drawn ([`noise`]) is drawn outside every graph.
//!
//! # Letters
//!
//! `B` is the batch, `C` channels, `H` height, `W` width, `Z` the latent size. Arrays are
//! `ndarray`'s, `f32`, row-major.
//!
//! # Features
//!
//! - `native` (default): the engine of our own, for the graphs that the trainer exports
//! - `tract` (default): the pure-Rust engine for all others
//! - `ort` (default): ONNX Runtime, whose shared library is looked for at run time
//! - `cli` (default): the `vae-infer` command
//! - `embedded` (default): the `digits` bundle inside the library
//!
//! # Trust
//!
//! Models and images may come from anyone: [`graph::inspect`] decides what an engine gets to see,
//! sizes are held against what is there before memory is taken, a panic of an engine or a decoder is an
//! [`Error`], and a value that is not a number never becomes a score.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub mod anomaly;
mod bundle;
mod cache;
pub mod compare;
pub mod engine;
mod error;
mod finite;
pub mod graph;
pub mod images;
pub mod machine;
pub mod manifest;
pub mod maps;
pub mod measure;
mod model;
pub mod noise;
pub mod npy;
mod panics;
mod posterior;
mod preprocess;
mod score;
pub mod selftest;
mod sheet;
pub mod tuning;
pub mod usage;
pub mod verdicts;
pub mod verify;
pub mod write;

pub use bundle::{Bundle, MANIFEST, sha256};
pub use engine::{Engine, EngineOptions, Provider};
pub use error::Error;
pub use manifest::Manifest;
pub use model::{Decoder, Encoder, Encoding, Model, Reconstruction};
pub use posterior::Posterior;
pub use preprocess::{ImageSpec, Resize};
pub use score::{Score, score};
