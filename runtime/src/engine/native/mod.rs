//! The engine of our own, for the graphs that the trainer exports and most that it imports.
//!
//! A graph becomes a [`Plan`]: steps over images whose channels lie side by side, with activations fused and
//! weights packed once. It runs in memory whose size is known beforehand. Convolutions are direct: a
//! block of output pixels by two vectors of channels stays in registers while all its products are added
//! up; a transposed convolution of stride `s` is its `s * s` phases, each a convolution of its own that
//! writes every `s`-th pixel; a dense layer is the same sum over the images of a batch. Where weights and
//! inputs are integers in eight bits, so are its products, and sums are exact.
//!
//! An output is a sum in the order of its weights, whatever it is computed beside: results depend neither
//! on the number of threads nor on the batch.

mod constant;
mod crew;
mod cut;
mod elementwise;
mod execute;
mod kernels;
mod memory;
mod pack;
mod plan;
mod pool;
mod run;
mod step;
#[cfg(all(test, feature = "embedded"))]
mod tests;
mod threads;
mod view;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ndarray::{ArrayD, ArrayViewD, Axis, Dimension, IxDyn};
use pulp::Arch;

use super::caught;
use super::{Backend, Engine, EngineOptions, Provider, Session, Step};
use crate::Error;
use crate::graph::Parsed;
use crate::manifest::{GraphSpec, TensorSpec};
use crew::Crew;
use kernels::Registers;
use memory::Memory;
use plan::Plan;
use run::{Group, Program, Worker};

/// Numbers that the images of a group may take between dense layers.
const GROUP: usize = 1 << 21;
/// The most images of a group: enough to read a dense layer's weights once for many.
const MOST_IMAGES: usize = 64;

/// A graph that is planned and packed.
pub(super) struct Native {
    graph: &'static str,
    backend: Backend,
    arch: Arch,
    plan: Arc<Plan>,
    memory: Arc<Memory>,
    outputs: Vec<TensorSpec>,
    crew: Crew,
    workers: Vec<Worker>,
    /// Room for the list of a call's results.
    room: Vec<&'static mut [f32]>,
}

impl Native {
    pub(super) fn load(
        options: &EngineOptions,
        graph: &'static str,
        parsed: &Parsed,
        spec: &GraphSpec,
    ) -> Result<Self, Error> {
        Self::with(Arch::new(), options, graph, parsed, spec)
    }

    /// [`load`](Self::load) for an instruction set.
    fn with(
        arch: Arch,
        options: &EngineOptions,
        graph: &'static str,
        parsed: &Parsed,
        spec: &GraphSpec,
    ) -> Result<Self, Error> {
        let refused = |reason| Error::Engine { engine: Engine::Native.to_string(), reason };
        if !matches!(options.provider, Provider::Auto | Provider::Cpu) {
            return Err(refused(format!(
                "it has no provider {}, it runs on the processor only",
                options.provider
            )));
        }
        let plan = caught(|| Plan::new(parsed, Registers::of(arch)))
            .and_then(|plan| plan)
            .map_err(|reason| refused(format!("the {graph} is not for this engine: {reason}")))?;
        let memory = Memory::of(&plan);
        Ok(Self {
            graph,
            backend: Backend { engine: Engine::Native, provider: Provider::Cpu },
            arch,
            crew: Crew::new(&plan, options.thread_count()),
            plan: Arc::new(plan),
            memory: Arc::new(memory),
            outputs: spec.outputs.clone(),
            workers: vec![],
            room: vec![],
        })
    }

    /// Images that go through a dense layer together.
    fn group(&self) -> usize {
        (GROUP / self.memory.grouped().max(1)).clamp(1, MOST_IMAGES)
    }

    fn run_batch(
        &mut self,
        inputs: &[ArrayViewD<'_, f32>],
        times: Option<&mut [Duration]>,
    ) -> Result<Vec<ArrayD<f32>>, String> {
        if inputs.iter().any(|input| !input.is_standard_layout()) {
            let ordered: Vec<_> = inputs.iter().map(|input| input.as_standard_layout()).collect();
            let ordered: Vec<_> = ordered.iter().map(|input| input.view()).collect();
            return self.run_batch(&ordered, times);
        }
        let images = inputs.first().map_or(0, |input| input.len_of(Axis(0)));
        let mut results: Vec<_> = self.outputs.iter().map(|output| zeros(images, output)).collect();

        let (team, shares) = match &times {
            Some(_) => (1, None),
            None => (self.crew.team(images), self.crew.shares(images)),
        };
        let threads = (team > 1 || shares.is_some()).then(|| self.crew.take()).transpose()?;
        let workers = shares.as_ref().map_or(1, |(wanted, _)| *wanted);
        self.workers.resize_with(workers.max(self.workers.len()), || Worker::new(&self.memory));

        let group = self.group();
        let (arch, plan, memory) = (self.arch, &self.plan, &self.memory);
        let program = |pieces| Program { arch, plan, memory, pieces };
        match (&mut self.workers[..], &threads, shares) {
            (workers, Some(threads), Some((wanted, shares))) => {
                let shares = Share::all(shares, &mut results);
                let free = Mutex::new(workers.iter_mut().rev().collect::<Vec<_>>());
                let free = || free.lock().unwrap_or_else(PoisonError::into_inner);
                threads.share(wanted, shares, |mut share| {
                    let worker = free().pop().expect("one for every thread");
                    share.run(worker, &program(None), inputs, group, None);
                    free().push(worker);
                });
            }
            ([worker, ..], threads, _) => {
                let team = threads.as_ref().map(|threads| threads.team(team));
                let pieces = team.as_ref().map(|team| (team, self.crew.pieces()));
                let mut outputs = emptied(std::mem::take(&mut self.room));
                outputs.extend(results.iter_mut().filter_map(ArrayD::as_slice_mut));
                let mut share = Share { images: 0..images, outputs };
                share.run(worker, &program(pieces), inputs, group, times);
                self.room = emptied(share.outputs);
            }
            _ => {}
        }
        Ok(results)
    }
}

/// Room for the results of so many images.
fn zeros(images: usize, output: &TensorSpec) -> ArrayD<f32> {
    let mut shape = IxDyn::zeros(1 + output.shape.len());
    shape[0] = images;
    shape.slice_mut()[1..].copy_from_slice(&output.shape);
    ArrayD::zeros(shape)
}

/// An empty list of other stretches in the memory of a list.
fn emptied<'a>(mut list: Vec<&mut [f32]>) -> Vec<&'a mut [f32]> {
    list.clear();
    list.into_iter().map(|_| &mut [][..]).collect()
}

/// Images of a batch that one thread takes, and where their results go.
struct Share<'a> {
    images: Range<usize>,
    outputs: Vec<&'a mut [f32]>,
}

impl<'a> Share<'a> {
    /// All images, by ranges that follow one another.
    fn all(ranges: Vec<Range<usize>>, results: &'a mut [ArrayD<f32>]) -> Vec<Self> {
        let count = ranges.last().map_or(0, |range| range.end).max(1);
        let share = |images| Self { images, outputs: vec![] };
        let mut shares: Vec<Self> = ranges.into_iter().map(share).collect();
        for result in results {
            let len = result.len() / count;
            let mut rest = result.as_slice_mut().unwrap_or_default();
            for share in &mut shares {
                let (outputs, later) = rest.split_at_mut(share.images.len() * len);
                share.outputs.push(outputs);
                rest = later;
            }
        }
        shares
    }

    fn run(
        &mut self,
        worker: &mut Worker,
        program: &Program,
        inputs: &[ArrayViewD<f32>],
        group: usize,
        mut times: Option<&mut [Duration]>,
    ) {
        for first in self.images.clone().step_by(group) {
            let count = group.min(self.images.end - first);
            let written = first - self.images.start;
            let mut group = Group { count, first, written, inputs, outputs: &mut self.outputs };
            worker.run(program, &mut group, times.as_deref_mut());
        }
    }
}

impl Session for Native {
    fn run(&mut self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>, Error> {
        let graph = self.graph;
        let run = caught(|| self.run_batch(inputs, None)).and_then(|run| run);
        run.map_err(|reason| Error::Graph { graph, reason })
    }

    fn profile(&mut self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Option<Vec<Step>>, Error> {
        let graph = self.graph;
        let mut times = vec![Duration::ZERO; self.plan.steps.len()];
        let run = caught(|| self.run_batch(inputs, Some(&mut times))).and_then(|run| run);
        run.map_err(|reason| Error::Graph { graph, reason })?;
        let images = inputs.first().map_or(0, |input| input.len_of(Axis(0))) as u64;
        let steps = self.plan.steps.iter().zip(times).map(|(step, time)| Step {
            name: step.name.clone(),
            flops: step.flops * images,
            weights: step.op.weights() as u64,
            time,
        });
        Ok(Some(steps.collect()))
    }

    fn per_thread(&self) -> Vec<Box<dyn Session>> {
        let session = |_| -> Box<dyn Session> {
            Box::new(Self {
                graph: self.graph,
                backend: self.backend,
                arch: self.arch,
                plan: Arc::clone(&self.plan),
                memory: Arc::clone(&self.memory),
                outputs: self.outputs.clone(),
                crew: Crew::new(&self.plan, 1),
                workers: vec![],
                room: vec![],
            })
        };
        (0..self.crew.threads()).map(session).collect()
    }

    fn backend(&self) -> &Backend {
        &self.backend
    }
}
