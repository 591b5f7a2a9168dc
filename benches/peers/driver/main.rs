//! The Rust contenders of `benches/peers`: our engines, plain tract and rten.
//!
//! One process holds one contender; the comparison starts one for each and speaks to them in turn.
//! A request is a line on standard input, its answer a line on standard output, and what goes wrong
//! is `error REASON`:
//!
//! | request | answer |
//! |---|---|
//! | `load ENGINE BUNDLE THREADS` | `ok` |
//! | `run IMAGES.npy ITERATIONS` | the nanoseconds of every reconstruction |
//! | `check IMAGES.npy OUTPUT.npy` | `ok`, with the reconstructions in the file |
//! | `cost BUNDLE` | operations that native does for an image, or else the network's; bytes of all weights |
//! | `peak THREADS` | operations a second of so many threads, bytes a second that one reads |

mod contender;
mod plain;
mod rten;

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use contender::Contender;
use ndarray::ArrayD;
use vae_infer::machine::Machine;
use vae_infer::measure::{Batch, Loaded, Part, Profile};
use vae_infer::{Bundle, Engine, EngineOptions, graph, npy};

fn main() -> Result<()> {
    let mut loaded = None;
    for line in io::stdin().lines() {
        let answer = answer(&line?, &mut loaded).unwrap_or_else(|error| {
            let reason = format!("{error:#}");
            format!("error {}", reason.split_whitespace().collect::<Vec<_>>().join(" "))
        });
        let mut out = io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(request: &str, loaded: &mut Option<Contender>) -> Result<String> {
    let words: Vec<&str> = request.split_whitespace().collect();
    match words[..] {
        ["load", engine, bundle, threads] => {
            let bundle = Bundle::open(bundle)?;
            *loaded = Some(Contender::load(engine, &bundle, threads.parse()?)?);
            Ok("ok".into())
        }
        ["run", images, iterations] => {
            let contender = loaded.as_mut().context("nothing is loaded")?;
            let images: ArrayD<f32> = ndarray_npy::read_npy(images)?;
            let mut times = Vec::new();
            for _ in 0..iterations.parse()? {
                let start = Instant::now();
                contender.reconstruct(&images)?;
                times.push(start.elapsed().as_nanos().to_string());
            }
            Ok(times.join(" "))
        }
        ["check", images, output] => {
            let contender = loaded.as_mut().context("nothing is loaded")?;
            let images: ArrayD<f32> = ndarray_npy::read_npy(images)?;
            npy::write(Path::new(output), &contender.reconstruct(&images)?)?;
            Ok("ok".into())
        }
        ["cost", bundle] => cost(&Bundle::open(bundle)?),
        ["peak", threads] => {
            let machine = Machine::measure(threads.parse()?).context("no vector instructions")?;
            Ok(format!("{:.0} {:.0}", machine.flops, machine.bandwidth))
        }
        _ => bail!("no such request: {request}"),
    }
}

fn cost(bundle: &Bundle) -> Result<String> {
    let manifest = &bundle.manifest;
    let (mut flops, mut weights) = (0, 0);
    for (name, onnx, spec) in [
        ("encoder", bundle.encoder(), &manifest.encoder),
        ("decoder", bundle.decoder(), &manifest.decoder),
    ] {
        let cost = graph::cost(name, onnx, spec)?;
        flops += cost.work.map_err(anyhow::Error::msg)?.flops;
        weights += cost.weights.values().sum::<u64>();
    }
    let native = EngineOptions::new(Engine::Native);
    let steps = Loaded::load(bundle, &native, Part::Reconstruct)
        .and_then(|mut model| model.profile(&Batch::recorded(bundle, 1)?));
    if let Ok(Profile { encoder: Some(encoder), decoder: Some(decoder) }) = steps {
        flops = encoder.iter().chain(&decoder).map(|step| step.flops).sum();
    }
    Ok(format!("{flops} {weights}"))
}
