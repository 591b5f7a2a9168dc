//! The self-test of a model that was loaded: does it give, here, the results that were recorded
//! when it was exported?

mod stamps;

use crate::engine::{Backend, EngineOptions};
use crate::verify::{TOLERANCE, replay_decoder, replay_encoder};
use crate::{Bundle, Decoder, Encoder, Error, Model};

pub use stamps::Stamps;

/// How a self-test was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// Now: the golden vectors were replayed.
    Now,
    /// At an earlier start, which left a stamp.
    Before,
}

/// Tests both halves of a model, [`encoder`] and [`decoder`].
///
/// # Errors
///
/// As there.
pub fn model(
    model: &mut Model,
    bundle: &Bundle,
    options: &EngineOptions,
    stamps: &Stamps,
) -> Result<[Passed; 2], Error> {
    let encoder = encoder(&mut model.encoder, bundle, options, stamps)?;
    Ok([encoder, decoder(&mut model.decoder, bundle, options, stamps)?])
}

/// Replays the golden vectors of a bundle's encoder, unless there is a stamp for it.
///
/// `options` are those with which it was loaded.
///
/// # Errors
///
/// [`Error::SelfTest`] for results that are further from the record than [`TOLERANCE`],
/// [`Error::Bundle`] for a record that is damaged, and those of running the encoder. None of them
/// leaves a stamp.
pub fn encoder(
    encoder: &mut Encoder,
    bundle: &Bundle,
    options: &EngineOptions,
    stamps: &Stamps,
) -> Result<Passed, Error> {
    let backend = encoder.backend().clone();
    once(["encoder", &options.version()?], bundle, &backend, stamps, || {
        replay_encoder(encoder, bundle, &bundle.golden()?)
    })
}

/// Replays the golden vectors of a bundle's decoder, unless there is a stamp for it.
///
/// `options` are those with which it was loaded.
///
/// # Errors
///
/// As [`encoder`].
pub fn decoder(
    decoder: &mut Decoder,
    bundle: &Bundle,
    options: &EngineOptions,
    stamps: &Stamps,
) -> Result<Passed, Error> {
    let backend = decoder.backend().clone();
    once(["decoder", &options.version()?], bundle, &backend, stamps, || {
        replay_decoder(decoder, bundle, &bundle.golden()?)
    })
}

fn once(
    graph_and_version: [&str; 2],
    bundle: &Bundle,
    backend: &Backend,
    stamps: &Stamps,
    replay: impl FnOnce() -> Result<Vec<(String, f64)>, Error>,
) -> Result<Passed, Error> {
    let stamp = stamps.stamp(graph_and_version, bundle, backend);
    if stamp.as_ref().is_some_and(|stamp| stamp.is_there()) {
        return Ok(Passed::Before);
    }
    let worst = replay()?.into_iter().max_by(|(_, a), (_, b)| a.total_cmp(b));
    if let Some((output, difference)) = worst.filter(|(_, difference)| *difference > TOLERANCE) {
        let (bundle, engine) = (bundle.source().into(), backend.to_string());
        return Err(Error::SelfTest { bundle, output, engine, difference, tolerance: TOLERANCE });
    }
    if let Some(stamp) = stamp {
        stamp.leave();
    }
    Ok(Passed::Now)
}
