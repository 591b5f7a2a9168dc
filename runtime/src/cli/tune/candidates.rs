//! What is measured.

use std::time::Duration;

use serde::Serialize;
use vae_infer::measure::{Batch, Latency, Length, Loaded, Part};
use vae_infer::selftest::Stamps;
use vae_infer::{Bundle, Engine, EngineOptions, Error, Provider};

use super::super::say::say;
use super::super::units::microseconds;

/// The images in a call.
const BATCHES: [usize; 3] = [1, 8, 64];

/// The most bytes of a batch; larger ones are left out.
const MAX_BATCH_BYTES: u64 = 1 << 30;

/// A candidate that gives the recorded results, and what it took.
#[derive(Clone, Serialize)]
pub(super) struct Measured {
    pub(super) source: String,
    pub(super) precision: String,
    pub(super) engine: Engine,
    pub(super) provider: Provider,
    pub(super) threads: usize,
    pub(super) batch: usize,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) images_per_second: f64,
}

/// An engine that is out, and why.
#[derive(Serialize)]
pub(super) struct Out {
    pub(super) source: String,
    pub(super) precision: String,
    pub(super) engine: Engine,
    /// Absent where the engine itself is not here.
    pub(super) provider: Option<Provider>,
    pub(super) reason: String,
}

/// All candidates, in the order in which they were tried.
#[derive(Default, Serialize)]
pub(super) struct Table {
    pub(super) measured: Vec<Measured>,
    pub(super) out: Vec<Out>,
}

impl Table {
    /// Measures everything that `asked` does not leave out, on a bundle.
    pub(super) fn measure(
        &mut self,
        bundle: &Bundle,
        asked: EngineOptions,
        time: Duration,
    ) -> Result<(), Error> {
        let fits = |size: &usize| {
            Batch::bytes(bundle, *size).is_some_and(|bytes| bytes as u64 <= MAX_BATCH_BYTES)
        };
        let batches = BATCHES.into_iter().filter(fits).map(|size| Batch::recorded(bundle, size));
        let batches = batches.collect::<Result<Vec<_>, _>>()?;
        let wanted = |engine: &&Engine| [Engine::Auto, **engine].contains(&asked.engine);
        for &engine in Engine::BUILT.iter().filter(wanted) {
            if let Err(error) = asked.version(engine) {
                self.leave_out(bundle, engine, None, error);
                continue;
            }
            let providers =
                if engine == Engine::Ort { &Provider::NAMED[..] } else { &[Provider::Cpu] };
            let wanted = |it: &&Provider| [Provider::Auto, **it].contains(&asked.provider);
            for &provider in providers.iter().filter(wanted) {
                let options = EngineOptions { engine, provider, ..asked.clone() };
                say(format!("trying {engine}/{provider} on {}", bundle.manifest.precision));
                if let Err(error) = self.threads(bundle, &options, &batches, time) {
                    self.leave_out(bundle, engine, Some(provider), error);
                }
            }
        }
        Ok(())
    }

    /// Measures an engine with every number of threads.
    fn threads(
        &mut self,
        bundle: &Bundle,
        options: &EngineOptions,
        batches: &[Batch],
        time: Duration,
    ) -> Result<(), Error> {
        let most = options.thread_count();
        let least = if options.threads == 0 { 1 } else { most };
        let counts = std::iter::successors(Some(least), |count| Some((count * 2).min(most)));
        let counts: Vec<_> = counts.take_while(|count| *count < most).chain([most]).collect();
        for threads in counts {
            let options = EngineOptions { threads, ..options.clone() };
            let mut model = Loaded::load(bundle, &options, Part::Reconstruct)?;
            model.test(bundle, &options, &Stamps::none())?;
            for batch in batches {
                let latency = Latency::measure(Length::Time(time), || model.run(batch))?;
                self.measured.push(Measured {
                    source: bundle.source().display().to_string(),
                    precision: bundle.manifest.precision.to_string(),
                    engine: options.engine,
                    provider: options.provider,
                    threads,
                    batch: batch.size(),
                    p50_us: microseconds(latency.p50),
                    p99_us: microseconds(latency.p99),
                    images_per_second: latency.rate() * batch.size() as f64,
                });
            }
        }
        Ok(())
    }

    fn leave_out(
        &mut self,
        bundle: &Bundle,
        engine: Engine,
        provider: Option<Provider>,
        error: Error,
    ) {
        let reason = match error {
            Error::Engine { reason, .. } => reason,
            other => other.to_string(),
        };
        self.out.push(Out {
            source: bundle.source().display().to_string(),
            precision: bundle.manifest.precision.to_string(),
            engine,
            provider,
            reason,
        });
    }
}
