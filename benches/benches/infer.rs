//! Latency of the embedded model, by engine and batch size, on one thread.
//!
//! ONNX Runtime takes part where its library is found (`ORT_DYLIB_PATH`).

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array4;
use vae_infer::{Bundle, Engine, EngineOptions, Model, noise};

fn reconstruct(criterion: &mut Criterion) {
    let bundle = Bundle::embedded();
    let [channels, height, width] = bundle.manifest.image.shape();
    let mut group = criterion.benchmark_group("reconstruct");
    for engine in [Engine::Native, Engine::Tract, Engine::Ort] {
        let options = EngineOptions { threads: 1, ..EngineOptions::new(engine) };
        let mut model = match Model::load(&bundle, &options) {
            Ok(model) => model,
            Err(reason) => {
                eprintln!("not measured: {reason}");
                continue;
            }
        };
        for batch in [1, 64] {
            let values = noise::standard_normal(0, 0, batch, channels * height * width);
            let images: Array4<f32> = values
                .mapv(|v| v.abs().min(1.0))
                .into_shape_with_order((batch, channels, height, width))
                .expect("as many values as pixels");
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_with_input(BenchmarkId::new(engine.to_string(), batch), &images, |b, i| {
                b.iter(|| model.reconstruct(i.view()).expect("the embedded model runs"));
            });
        }
    }
    group.finish();
}

fn load(criterion: &mut Criterion) {
    let bundle = Bundle::embedded();
    for engine in [Engine::Native, Engine::Tract] {
        let options = EngineOptions::new(engine);
        criterion.bench_function(&format!("load/{engine}"), |b| {
            b.iter(|| Model::load(&bundle, &options).expect("the embedded model loads"));
        });
    }
}

criterion_group!(benches, reconstruct, load);
criterion_main!(benches);
