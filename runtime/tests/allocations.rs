//! What a call of the native engine allocates.

use allocation_counter::measure;
use ndarray::ArrayD;
use vae_infer::{Bundle, Engine, EngineOptions};

#[test]
fn a_call_on_one_thread_allocates_its_results_alone() {
    let bundle = Bundle::embedded();
    let options = EngineOptions { threads: 1, ..EngineOptions::new(Engine::Native) };
    for (name, onnx, spec) in [
        ("encoder", bundle.encoder(), &bundle.manifest.encoder),
        ("decoder", bundle.decoder(), &bundle.manifest.decoder),
    ] {
        let mut session = options.load(name, onnx.clone(), spec).expect("a graph");
        for images in [8, 1, 3] {
            let zeros = |shape: &[usize]| ArrayD::<f32>::zeros([&[images], shape].concat());
            let inputs: Vec<_> = spec.inputs.iter().map(|input| zeros(&input.shape)).collect();
            let inputs: Vec<_> = inputs.iter().map(|input| input.view()).collect();
            let mut run = || {
                let mut outputs = None;
                let allocations = measure(|| outputs = Some(session.run(&inputs)));
                outputs.expect("a run").expect("results");
                allocations.count_total
            };
            // The first call of a size may be given more memory to run in.
            run();
            assert_eq!(run(), 1 + spec.outputs.len() as u64, "{name}, {images} images");
        }
    }
}
