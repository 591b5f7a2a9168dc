//! What engines make of a graph.

use ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use vae_infer::manifest::GraphSpec;
use vae_infer::{Engine, EngineOptions, Error};

use super::chain::uniform;

/// How far two engines may be apart, as a part of an output's largest number where that is beyond 1.
const TOLERANCE: f32 = 1e-5;

/// Images, or vectors, of a graph's input.
pub(super) fn images(spec: &GraphSpec, count: usize) -> ArrayD<f32> {
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    let dims = [&[count], &spec.inputs[0].shape[..]].concat();
    ArrayD::from_shape_simple_fn(IxDyn(&dims), || uniform(&mut generator))
}

/// What an engine gives for images.
pub(super) fn run(
    engine: Engine,
    threads: usize,
    (onnx, spec): &(Vec<u8>, GraphSpec),
    images: &ArrayD<f32>,
) -> Result<Vec<ArrayD<f32>>, Error> {
    let options = EngineOptions { threads, ..EngineOptions::new(engine) };
    options.load("decoder", onnx.clone(), spec)?.run(&[images.view()])
}

/// Holds the native engine against tract.
pub(super) fn agree(graph: &(Vec<u8>, GraphSpec), count: usize) -> Result<(), TestCaseError> {
    agree_within(TOLERANCE, graph, count)
}

/// Holds the native engine against tract, with a tolerance for numbers that one of them rounds up and the
/// other down.
pub(super) fn agree_within(
    tolerance: f32,
    graph: &(Vec<u8>, GraphSpec),
    count: usize,
) -> Result<(), TestCaseError> {
    let images = images(&graph.1, count);
    let fail = |error: Error| TestCaseError::fail(error.to_string());
    let ours = run(Engine::Native, 1, graph, &images).map_err(fail)?;
    let Ok(theirs) = run(Engine::Tract, 1, graph, &images) else {
        return Err(TestCaseError::reject("tract does not take it"));
    };
    prop_assert_eq!(ours.len(), theirs.len());
    for ((ours, theirs), output) in ours.iter().zip(&theirs).zip(&graph.1.outputs) {
        prop_assert_eq!(ours.shape(), theirs.shape());
        let range = theirs.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
        for (place, (a, b)) in ours.iter().zip(theirs).enumerate() {
            let close = (a - b).abs() <= tolerance * range;
            prop_assert!(close, "{} at {place}: {a}, and {b} in tract", output.name);
        }
    }
    Ok(())
}
