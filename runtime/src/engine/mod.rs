//! The engines that run a graph, behind one trait.

mod options;
#[cfg(feature = "ort")]
mod ort;
#[cfg(feature = "tract")]
mod panic;
#[cfg(feature = "tract")]
mod tract;

use std::fmt;

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

    /// What really runs the graph.
    fn backend(&self) -> &Backend;
}

/// An engine and the execution provider in it that runs a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// [`Engine::Tract`] or [`Engine::Ort`].
    pub engine: Engine,
    /// The provider, never [`Provider::Auto`].
    pub provider: Provider,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.engine, self.provider)
    }
}
