//! How long one image takes in a reduced precision, beside `f32`.

use std::time::{Duration, Instant};

use ndarray::{ArrayD, ArrayView4};
use vae_infer::engine::Session;
use vae_infer::manifest::GraphSpec;
use vae_infer::{EngineOptions, Error};

/// The alternating rounds, the fastest of which counts: other programs only ever slow one down.
const ROUNDS: usize = 15;
/// How long a round takes at least.
const ROUND: Duration = Duration::from_millis(8);

/// The time of encoding and decoding one image on one thread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// In `f32`.
    pub full: Duration,
    /// In the precision of the bundle.
    pub reduced: Duration,
}

/// A graph's file and signature.
pub(crate) type Half<'a> = (&'a [u8], &'a GraphSpec);

/// Measures both in turns.
///
/// # Shapes
///
/// image: `[1, C, H, W]`
///
/// # Errors
///
/// Those of loading and running the engine.
pub(crate) fn measure(
    full: [Half<'_>; 2],
    reduced: [Half<'_>; 2],
    image: ArrayView4<f32>,
    options: &EngineOptions,
) -> Result<Timing, Error> {
    let options = EngineOptions { threads: 1, ..options.clone() };
    let mut pairs = [Pair::load(full, &options)?, Pair::load(reduced, &options)?];
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (pair, best) in pairs.iter_mut().zip(&mut best) {
            let (start, mut runs) = (Instant::now(), 0);
            while runs == 0 || start.elapsed() < ROUND {
                pair.run(image)?;
                runs += 1;
            }
            *best = (*best).min(start.elapsed() / runs);
        }
    }
    let [full, reduced] = best;
    Ok(Timing { full, reduced })
}

struct Pair {
    encoder: Box<dyn Session>,
    decoder: Box<dyn Session>,
    /// The place of the first skip among the encoder's outputs.
    skips: usize,
}

impl Pair {
    fn load([encoder, decoder]: [Half<'_>; 2], options: &EngineOptions) -> Result<Self, Error> {
        Ok(Self {
            encoder: options.load("encoder", encoder.0.to_vec(), encoder.1)?,
            decoder: options.load("decoder", decoder.0.to_vec(), decoder.1)?,
            skips: encoder.1.outputs.len() - (decoder.1.inputs.len() - 1),
        })
    }

    fn run(&mut self, image: ArrayView4<f32>) -> Result<Vec<ArrayD<f32>>, Error> {
        let encoded = self.encoder.run(&[image.into_dyn()])?;
        let mut inputs = vec![encoded[0].view()];
        inputs.extend(encoded[self.skips..].iter().map(|skip| skip.view()));
        self.decoder.run(&inputs)
    }
}
