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
//! | `decode BUNDLE FOLDER THREADS` | files a second that are read and made ready for the network, and kept nowhere |
//! | `peak THREADS` | operations a second of so many threads, bytes a second that one reads |

mod contender;
mod plain;
mod rten;

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use contender::Contender;
use ndarray::ArrayD;
use vae_infer::machine::Machine;
use vae_infer::measure::{Batch, Loaded, Part, Profile};
use vae_infer::{Bundle, Engine, EngineOptions, graph, images, npy};

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
        ["decode", bundle, folder, threads] => {
            let rate = decode(&Bundle::open(bundle)?, Path::new(folder), threads.parse()?)?;
            Ok(format!("{rate:.1}"))
        }
        ["cost", bundle] => cost(&Bundle::open(bundle)?),
        ["peak", threads] => {
            let machine = Machine::measure(threads.parse()?).context("no vector instructions")?;
            Ok(format!("{:.0} {:.0}", machine.flops, machine.bandwidth))
        }
        _ => bail!("no such request: {request}"),
    }
}

/// Files of a folder a second, on so many threads of which each takes the next one.
fn decode(bundle: &Bundle, folder: &Path, threads: usize) -> Result<f64> {
    let (spec, next) = (&bundle.manifest.image, AtomicUsize::new(0));
    let start = Instant::now();
    let files = images::within_folder(folder)?;
    let take = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            for picture in images::read(file)? {
                spec.prepared(picture)?;
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
        let ended = threads.into_iter().map(|thread| thread.join().expect("no thread panics"));
        ended.collect::<Result<()>>()
    })?;
    Ok(files.len() as f64 / start.elapsed().as_secs_f64())
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
