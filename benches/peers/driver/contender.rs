//! A contender: two graphs that make a reconstruction.

use anyhow::{Result, bail};
use ndarray::{ArrayD, ArrayViewD};
use vae_infer::engine::Session;
use vae_infer::manifest::GraphSpec;
use vae_infer::{Bundle, Engine, EngineOptions};

use crate::plain::Plain;
use crate::rten::Rten;

/// A graph in some program, whose inputs and outputs are `[B, …]`.
pub(crate) trait Graph {
    /// Runs it on a batch.
    fn run(&mut self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>>;
}

impl Graph for Box<dyn Session> {
    fn run(&mut self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>> {
        Ok(Session::run(self.as_mut(), inputs)?)
    }
}

/// An encoder and its decoder.
pub(crate) struct Contender {
    encoder: Box<dyn Graph>,
    decoder: Box<dyn Graph>,
    /// Where the decoder's inputs are among the encoder's outputs.
    passed_on: Vec<usize>,
}

impl Contender {
    /// Loads a bundle's graphs into an engine, with 0 threads for one on every core.
    pub(crate) fn load(engine: &str, bundle: &Bundle, threads: usize) -> Result<Self> {
        let manifest = &bundle.manifest;
        let (encoder, decoder) = (&manifest.encoder, &manifest.decoder);
        let position = |name: &str| encoder.outputs.iter().position(|output| output.name == name);
        // The first output is the mean, which the decoder takes as its latent vector.
        let skips = decoder.inputs.iter().skip(1).filter_map(|input| position(&input.name));
        Ok(Self {
            passed_on: std::iter::once(0).chain(skips).collect(),
            encoder: graph(engine, "encoder", bundle.encoder(), encoder, threads)?,
            decoder: graph(engine, "decoder", bundle.decoder(), decoder, threads)?,
        })
    }

    /// Encodes images and decodes their posterior means, `[B, C, H, W]` both.
    pub(crate) fn reconstruct(&mut self, images: &ArrayD<f32>) -> Result<ArrayD<f32>> {
        let encoded = self.encoder.run(&[images.view()])?;
        let inputs: Vec<_> = self.passed_on.iter().map(|&i| encoded[i].view()).collect();
        Ok(self.decoder.run(&inputs)?.swap_remove(0))
    }
}

fn graph(
    engine: &str,
    name: &'static str,
    onnx: &[u8],
    spec: &GraphSpec,
    threads: usize,
) -> Result<Box<dyn Graph>> {
    let ours = match engine {
        "native" => Engine::Native,
        "tract" => Engine::Tract,
        "ort" => Engine::Ort,
        "plain-tract" => return Ok(Box::new(Plain::load(onnx, spec)?)),
        "rten" => return Ok(Box::new(Rten::load(onnx, threads)?)),
        _ => bail!("no such engine: {engine}"),
    };
    let options = EngineOptions { threads, ..EngineOptions::new(ours) };
    Ok(Box::new(options.load(name, onnx.to_vec(), spec)?))
}
