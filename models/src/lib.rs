//! Variational autoencoders, defined once.
//!
//! A network is a list of [`Block`]s. From that one list come the Burn module
//! ([`NetworkConfig::init`]), the shape of every block with a precise error ([`NetworkConfig::shapes`]),
//! the parameters and floating-point operations ([`NetworkConfig::cost`]), and the ONNX nodes (in `vae-onnx`).
//! [`VaeConfig`] joins an encoder, the heads of its [`Posterior`] and a decoder; [`Likelihood`]
//! and [`kl`](Posterior::kl) are the two terms of its loss.
//!
//! Letters: `B` batch, `C` channels, `H` height, `W` width, `F` features, `Z` latent. Images are `[B, C, H, W]`.

mod affine;
mod block;
mod cost;
#[cfg(any(feature = "flex", feature = "libtorch"))]
mod extension;
mod initialization;
mod loss;
mod network;
mod posterior;
mod shape;
mod vae;

pub use block::{Activation, Block, PoolKind};
pub use cost::Cost;
#[cfg(feature = "libtorch")]
pub use extension::{TorchScript, full_precision};
pub use initialization::Initialization;
pub use loss::{Likelihood, Warmup};
pub use network::{Features, Layer, Network, NetworkConfig, Skips};
pub use posterior::Posterior;
pub use shape::{Shape, ShapeError};
pub use vae::{Encoding, Vae, VaeConfig};
