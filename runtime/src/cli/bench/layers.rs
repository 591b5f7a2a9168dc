//! What every layer takes.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use vae_infer::measure::{Batch, Loaded};

use super::super::units::{self, digits, microseconds};
use super::report::engines;

/// How often the layers are measured; the median of every one counts.
const TIMES: usize = 21;

/// The layers in order, the encoder's before the decoder's.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Layers(Vec<Layer>);

#[derive(Serialize)]
struct Layer {
    name: String,
    time_us: f64,
    /// Its time over that of all layers.
    share: f64,
    flops: u64,
    flops_per_second: Option<f64>,
    weight_bytes: u64,
    weight_bytes_per_second: Option<f64>,
}

impl Layers {
    pub(super) fn of(model: &mut Loaded, batch: &Batch) -> Result<Self> {
        let mut steps = model.profile(batch)?.with_context(|| {
            format!("{} does not tell its layers (hint: --engine native)", engines(model))
        })?;
        let mut times: Vec<_> = steps.iter().map(|step| vec![step.time]).collect();
        for _ in 1..TIMES {
            let again = model.profile(batch)?.unwrap_or_default();
            for (times, step) in times.iter_mut().zip(again) {
                times.push(step.time);
            }
        }
        for (step, times) in steps.iter_mut().zip(&mut times) {
            times.sort_unstable();
            step.time = times[times.len() / 2];
        }
        let total = steps.iter().map(|step| step.time).sum::<Duration>().as_secs_f64();
        let layers = steps.into_iter().map(|step| {
            let seconds = step.time.as_secs_f64();
            let a_second = |count: u64| (seconds > 0.0).then(|| count as f64 / seconds);
            Layer {
                time_us: microseconds(step.time),
                share: if total > 0.0 { seconds / total } else { 0.0 },
                flops: step.flops,
                flops_per_second: a_second(step.flops),
                weight_bytes: step.weights,
                weight_bytes_per_second: a_second(step.weights),
                name: step.name,
            }
        });
        Ok(Self(layers.collect()))
    }

    /// A line a layer: time, share, arithmetic, weights, and what it computes.
    pub(super) fn text(&self) -> Vec<String> {
        let lines = self.0.iter().map(|layer| {
            let time = units::time(Duration::from_secs_f64(layer.time_us / 1e6));
            let percent = 100.0 * layer.share;
            let giga = |rate: Option<f64>| rate.map_or("-".into(), |rate| digits(rate / 1e9));
            let [flops, weights] =
                [layer.flops_per_second, layer.weight_bytes_per_second].map(giga);
            let name = &layer.name;
            format!("{time:>9}  {percent:>5.1} %  {flops:>5} GFLOP/s  {weights:>5} GB/s  {name}")
        });
        lines.collect()
    }
}
