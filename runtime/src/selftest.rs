//! The self-test of a model that was loaded: does it give, here, the results that were recorded
//! when it was exported?

mod stamps;

use crate::engine::{Backend, Backends, EngineOptions};
use crate::verdicts::{self, Replayed};
use crate::verify::{replay_decoder, replay_encoder};
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

/// Tests both halves of a model, [`encoder`] and [`decoder`], and the verdicts that they give
/// together.
///
/// # Errors
///
/// As there, and [`Error::SelfTestVerdicts`] where more verdicts flip than did at export.
pub fn model(
    model: &mut Model,
    bundle: &Bundle,
    options: &EngineOptions,
    stamps: &Stamps,
) -> Result<[Passed; 3], Error> {
    let encoder = encoder(&mut model.encoder, bundle, options, stamps)?;
    let decoder = decoder(&mut model.decoder, bundle, options, stamps)?;
    let backends = model.backends();
    let stamp = stamps.stamp("verdicts", bundle, options, backends)?;
    let verdicts = once(stamp, || {
        let replayed = verdicts::replay(model, bundle, &bundle.golden()?)?;
        match replayed.filter(|replayed| replayed.flips > replayed.accepted) {
            None => Ok(()),
            Some(Replayed { count, flips, accepted }) => Err(Error::SelfTestVerdicts {
                bundle: bundle.source().into(),
                engine: backends.to_string(),
                count,
                flips,
                accepted,
            }),
        }
    })?;
    Ok([encoder, decoder, verdicts])
}

/// Replays the golden vectors of a bundle's encoder, unless there is a stamp for it.
///
/// `options` are those with which it was loaded.
///
/// # Errors
///
/// [`Error::SelfTest`] for results that are further from the record than the bundle tolerates,
/// [`Error::Bundle`] for a record that is damaged, and those of running the encoder. None of them
/// leaves a stamp.
pub fn encoder(
    encoder: &mut Encoder,
    bundle: &Bundle,
    options: &EngineOptions,
    stamps: &Stamps,
) -> Result<Passed, Error> {
    let backend = *encoder.backend();
    let backends = Backends { encoder: Some(backend), decoder: None };
    let stamp = stamps.stamp("encoder", bundle, options, backends)?;
    once(stamp, || {
        let differences = replay_encoder(encoder, bundle, &bundle.golden()?)?;
        agreed(bundle, backend, differences)
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
    let backend = *decoder.backend();
    let backends = Backends { encoder: None, decoder: Some(backend) };
    let stamp = stamps.stamp("decoder", bundle, options, backends)?;
    once(stamp, || {
        let differences = replay_decoder(decoder, bundle, &bundle.golden()?)?;
        agreed(bundle, backend, differences)
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
fn agreed(bundle: &Bundle, backend: Backend, differences: Vec<(String, f64)>) -> Result<(), Error> {
    let tolerance = bundle.manifest.tolerance;
    let worst = differences.into_iter().max_by(|(_, a), (_, b)| a.total_cmp(b));
    match worst.filter(|(_, difference)| *difference > tolerance) {
        None => Ok(()),
        Some((output, difference)) => Err(Error::SelfTest {
            bundle: bundle.source().into(),
            output,
            engine: backend.to_string(),
            difference,
            tolerance,
        }),
    }
}
