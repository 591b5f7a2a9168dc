//! The engines that run a graph, behind one trait.

#[cfg(feature = "native")]
mod native;
mod options;
#[cfg(feature = "ort")]
mod ort;
#[cfg(feature = "tract")]
mod tract;

use std::fmt;
use std::time::Duration;

use ndarray::{ArrayD, ArrayViewD};

use crate::Error;

pub use options::{Engine, EngineOptions, Provider};
#[cfg(feature = "ort")]
pub use ort::version as ort_version;

/// A graph that is ready to run.
pub trait Session: Send {
    /// Runs the graph on a batch.
    ///
    /// # Shapes
    ///
    /// inputs and outputs: `[B, …]`, in the order of the graph's
    /// [`GraphSpec`](crate::manifest::GraphSpec), with the same `B` of at least 1
    ///
    /// # Errors
    ///
    /// [`Error::Graph`] where the engine gives up.
    fn run(&mut self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>, Error>;

    /// Runs the graph once as [`run`](Self::run) does, and says what every step of it took, in order.
    /// `None` from an engine that does not tell.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    fn profile(&mut self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Option<Vec<Step>>, Error> {
        let _ = inputs;
        Ok(None)
    }

    /// The same graph for one thread each, as many as this session has threads, which share its weights.
    /// None from an engine that cannot share them.
    fn per_thread(&self) -> Vec<Box<dyn Session>> {
        vec![]
    }

    /// What really runs the graph.
    fn backend(&self) -> &Backend;
}

/// A step of a graph that has run: a layer with what was fused to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it computes, as `conv 3x3/2 32x14x14 -> 64x7x7 relu`.
    pub name: String,
    /// Operations that it does for the whole batch, counted as those of [`Work::flops`](crate::graph::Work::flops):
    /// none for what is cut away, or for products with zeros that are left out.
    pub flops: u64,
    /// Bytes of the weights that it reads.
    pub weights: u64,
    /// Its share of the run.
    pub time: Duration,
}

/// An engine and the execution provider in it that runs a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backend {
    /// The engine, never [`Engine::Auto`].
    pub engine: Engine,
    /// The provider, never [`Provider::Auto`].
    pub provider: Provider,
}

/// Runs a part of an engine; its panic becomes the error.
#[cfg(any(feature = "native", feature = "tract"))]
fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    crate::panics::caught(run).map_err(|panic| format!("the engine gave up: {panic}"))
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.engine, self.provider)
    }
}

/// What really runs a model: [`Engine::Auto`] takes an engine for each of its graphs.
///
/// In words `native/cpu`, or `encoder tract/cpu, decoder native/cpu` where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backends {
    /// What runs the encoder, where it is loaded.
    pub encoder: Option<Backend>,
    /// What runs the decoder, where it is loaded.
    pub decoder: Option<Backend>,
}

impl Backends {
    /// Those of the loaded halves, the encoder's before the decoder's.
    pub fn iter(&self) -> impl Iterator<Item = Backend> {
        [self.encoder, self.decoder].into_iter().flatten()
    }
}

impl fmt::Display for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.encoder, self.decoder) {
            (Some(encoder), Some(decoder)) if encoder != decoder => {
                write!(f, "encoder {encoder}, decoder {decoder}")
            }
            (one, other) => one.or(other).map_or(Ok(()), |backend| backend.fmt(f)),
        }
    }
}
