//! tract, the pure-Rust engine.

mod fold;

use std::sync::Arc;

use bytes::Bytes;
use ndarray::{ArrayD, ArrayViewD, Axis, Slice, concatenate};
use rayon::prelude::*;
use tract_onnx::prelude::*;

use super::caught;
use super::{Backend, Engine, EngineOptions, Provider, Session};
use crate::Error;
use crate::graph::Summary;
use crate::manifest::{GraphSpec, TensorSpec};

/// The images of a dense graph that go through one run: enough to read the weights once for many
/// of them, few enough to feed every core from one batch.
const DENSE_ROWS: usize = 32;

type Plan = Arc<TypedRunnableModel>;

/// A graph in tract.
///
/// tract runs convolutions fastest one image at a time, and dense layers, which are bound by
/// reading their weights, in batches. The parts into which a batch is split depend on the graph
/// and the batch alone, so the result is the same for any number of threads.
///
/// Batches run in threads of their own, be it a single one: after tract's AVX-512 kernels, which leave
/// the upper halves of registers in use, code without AVX in the same thread takes several times as
/// long, and whoever gets the results computes with them.
pub(super) struct Tract {
    graph: &'static str,
    backend: Backend,
    single: Plan,
    batched: Batched,
    threads: usize,
    pool: Option<rayon::ThreadPool>,
}

/// How more than one image is run.
enum Batched {
    /// One after the other.
    Singly,
    /// Together, by a plan that is built when the first batch arrives.
    Later { onnx: Bytes, inputs: Vec<TensorSpec> },
    /// Together.
    Together(Plan),
}

impl Tract {
    pub(super) fn load(
        options: &EngineOptions,
        graph: &'static str,
        onnx: &Bytes,
        spec: &GraphSpec,
        summary: &Summary,
    ) -> Result<Self, Error> {
        if !matches!(options.provider, Provider::Auto | Provider::Cpu) {
            let engine = format!("tract with provider {}", options.provider);
            let reason = "tract runs on the processor only, --engine ort has other providers";
            return Err(Error::Engine { engine, reason: reason.into() });
        }
        let single =
            plan(onnx, &spec.inputs, Some(1)).map_err(|reason| Error::Graph { graph, reason })?;
        let batched = if summary.convolutional {
            Batched::Singly
        } else {
            Batched::Later { onnx: onnx.clone(), inputs: spec.inputs.clone() }
        };
        let backend = Backend { engine: Engine::Tract, provider: Provider::Cpu };
        Ok(Self { graph, backend, single, batched, threads: options.thread_count(), pool: None })
    }

    /// The plan for more than one image and the images that it takes at once.
    fn batched(&mut self) -> Result<(Plan, usize), String> {
        if let Batched::Later { onnx, inputs } = &self.batched {
            self.batched = Batched::Together(plan(onnx, inputs, None)?);
        }
        Ok(match &self.batched {
            Batched::Together(plan) => (plan.clone(), DENSE_ROWS),
            _ => (self.single.clone(), 1),
        })
    }

    fn run_batch(&mut self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>, String> {
        let rows = inputs.first().map_or(0, |input| input.len_of(Axis(0)));
        if rows == 1 {
            return run(&self.single, inputs);
        }
        let (plan, step) = self.batched()?;
        let part = |first: usize| {
            let range = Slice::from(first..rows.min(first + step));
            let part: Vec<_> =
                inputs.iter().map(|input| input.slice_axis(Axis(0), range)).collect();
            run(&plan, &part)
        };
        let firsts: Vec<usize> = (0..rows).step_by(step).collect();
        let parts: Vec<Vec<ArrayD<f32>>> =
            self.pool()?.install(|| firsts.into_par_iter().map(part).collect::<Result<_, _>>())?;
        let outputs = parts.first().map_or(0, Vec::len);
        (0..outputs)
            .map(|i| {
                let views: Vec<_> = parts.iter().map(|part| part[i].view()).collect();
                concatenate(Axis(0), &views).map_err(|e| e.to_string())
            })
            .collect()
    }

    fn pool(&mut self) -> Result<&rayon::ThreadPool, String> {
        let pool = match self.pool.take() {
            Some(pool) => pool,
            None => rayon::ThreadPoolBuilder::new()
                .num_threads(self.threads)
                .build()
                .map_err(|e| format!("its threads cannot be started: {e}"))?,
        };
        Ok(self.pool.insert(pool))
    }
}

impl Session for Tract {
    fn run(&mut self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>, Error> {
        self.run_batch(inputs).map_err(|reason| Error::Graph { graph: self.graph, reason })
    }

    fn backend(&self) -> &Backend {
        &self.backend
    }
}

/// Parses and optimises a graph for a batch of a given size, or of any.
fn plan(onnx: &[u8], inputs: &[TensorSpec], batch: Option<usize>) -> Result<Plan, String> {
    let build = || -> TractResult<Plan> {
        let mut model = tract_onnx::onnx().model_for_read(&mut &*onnx)?;
        let batch = match batch {
            Some(size) => size.to_dim(),
            None => model.symbols.sym("batch").to_dim(),
        };
        for (i, input) in inputs.iter().enumerate() {
            let mut shape: TVec<TDim> = tvec![batch.clone()];
            shape.extend(input.shape.iter().map(|d| d.to_dim()));
            model.set_input_fact(i, f32::fact(shape).into())?;
        }
        let mut model = model.into_typed()?.into_decluttered()?;
        fold::fold(&mut model)?;
        model.optimize()?;
        model.into_runnable()
    };
    caught(build)?.map_err(|e| format!("tract refuses it: {}", chain(&e)))
}

fn run(plan: &Plan, inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>, String> {
    let forward = || -> TractResult<Vec<ArrayD<f32>>> {
        let inputs = inputs
            .iter()
            .map(|input| {
                let input = input.as_standard_layout();
                let values = input.as_slice().unwrap_or_default();
                Ok(Tensor::from_shape(input.shape(), values)?.into_tvalue())
            })
            .collect::<TractResult<_>>()?;
        let outputs = plan.run(inputs)?;
        outputs.iter().map(|output| Ok(output.to_plain_array_view::<f32>()?.to_owned())).collect()
    };
    caught(forward)?.map_err(|e| format!("tract cannot run it: {}", chain(&e)))
}

/// An error and its causes on one line.
fn chain(error: &TractError) -> String {
    format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ")
}
