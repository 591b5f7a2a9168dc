//! rten, the pure-Rust runtime of that name.

use std::sync::Arc;

use anyhow::{Context, Result};
use ndarray::{ArrayD, ArrayViewD};
use rten::{Model, RunOptions, ThreadPool, Value};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use crate::contender::Graph;

/// A graph in rten.
pub(crate) struct Rten {
    model: Model,
    pool: Arc<ThreadPool>,
}

impl Rten {
    pub(crate) fn load(onnx: &[u8], threads: usize) -> Result<Self> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if threads == 0 { cores() } else { threads };
        let model = rten::ModelOptions::with_all_ops().prepack_weights(true).load(onnx.to_vec())?;
        Ok(Self { model, pool: Arc::new(ThreadPool::with_num_threads(threads)) })
    }
}

impl Graph for Rten {
    fn run(&mut self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>> {
        let ids = self.model.input_ids().iter();
        let inputs = ids
            .zip(inputs)
            .map(|(&id, input)| {
                let values: Vec<f32> = input.iter().copied().collect();
                (id, Value::from(Tensor::from_data(input.shape(), values)).into())
            })
            .collect();
        let options = RunOptions::default().with_thread_pool(Some(self.pool.clone()));
        let outputs = self.model.run(inputs, self.model.output_ids(), Some(options))?;
        outputs
            .into_iter()
            .map(|output| {
                let tensor = output.into_tensor::<f32>().context("an output that is not f32")?;
                let shape = tensor.shape().to_vec();
                Ok(ArrayD::from_shape_vec(shape, tensor.into_data())?)
            })
            .collect()
    }
}
