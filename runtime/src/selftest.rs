//! The self-test of a model that was loaded: does it give, here, the results that were recorded
//! when it was exported?

mod stamps;

use crate::engine::{Backend, EngineOptions};
use crate::verify::{TOLERANCE, replay_decoder, replay_encoder};
use crate::{Bundle, Decoder, Encoder, Error, Model};

use stamps::Stamp;
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
    let stamp = stamps.stamp("encoder", bundle, options, &backend)?;
    once(stamp, || {
        let differences = replay_encoder(encoder, bundle, &bundle.golden()?)?;
        agreed(bundle, &backend, differences)
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
    let stamp = stamps.stamp("decoder", bundle, options, &backend)?;
    once(stamp, || {
        let differences = replay_decoder(decoder, bundle, &bundle.golden()?)?;
        agreed(bundle, &backend, differences)
    })
}

fn once(stamp: Option<Stamp>, test: impl FnOnce() -> Result<(), Error>) -> Result<Passed, Error> {
    if stamp.as_ref().is_some_and(Stamp::is_there) {
        return Ok(Passed::Before);
    }
    test()?;
    if let Some(stamp) = stamp {
        stamp.leave();
    }
    Ok(Passed::Now)
}

/// Refuses the output that is furthest from its record, where that is too far.
fn agreed(
    bundle: &Bundle,
    backend: &Backend,
    differences: Vec<(String, f64)>,
) -> Result<(), Error> {
    let worst = differences.into_iter().max_by(|(_, a), (_, b)| a.total_cmp(b));
    match worst.filter(|(_, difference)| *difference > TOLERANCE) {
        None => Ok(()),
        Some((output, difference)) => Err(Error::SelfTest {
            bundle: bundle.source().into(),
            output,
            engine: backend.to_string(),
            difference,
            tolerance: TOLERANCE,
        }),
    }
}
