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

/// How often all candidates are measured, one after the other.
const ROUNDS: u32 = 2;

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
    /// At the median time.
    pub(super) images_per_second: f64,
}

impl Measured {
    fn which(&self) -> (&str, Engine, Provider, usize, usize) {
        (&self.source, self.engine, self.provider, self.threads, self.batch)
    }
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
        let mut candidates = self.candidates(bundle, &asked);
        for round in 0..ROUNDS {
            candidates.retain(|candidate| {
                let EngineOptions { engine, provider, .. } = *candidate;
                if round == 0 {
                    say(format!("measuring {engine}/{provider} on {}", bundle.manifest.precision));
                }
                let measured = self.threads(bundle, candidate, &batches, time / ROUNDS);
                measured.map_err(|e| self.leave_out(bundle, engine, Some(provider), e)).is_ok()
            });
        }
        Ok(())
    }

    /// The engines with their providers that `asked` does not leave out, where they are here.
    fn candidates(&mut self, bundle: &Bundle, asked: &EngineOptions) -> Vec<EngineOptions> {
        let mut candidates = Vec::new();
        let wanted = |engine: &&Engine| [Engine::Auto, **engine].contains(&asked.engine);
        for &engine in Engine::BUILT.iter().filter(wanted) {
            if let Err(error) = asked.version(engine) {
                self.leave_out(bundle, engine, None, error);
                continue;
            }
            // An engine without the provider that is asked for says so when it is loaded.
            let providers = match (asked.provider, engine) {
                (Provider::Auto, Engine::Ort) => &Provider::NAMED[..],
                (Provider::Auto, _) => &[Provider::Cpu],
                (named, _) => &[named],
            };
            let with = |&provider| EngineOptions { engine, provider, ..asked.clone() };
            candidates.extend(providers.iter().map(with));
        }
        candidates
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
                self.add(Measured {
                    source: bundle.source().display().to_string(),
                    precision: bundle.manifest.precision.to_string(),
                    engine: options.engine,
                    provider: options.provider,
                    threads,
                    batch: batch.size(),
                    p50_us: microseconds(latency.p50),
                    p99_us: microseconds(latency.p99),
                    images_per_second: batch.size() as f64 / latency.p50.as_secs_f64().max(1e-9),
                });
            }
        }
        Ok(())
    }

    /// Keeps the faster one of a candidate's rounds: what else runs on the machine only adds to a time.
    fn add(&mut self, row: Measured) {
        match self.measured.iter_mut().find(|known| known.which() == row.which()) {
            Some(known) if known.p50_us <= row.p50_us => {}
            Some(known) => *known = row,
            None => self.measured.push(row),
        }
    }

    fn leave_out(
        &mut self,
        bundle: &Bundle,
        engine: Engine,
        provider: Option<Provider>,
        error: Error,
    ) {
        let source = bundle.source().display().to_string();
        // What it took before it failed is nothing to choose it for.
        self.measured.retain(|row| {
            (&row.source, row.engine, Some(row.provider)) != (&source, engine, provider)
        });
        let reason = match error {
            Error::Engine { reason, .. } => reason,
            other => other.to_string(),
        };
        self.out.push(Out {
            source,
            precision: bundle.manifest.precision.to_string(),
            engine,
            provider,
            reason,
        });
    }
}
