//! The Rust contenders of `benches/peers`: our engines, plain tract and rten.
//!
//! One process holds one contender; the comparison starts one for each and speaks to them in turn.
//! A request is a line on standard input, its answer a line on standard output, and what goes wrong
//! is `error REASON`:
//!
//! | request | answer |
//! |---|---|
//! | `load ENGINE BUNDLE THREADS` | `ok` |
//! | `run BATCH ITERATIONS` | the nanoseconds of every reconstruction |
//! | `check IMAGES.npy OUTPUT.npy` | `ok`, with the reconstructions in the file |
//! | `cost BUNDLE` | floating-point operations of an image, bytes of all weights |
//! | `peak` | this core's floating-point operations a second, bytes a second that it reads |

mod contender;
mod peak;
mod plain;
mod rten;

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use contender::Contender;
use ndarray::{Array, ArrayD};
use vae_infer::{Bundle, graph, noise, npy};

/// What a process has loaded.
struct Loaded {
    contender: Contender,
    /// `[C, H, W]`
    image: [usize; 3],
}

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

fn answer(request: &str, loaded: &mut Option<Loaded>) -> Result<String> {
    let words: Vec<&str> = request.split_whitespace().collect();
    match words[..] {
        ["load", engine, bundle, threads] => {
            let bundle = Bundle::open(bundle)?;
            let image = bundle.manifest.image.shape();
            *loaded =
                Some(Loaded { contender: Contender::load(engine, &bundle, threads.parse()?)?, image });
            Ok("ok".into())
        }
        ["run", batch, iterations] => {
            let Loaded { contender, image } = loaded.as_mut().context("nothing is loaded")?;
            let images = random(batch.parse()?, *image)?;
            let mut times = Vec::new();
            for _ in 0..iterations.parse()? {
                let start = Instant::now();
                contender.reconstruct(&images)?;
                times.push(start.elapsed().as_nanos().to_string());
            }
            Ok(times.join(" "))
        }
        ["check", images, output] => {
            let Loaded { contender, .. } = loaded.as_mut().context("nothing is loaded")?;
            let images: ArrayD<f32> = ndarray_npy::read_npy(images)?;
            npy::write(Path::new(output), &contender.reconstruct(&images)?)?;
            Ok("ok".into())
        }
        ["cost", bundle] => cost(&Bundle::open(bundle)?),
        ["peak"] => Ok(format!("{:.0} {:.0}", peak::arithmetic(), peak::memory())),
        _ => bail!("no such request: {request}"),
    }
}

/// `[B, C, H, W]` in 0..1
fn random(batch: usize, [channels, height, width]: [usize; 3]) -> Result<ArrayD<f32>> {
    let values = noise::standard_normal(0, 0, batch, channels * height * width);
    let values: Vec<f32> = values.iter().map(|value| value.abs().min(1.0)).collect();
    Ok(Array::from_shape_vec((batch, channels, height, width), values)?.into_dyn())
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
    Ok(format!("{flops} {weights}"))
}
