//! ONNX Runtime, whose shared library is looked for at run time.

mod library;
mod provider;

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use ndarray::{ArrayD, ArrayViewD};
use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider};
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session as OrtSession, SessionInputValue};
use ort::value::TensorRef;

use super::{Backend, Engine, EngineOptions, Provider, Session};
use crate::Error;
use crate::manifest::GraphSpec;

pub use library::version;
use provider::dispatch;

/// A graph in ONNX Runtime.
pub(super) struct Ort {
    graph: &'static str,
    backend: Backend,
    session: OrtSession,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Ort {
    pub(super) fn load(
        options: &EngineOptions,
        graph: &'static str,
        onnx: &[u8],
        spec: &GraphSpec,
    ) -> Result<Self, Error> {
        let (_, environment) = environment(options)?;
        let providers = match options.provider {
            Provider::Auto => available()?,
            named => vec![named],
        };
        let mut last = None;
        for &provider in &providers {
            match commit(environment, options, provider, graph, onnx) {
                Ok(session) => {
                    let names = |specs: &[crate::manifest::TensorSpec]| {
                        specs.iter().map(|s| s.name.clone()).collect()
                    };
                    return Ok(Self {
                        graph,
                        backend: Backend { engine: Engine::Ort, provider },
                        session,
                        inputs: names(&spec.inputs),
                        outputs: names(&spec.outputs),
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| unusable(options.provider, "it offers no provider")))
    }
}

impl Session for Ort {
    fn run(&mut self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>, Error> {
        let graph = self.graph;
        let failed = |e: ort::Error| {
            let reason = format!("ONNX Runtime cannot run it: {}", one_line(&e));
            Error::Graph { graph, reason }
        };
        let inputs: Vec<_> = inputs.iter().map(|input| input.as_standard_layout()).collect();
        let named = self
            .inputs
            .iter()
            .zip(&inputs)
            .map(|(name, input)| {
                let tensor = TensorRef::from_array_view(input.view())?;
                Ok((name.as_str(), SessionInputValue::from(tensor)))
            })
            .collect::<Result<Vec<_>, ort::Error>>()
            .map_err(failed)?;
        let outputs = self.session.run(named).map_err(failed)?;
        self.outputs
            .iter()
            .map(|name| {
                let missing = || format!("ONNX Runtime gave no `{name}`");
                let value =
                    outputs.get(name).ok_or_else(|| Error::Graph { graph, reason: missing() })?;
                Ok(value.try_extract_array::<f32>().map_err(failed)?.to_owned())
            })
            .collect()
    }

    fn backend(&self) -> &Backend {
        &self.backend
    }
}

/// The providers that the loaded library was built with, in the order in which
/// [`Provider::Auto`] tries them.
fn available() -> Result<Vec<Provider>, Error> {
    let mut available = Vec::new();
    for provider in [Provider::Cuda, Provider::Cpu, Provider::TensorRt, Provider::OpenVino] {
        let built_in = match provider {
            Provider::Cuda => ep::CUDA::is_available(),
            Provider::TensorRt => ep::TensorRT::is_available(),
            Provider::OpenVino => ep::OpenVINO::is_available(),
            Provider::Auto | Provider::Cpu => Ok(true),
        };
        if built_in.map_err(|e| unusable(provider, &one_line(&e)))? {
            available.push(provider);
        }
    }
    Ok(available)
}

fn commit(
    environment: &Environment,
    options: &EngineOptions,
    provider: Provider,
    graph: &'static str,
    onnx: &[u8],
) -> Result<OrtSession, Error> {
    if !available()?.contains(&provider) {
        return Err(unusable(provider, "this build of the library does not have it"));
    }
    let builder = OrtSession::builder(environment)
        .and_then(|builder| Ok(builder.with_intra_threads(options.thread_count())?))
        .and_then(|builder| Ok(builder.with_intra_op_spinning(false)?))
        .and_then(|builder| Ok(builder.with_optimization_level(GraphOptimizationLevel::All)?))
        .and_then(|builder| Ok(builder.with_deterministic_compute(true)?))
        .and_then(|builder| Ok(builder.with_log_level(LogLevel::Fatal)?))
        .and_then(|builder| match dispatch(provider, onnx) {
            Some(dispatch) => Ok(builder.with_execution_providers([dispatch.error_on_failure()])?),
            None => Ok(builder),
        });
    let mut builder = builder.map_err(|e| unusable(provider, &one_line(&e)))?;
    builder.commit_from_memory(onnx).map_err(|e| match provider {
        Provider::Cpu => {
            let reason = format!("ONNX Runtime refuses it: {}", one_line(&e));
            Error::Graph { graph, reason }
        }
        _ => unusable(provider, &one_line(&e)),
    })
}

/// The process's one environment and the library that it is of, made when it is first asked for.
///
/// ONNX Runtime has one library and one environment a process, for its whole life: releasing it
/// while the process ends is a known way to crash.
fn environment(options: &EngineOptions) -> Result<&'static (PathBuf, Environment), Error> {
    static LOADED: OnceLock<(PathBuf, Environment)> = OnceLock::new();
    static LOADING: Mutex<()> = Mutex::new(());

    let _guard = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = |reason: String| Error::Engine { engine: "ONNX Runtime".into(), reason };
    if let Some(loaded @ (path, _)) = LOADED.get() {
        let asked = options.ort_library.as_deref().map(library::resolve).transpose();
        return match asked.map_err(failed)? {
            Some(asked) if asked != *path => Err(failed(format!(
                "this process already uses `{}`, and cannot load `{}` too",
                path.display(),
                asked.display()
            ))),
            _ => Ok(loaded),
        };
    }
    let (path, builder) = library::load(options.ort_library.as_deref()).map_err(failed)?;
    let environment = builder
        .with_name("vae-infer")
        .with_telemetry(false)
        .with_logger(std::sync::Arc::new(|_, _, _, _, _| ()))
        .build()
        .map_err(|e| failed(one_line(&e)))?;
    environment.set_log_level(LogLevel::Fatal);
    Ok(LOADED.get_or_init(|| (path, environment)))
}

fn unusable(provider: Provider, reason: &str) -> Error {
    Error::Engine {
        engine: format!("ONNX Runtime with provider {provider}"),
        reason: reason.into(),
    }
}

fn one_line(error: &ort::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
