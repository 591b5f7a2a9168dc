//! What every layer takes.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;
use vae_infer::engine::Step;
use vae_infer::measure::{Batch, Loaded, Profile};

use super::super::say::say;
use super::super::units::{self, digits, microseconds};

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
    /// Those of the halves whose engines tell; the other one is named.
    pub(super) fn of(model: &mut Loaded, batch: &Batch) -> Result<Self> {
        let backends = model.backends();
        let mut runs = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            runs.push(model.profile(batch)?);
        }
        let Profile { encoder, decoder } = &runs[0];
        if encoder.is_none() && decoder.is_none() {
            bail!(
                "{backends} does not tell its layers (hint: --engine native does, where it takes the \
                 graphs)"
            );
        }
        let halves =
            [("encoder", backends.encoder, encoder), ("decoder", backends.decoder, decoder)];
        for (half, backend, steps) in halves {
            if let (Some(backend), None) = (backend, steps) {
                say(format!("the {half}'s layers are left out: {backend} does not tell them"));
            }
        }
        let steps = |run: Profile| run.encoder.into_iter().chain(run.decoder).flatten().collect();
        let runs: Vec<Vec<Step>> = runs.into_iter().map(steps).collect();
        Ok(Self::medians(&runs))
    }

    /// The median of every step over runs of the same steps, of which there is one at least.
    fn medians(runs: &[Vec<Step>]) -> Self {
        let times: Vec<_> = (0..runs[0].len())
            .map(|place| {
                let times = runs.iter().filter_map(|steps| Some(steps.get(place)?.time));
                let mut times: Vec<_> = times.collect();
                times.sort_unstable();
                times[times.len() / 2]
            })
            .collect();
        let total = times.iter().sum::<Duration>().as_secs_f64();
        let layers = runs[0].iter().zip(times).map(|(step, time)| {
            let seconds = time.as_secs_f64();
            let a_second = |count: u64| (seconds > 0.0).then(|| count as f64 / seconds);
            Layer {
                name: step.name.clone(),
                time_us: microseconds(time),
                share: if total > 0.0 { seconds / total } else { 0.0 },
                flops: step.flops,
                flops_per_second: a_second(step.flops),
                weight_bytes: step.weights,
                weight_bytes_per_second: a_second(step.weights),
            }
        });
        Self(layers.collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_takes_the_median_of_its_own_times() {
        let steps = |times: [u64; 2]| {
            let step = |(name, flops, time): (&str, u64, u64)| Step {
                name: name.into(),
                flops,
                weights: 3000,
                time: Duration::from_micros(time),
            };
            [("conv", 6_000_000, times[0]), ("crop", 0, times[1])].map(step).to_vec()
        };
        let Layers(layers) = Layers::medians(&[steps([30, 0]), steps([90, 10]), steps([20, 70])]);
        let figures: Vec<_> = layers.iter().map(|l| (l.time_us, l.share, l.flops)).collect();
        assert_eq!(figures, [(30.0, 0.75, 6_000_000), (10.0, 0.25, 0)]);
        assert_eq!(layers[0].flops_per_second, Some(2e11));
        assert_eq!(
            Layers(layers).text(),
            [
                "  30.0 us   75.0 %    200 GFLOP/s   0.10 GB/s  conv",
                "  10.0 us   25.0 %   0.00 GFLOP/s   0.30 GB/s  crop",
            ]
        );
        let Layers(still) = Layers::medians(&[steps([0, 0])]);
        assert_eq!((still[0].share, still[0].flops_per_second), (0.0, None));
    }
}
