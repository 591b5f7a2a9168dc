//! Exports a trained autoencoder to a bundle of ONNX graphs, behind a parity gate.
//!
//! [`encoder`] and [`decoder`] write one graph each, one ONNX node or two for every
//! [`Block`](vae_models::Block). [`export`] assembles the bundle, compares the engines with
//! Burn's own forward pass, and gives the bundle its final name only where they agree.
//!
//! [`import`](fn@import) makes a bundle of ONNX files that someone has trained elsewhere, behind the same gate.
//!
//! The random draw stays outside every graph, since random operators differ between engines.

mod error;
mod export;
mod gate;
mod golden;
mod graph;
mod import;
mod nodes;
mod parity;
mod phases;
mod precision;
mod proto;
mod tensors;
mod timing;
mod verdicts;

pub use error::Error;
pub use export::{Anomaly, Export, Exported, Fit, export};
pub use graph::{Graph, decoder, encoder};
pub use import::{Import, Imported, Layout, Names, Spread, import};
pub use precision::{CALIBRATION_IMAGES, Limits};
pub use timing::Timing;
