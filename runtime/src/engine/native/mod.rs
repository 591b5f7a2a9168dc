//! The engine of our own.

use ndarray::{ArrayD, ArrayViewD};

use super::{Backend, Engine, EngineOptions, Session};
use crate::Error;
use crate::manifest::GraphSpec;

/// A graph that is planned and packed.
pub(super) struct Native {
    backend: Backend,
}

impl Native {
    pub(super) fn load(
        _options: &EngineOptions,
        _graph: &'static str,
        _onnx: &[u8],
        _spec: &GraphSpec,
    ) -> Result<Self, Error> {
        let reason = "not for this engine".into();
        Err(Error::Engine { engine: Engine::Native.to_string(), reason })
    }
}

impl Session for Native {
    fn run(&mut self, _inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>, Error> {
        Ok(vec![])
    }

    fn backend(&self) -> &Backend {
        &self.backend
    }
}
