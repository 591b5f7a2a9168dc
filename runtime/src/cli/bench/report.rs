//! All that `bench` says.

use std::time::Duration;

use serde::Serialize;
use vae_infer::graph;
use vae_infer::measure::{Batch, Loaded, Part, Profile};
use vae_infer::{Bundle, Error};

use super::super::units::{self, digits};
use super::cold::Cold;
use super::layers::Layers;

/// What was run, what it took, and what of the machine's limits that is.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) model: String,
    pub(super) source: String,
    pub(super) part: String,
    pub(super) batch: usize,
    pub(super) threads: usize,
    /// What really runs the halves.
    pub(super) encoder: Option<String>,
    pub(super) decoder: Option<String>,
    #[serde(skip)]
    pub(super) engines: String,
    pub(super) load_us: f64,
    pub(super) first_us: f64,
    pub(super) runs: usize,
    pub(super) p50_us: f64,
    pub(super) p90_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) images_per_second: f64,
    /// Absent where the system does not say.
    pub(super) peak_rss_bytes: Option<u64>,
    pub(super) arithmetic: Option<Share>,
    pub(super) weights: Share,
    pub(super) cold: Option<Cold>,
    pub(super) layers: Option<Layers>,
}

/// The work of a call on a resource of the machine.
#[derive(Serialize)]
pub(super) struct Share {
    /// Operations or bytes of a call.
    pub(super) work: u64,
    /// A second, at the median time.
    pub(super) rate: f64,
    /// What the machine does at most in a second, where it was measured and does the work.
    pub(super) peak: Option<f64>,
    /// The rate over the peak.
    pub(super) share: Option<f64>,
}

/// The work of a call.
pub(super) struct Work {
    /// Operations that are done, where the engine tells its steps, or else those of the graphs: unknown for one whose
    /// shapes cannot be followed.
    pub(super) flops: Option<u64>,
    /// Bytes of the weights, as they are stored.
    pub(super) weights: u64,
}

impl Work {
    pub(super) fn of(
        bundle: &Bundle,
        model: &mut Loaded,
        part: Part,
        batch: usize,
    ) -> Result<Self, Error> {
        let manifest = &bundle.manifest;
        let Profile { encoder, decoder } = model.profile(&Batch::recorded(bundle, 1)?)?;
        let halves = [
            (Part::Decode, "encoder", bundle.encoder(), &manifest.encoder, encoder),
            (Part::Encode, "decoder", bundle.decoder(), &manifest.decoder, decoder),
        ];
        let (mut image, mut weights) = (Some(0_u64), 0);
        for (_, name, onnx, spec, steps) in halves.into_iter().filter(|half| half.0 != part) {
            let cost = graph::cost(name, onnx, spec)?;
            weights += cost.weights.values().sum::<u64>();
            let half = match steps {
                Some(steps) => Some(steps.iter().map(|step| step.flops).sum()),
                None => cost.work.ok().map(|work| work.flops),
            };
            image = image.zip(half).and_then(|(image, half)| image.checked_add(half));
        }
        Ok(Self { flops: image.and_then(|flops| flops.checked_mul(batch as u64)), weights })
    }
}

impl Share {
    pub(super) fn new(work: u64, time: Duration, peak: Option<f64>) -> Self {
        let rate = work as f64 / time.as_secs_f64().max(1e-9);
        Self { work, rate, peak, share: peak.map(|peak| rate / peak) }
    }

    fn text(&self, unit: &str, of: &str) -> String {
        let rate = format!("{} {unit}", digits(self.rate / 1e9));
        match self.peak.zip(self.share) {
            None => rate,
            Some((peak, share)) => {
                let (peak, percent) = (digits(peak / 1e9), digits(100.0 * share));
                format!("{rate}, {percent} % of {peak} {unit} {of}")
            }
        }
    }
}

impl Report {
    pub(super) fn text(&self) -> String {
        let micros = |time: f64| units::time(Duration::from_secs_f64(time / 1e6));
        let Self { threads, runs, batch, part, .. } = self;
        let images = digits(self.images_per_second);
        let unknown = || "unknown on this system".into();
        let peak = |bytes: Option<u64>| bytes.map_or_else(unknown, |b| units::size(b as f64));
        let arithmetic = self.arithmetic.as_ref().map_or_else(
            || "unknown: the shapes of its graphs cannot be followed".into(),
            |share| share.text("GFLOP/s", &format!("in f32 here, with --threads {threads}")),
        );
        let mut rows = vec![
            ("model", format!("{}, from {}", self.model, self.source)),
            ("engine", format!("{}, --threads {threads}", self.engines)),
            ("call", format!("{part}, --batch {batch}")),
            ("load", micros(self.load_us)),
            ("first call", micros(self.first_us)),
            ("p50", format!("{} of {runs} calls", micros(self.p50_us))),
            ("p90", micros(self.p90_us)),
            ("p99", micros(self.p99_us)),
            ("p99.9", micros(self.p999_us)),
            ("throughput", format!("{images} images/s")),
            ("memory", format!("{} at the peak", peak(self.peak_rss_bytes))),
            ("arithmetic", arithmetic),
            ("weights", self.weights.text("GB/s", "that one thread reads here")),
        ];
        if let Some(cold) = &self.cold {
            let Cold { processes, min_us, max_us, .. } = cold;
            let (median, memory) = (units::time(cold.median()), peak(cold.peak_rss_bytes));
            let range = format!("{} to {}", micros(*min_us), micros(*max_us));
            rows.push(("cold", format!("{median} ({range}, {processes} processes), {memory}")));
        }
        let mut lines: Vec<_> =
            rows.into_iter().map(|(key, value)| format!("{key:<11} {value}")).collect();
        lines.extend(self.layers.iter().flat_map(Layers::text));
        lines.join("\n")
    }
}
