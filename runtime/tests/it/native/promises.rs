//! What the native engine promises: the same bytes however images are put together, and clear refusals.

use ndarray::{Axis, Slice, concatenate};
use vae_infer::{Bundle, Engine, EngineOptions, Error, Model, Provider};

use super::answers::{images, run};
use super::chain::{Chain, Form, Layer};
use crate::onnx::with_int;

fn conv(outputs: usize, strides: [i64; 2]) -> Layer {
    Layer::Conv { outputs, kernel: [3, 3], strides, dilation: 1, pads: [1; 4] }
}

fn deconv(outputs: usize) -> Layer {
    Layer::Deconv { outputs, kernel: [4, 4], strides: [2, 2], pads: [1, 1], added: 0 }
}

#[test]
fn bytes_depend_neither_on_threads_nor_on_batches() {
    let (relu, flat) = (Layer::Activation(0), Layer::Vector { flatten: true });
    let dense = |outputs| Layer::Dense { outputs, form: 0 };
    let round = Layer::Round;
    let graphs = [
        (vec![150], vec![dense(70), relu.clone(), dense(33)]),
        (vec![150], vec![round(0), dense(70), relu.clone(), round(1), dense(33)]),
        (vec![900], vec![dense(700), relu.clone(), dense(500)]),
        (
            vec![20, 9, 33],
            vec![round(0), conv(33, [1, 1]), relu.clone(), round(1), conv(40, [2, 2])],
        ),
        (vec![3, 20, 70], vec![conv(33, [1, 1]), relu.clone(), conv(4, [1, 1])]),
        (vec![16, 48, 37], vec![deconv(3), relu.clone(), conv(2, [1, 1])]),
        (vec![1, 16, 16], vec![conv(17, [2, 2]), flat, dense(256), Layer::Image, deconv(3), relu]),
    ];
    for (x, layers) in graphs {
        for form in [Form::Single, Form::Half, Form::Eight] {
            let graph = Chain::of(&x, form, &layers).finish();
            let all = images(&graph.1, 70);
            let whole = run(Engine::Native, 1, &graph, &all).unwrap();
            for threads in [2, 3, 7] {
                assert!(run(Engine::Native, threads, &graph, &all).unwrap() == whole, "{threads}");
            }
            for (size, threads) in [(1, 1), (7, 1), (1, 2), (7, 3)] {
                let options = EngineOptions { threads, ..EngineOptions::new(Engine::Native) };
                let mut session = options.load("decoder", graph.0.clone(), &graph.1).unwrap();
                let parts = (0..70).step_by(size).map(|first| {
                    let part = all.slice_axis(Axis(0), Slice::from(first..first + size));
                    session.run(&[part]).unwrap().remove(0)
                });
                let parts: Vec<_> = parts.collect();
                let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
                let joined = concatenate(Axis(0), &views).unwrap();
                assert!(joined == whole[0], "{x:?} by {size} on {threads} threads, {form:?}");
            }
            let options = EngineOptions { threads: 3, ..EngineOptions::new(Engine::Native) };
            let apart = options.load("decoder", graph.0.clone(), &graph.1).unwrap().per_thread();
            assert_eq!(apart.len(), 3);
            for mut session in apart {
                assert!(session.run(&[all.view()]).unwrap() == whole, "{x:?}, {form:?}");
            }
        }
    }
}

#[test]
fn a_provider_beside_the_processor_is_refused() {
    for provider in [Provider::Cuda, Provider::TensorRt, Provider::OpenVino] {
        let options = EngineOptions { provider, ..EngineOptions::new(Engine::Native) };
        let error = Model::load(&Bundle::embedded(), &options).err().unwrap();
        assert!(matches!(error, Error::Engine { .. }), "{error}");
        assert!(error.to_string().contains(&provider.to_string()), "{error}");
    }
}

#[test]
fn what_is_not_for_this_engine_is_named_and_auto_takes_tract() {
    let softmax = || {
        let mut chain = Chain::of(&[6], Form::Single, &[]);
        chain.then("Softmax", &[], &[6], |node| node);
        chain
    };
    let groups = || {
        let mut chain = Chain::of(&[4, 5, 5], Form::Single, &[]);
        let weights = chain.weights(&[6, 2, 3, 3], 1.0);
        chain.then("Conv", &[&weights], &[6, 3, 3], |conv| with_int(conv, "group", 2));
        chain
    };
    for (graph, word) in [(softmax().finish(), "Softmax"), (groups().finish(), "groups")] {
        let x = images(&graph.1, 2);
        let refused = run(Engine::Native, 1, &graph, &x).unwrap_err();
        assert!(matches!(refused, Error::Engine { .. }), "{refused}");
        let message = refused.to_string();
        assert!(message.contains("not for this engine") && message.contains(word), "{message}");

        let auto = EngineOptions::default().load("decoder", graph.0.clone(), &graph.1).unwrap();
        assert_eq!(auto.backend().engine, Engine::Tract);
        assert!(run(Engine::Auto, 1, &graph, &x).is_ok());
    }
}

#[test]
fn what_a_cut_takes_away_is_not_computed() {
    let relu = Layer::Activation(0);
    let layers = vec![deconv(32), relu, Layer::Crop([2, 1, 3, 0]), conv(5, [1, 1])];
    let graph = Chain::of(&[16, 9, 9], Form::Single, &layers).finish();
    let x = images(&graph.1, 2);
    let options = EngineOptions::new(Engine::Native);
    let mut session = options.load("decoder", graph.0.clone(), &graph.1).unwrap();
    let steps = session.profile(&[x.view()]).unwrap().unwrap();
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    assert!(names.contains(&"deconv 4x4/2 16x9x9 -> 32x13x17 relu"), "{names:?}");
    assert!(!names.contains(&"copy [32, 13, 17]"), "{names:?}");
}

#[test]
fn a_large_image_is_shared_among_threads_with_the_same_bytes() {
    let dense = |outputs| Layer::Dense { outputs, form: 0 };
    let (relu, flat) = (Layer::Activation(0), Layer::Vector { flatten: true });
    let (tanh, max, turned) =
        (Layer::Activation(3), Layer::Constant(3), Layer::Transpose(vec![2, 3, 1]));
    let graphs = [
        (
            vec![8, 61, 67],
            vec![conv(33, [1, 1]), deconv(17), Layer::Round(0), conv(40, [2, 1]), deconv(3)],
        ),
        (vec![4, 200, 190], vec![deconv(3), tanh, max, turned]),
        (vec![3, 80, 80], vec![conv(16, [2, 2]), relu.clone(), flat, dense(71), dense(40_000)]),
        (vec![9000], vec![dense(330), relu, dense(97), dense(20_000)]),
    ];
    let forms = [Form::Single, Form::Half, Form::Eight];
    for ((x, layers), form) in graphs.iter().flat_map(|graph| forms.map(|form| (graph, form))) {
        let graph = Chain::of(x, form, layers).finish();
        let image = images(&graph.1, 1);
        let alone = run(Engine::Native, 1, &graph, &image).unwrap();
        for threads in [2, 3, 7] {
            let shared = run(Engine::Native, threads, &graph, &image).unwrap();
            assert!(shared == alone, "{x:?} on {threads} threads, {form:?}");
        }
    }
}
