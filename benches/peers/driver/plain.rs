//! tract as its own documentation runs it: parsed, optimised for the batch, run.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use ndarray::{ArrayD, ArrayViewD};
use tract_onnx::prelude::*;
use vae_infer::manifest::GraphSpec;

use crate::contender::Graph;

/// A graph with one plan for every batch size, built when it is first asked for.
pub(crate) struct Plain {
    onnx: Vec<u8>,
    /// Shapes without the batch.
    inputs: Vec<Vec<usize>>,
    plans: HashMap<usize, Arc<TypedRunnableModel>>,
}

impl Plain {
    pub(crate) fn load(onnx: &[u8], spec: &GraphSpec) -> Result<Self> {
        let inputs = spec.inputs.iter().map(|input| input.shape.clone()).collect();
        let mut plain = Self { onnx: onnx.to_vec(), inputs, plans: HashMap::new() };
        plain.plan(1)?;
        Ok(plain)
    }

    fn plan(&mut self, batch: usize) -> Result<Arc<TypedRunnableModel>> {
        if let Some(plan) = self.plans.get(&batch) {
            return Ok(plan.clone());
        }
        let mut model = tract_onnx::onnx().model_for_read(&mut self.onnx.as_slice())?;
        for (i, input) in self.inputs.iter().enumerate() {
            let mut shape: TVec<usize> = tvec![batch];
            shape.extend(input.iter().copied());
            model.set_input_fact(i, f32::fact(shape).into())?;
        }
        let plan = model.into_optimized()?.into_runnable()?;
        self.plans.insert(batch, plan.clone());
        Ok(plan)
    }
}

impl Graph for Plain {
    fn run(&mut self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>> {
        let plan = self.plan(inputs[0].shape()[0])?;
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
    }
}
