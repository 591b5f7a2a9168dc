//! A whole model with every instruction set.

use bytes::Bytes;
use ndarray::{Array, ArrayD, ArrayViewD, IxDyn};

use super::*;
use crate::{Bundle, graph};

/// Images whose numbers have no order.
fn images(shape: &[usize]) -> ArrayD<f32> {
    let len: usize = shape.iter().product();
    let pixel = |i| ((i * 7919) % 1009) as f32 / 1008.0;
    Array::from_shape_vec(IxDyn(shape), (0..len).map(pixel).collect()).expect("so many numbers")
}

#[test]
fn a_model_gives_the_same_with_every_instruction_set() {
    let bundle = Bundle::embedded();
    let run = |arch, name, onnx: &Bytes, spec: &GraphSpec, input: ArrayViewD<f32>| {
        let parsed = graph::parse(name, onnx, spec).expect("a graph");
        let options = EngineOptions { threads: 1, ..EngineOptions::default() };
        let native = Native::with(arch, &options, name, &parsed, spec);
        native.expect("a plan").run(&[input]).expect("a result")
    };
    let encode = |arch| {
        let spec = &bundle.manifest.encoder;
        let shape = [&[5], &spec.inputs[0].shape[..]].concat();
        run(arch, "encoder", bundle.encoder(), spec, images(&shape).view())
    };
    let decode = |arch, latent: &ArrayD<f32>| {
        run(arch, "decoder", bundle.decoder(), &bundle.manifest.decoder, latent.view())
    };
    let latent = encode(Arch::Scalar);
    let portable = [&latent[..], &decode(Arch::Scalar, &latent[0])].concat();
    for arch in kernels::instruction_sets() {
        let outputs = [&encode(arch)[..], &decode(arch, &latent[0])].concat();
        for (output, portable) in outputs.iter().zip(&portable) {
            let near = output.iter().zip(portable).all(|(a, b)| (a - b).abs() <= 1e-5);
            assert!(near, "{arch:?} gives {output}, portable code {portable}");
        }
    }
}
