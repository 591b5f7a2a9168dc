use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Session;
use crate::graph::Parsed;
use crate::manifest::{GraphSpec, Precision};
use crate::{Error, graph};

/// The program that runs a graph.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Engine {
    /// native where it has the graph's operators, else tract; ONNX Runtime where neither has the provider
    #[default]
    Auto,
    /// our own engine, for the operators that `vae-train` exports
    Native,
    /// tract, the pure-Rust engine
    Tract,
    /// ONNX Runtime, whose library is looked for at run time
    Ort,
}

/// The hardware that a graph runs on, in the words of ONNX Runtime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Provider {
    /// the fastest one that works, at worst the processor
    #[default]
    Auto,
    /// the processor
    Cpu,
    /// an NVIDIA GPU, by CUDA and cuDNN
    Cuda,
    /// an NVIDIA GPU, by TensorRT
    #[cfg_attr(feature = "cli", value(name = "tensorrt"))]
    TensorRt,
    /// an Intel processor, GPU or NPU, by OpenVINO
    #[cfg_attr(feature = "cli", value(name = "openvino"))]
    OpenVino,
}

/// Which engine runs a model, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// The engine.
    pub engine: Engine,
    /// The provider. One that is asked for by name and cannot run is an error; only
    /// [`Provider::Auto`] may fall back to the processor.
    pub provider: Provider,
    /// Number of threads, 0 for one on every core. Results of the native engine do not depend
    /// on it.
    pub threads: usize,
    /// ONNX Runtime's shared library, or a folder that holds it. Where there is none, it is
    /// looked for at `ORT_DYLIB_PATH`, beside the program, and where the system keeps libraries.
    pub ort_library: Option<PathBuf>,
}

impl EngineOptions {
    /// Options for one engine, with everything else left to it.
    pub fn new(engine: Engine) -> Self {
        Self { engine, ..Self::default() }
    }

    /// These options for a model of a precision: where no engine is named, one that gains by it. tract
    /// cannot compute in half precision.
    pub fn suited_to(self, precision: Precision) -> Self {
        match (self.engine, precision) {
            (Engine::Auto, Precision::F16Gpu) => Self { engine: Engine::Ort, ..self },
            _ => self,
        }
    }

    /// Prepares a graph to run, after [`graph::inspect`] has accepted it.
    ///
    /// `name` is what errors call the graph: `encoder` or `decoder`.
    ///
    /// # Errors
    ///
    /// [`Error::Graph`] for a graph that cannot be used, [`Error::Engine`] for an engine or a
    /// provider that does not work on this machine.
    pub fn load(
        &self,
        name: &'static str,
        onnx: impl Into<Bytes>,
        spec: &GraphSpec,
    ) -> Result<Box<dyn Session>, Error> {
        let onnx = &onnx.into();
        let parsed = graph::parse(name, onnx, spec)?;
        match self.engine {
            Engine::Auto => self.first_that_takes(name, onnx, spec, &parsed),
            named => self.prepare(named, name, onnx, spec, &parsed),
        }
    }

    /// The first engine of the program that is for a graph and a provider; where none is, the last one's reason.
    fn first_that_takes(
        &self,
        name: &'static str,
        onnx: &Bytes,
        spec: &GraphSpec,
        parsed: &Parsed,
    ) -> Result<Box<dyn Session>, Error> {
        let mut refusal = None;
        for engine in Engine::BUILT {
            match self.prepare(*engine, name, onnx, spec, parsed) {
                Err(error @ Error::Engine { .. }) => refusal = Some(error),
                settled => return settled,
            }
        }
        let none = || Error::Engine {
            engine: Engine::Auto.to_string(),
            reason: "this program was built without an engine".into(),
        };
        Err(refusal.unwrap_or_else(none))
    }

    fn prepare(
        &self,
        engine: Engine,
        name: &'static str,
        onnx: &Bytes,
        spec: &GraphSpec,
        parsed: &Parsed,
    ) -> Result<Box<dyn Session>, Error> {
        match engine {
            #[cfg(feature = "native")]
            Engine::Native => Ok(Box::new(super::native::Native::load(self, name, parsed, spec)?)),
            #[cfg(feature = "tract")]
            Engine::Tract => {
                Ok(Box::new(super::tract::Tract::load(self, name, onnx, spec, &parsed.summary)?))
            }
            #[cfg(feature = "ort")]
            Engine::Ort => Ok(Box::new(super::ort::Ort::load(self, name, onnx, spec)?)),
            #[allow(unreachable_patterns, reason = "reachable where an engine is not compiled in")]
            missing => {
                let _ = (onnx, spec, parsed);
                let reason = format!("this program was built without its feature `{missing}`");
                Err(Error::Engine { engine: missing.to_string(), reason })
            }
        }
    }

    /// What an engine says about its version. Those that are part of this program have none of
    /// their own.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] where ONNX Runtime is asked for and is not here.
    pub fn version(&self, engine: Engine) -> Result<String, Error> {
        match engine {
            #[cfg(feature = "ort")]
            Engine::Ort => super::ort::version(self),
            _ => Ok(String::new()),
        }
    }

    /// The number of threads, at least 1.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}

impl Engine {
    /// The engines of this program, in the order in which [`Engine::Auto`] tries them.
    pub const BUILT: &[Self] = &[
        #[cfg(feature = "native")]
        Self::Native,
        #[cfg(feature = "tract")]
        Self::Tract,
        #[cfg(feature = "ort")]
        Self::Ort,
    ];
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Tract => "tract",
            Self::Ort => "ort",
        })
    }
}

impl Provider {
    /// Every provider that can be asked for by name.
    pub const NAMED: [Self; 4] = [Self::Cpu, Self::Cuda, Self::TensorRt, Self::OpenVino];
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::OpenVino => "openvino",
        })
    }
}
