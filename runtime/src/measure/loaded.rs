use std::fmt;

use super::Batch;
use crate::engine::{Backends, EngineOptions, Step};
use crate::selftest::{self, Stamps};
use crate::{Bundle, Decoder, Encoder, Error, Model};

/// What of a model is run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Part {
    /// the encoder and then the decoder
    #[default]
    Reconstruct,
    /// the encoder alone
    Encode,
    /// the decoder alone
    Decode,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reconstruct => "reconstruct",
            Self::Encode => "encode",
            Self::Decode => "decode",
        })
    }
}

/// A part of a model that is ready to run.
pub struct Loaded {
    halves: Halves,
    threads: usize,
}

/// What every step of a call took, in order; of a half that is not part of the call, or whose engine
/// does not tell, `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The encoder's steps.
    pub encoder: Option<Vec<Step>>,
    /// The decoder's steps.
    pub decoder: Option<Vec<Step>>,
}

enum Halves {
    Both(Box<Model>),
    Encoder(Box<Encoder>),
    Decoder(Box<Decoder>),
}

impl Loaded {
    /// Prepares a part of a bundle's model.
    ///
    /// # Errors
    ///
    /// [`Error::Graph`] or [`Error::Engine`].
    pub fn load(bundle: &Bundle, options: &EngineOptions, part: Part) -> Result<Self, Error> {
        let halves = match part {
            Part::Reconstruct => Halves::Both(Box::new(Model::load(bundle, options)?)),
            Part::Encode => Halves::Encoder(Box::new(Encoder::load(bundle, options)?)),
            Part::Decode => Halves::Decoder(Box::new(Decoder::load(bundle, options)?)),
        };
        Ok(Self { halves, threads: options.thread_count() })
    }

    /// Runs it once.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`] and [`Decoder::decode`].
    pub fn run(&mut self, batch: &Batch) -> Result<(), Error> {
        let Batch { images, latents, skips } = batch;
        match &mut self.halves {
            Halves::Both(model) => model.reconstruct(images.view()).map(drop),
            Halves::Encoder(encoder) => encoder.encode(images.view()).map(drop),
            Halves::Decoder(decoder) => decoder.decode(latents.view(), skips).map(drop),
        }
    }

    /// Runs it once and says what every step took.
    ///
    /// # Errors
    ///
    /// As [`Loaded::run`].
    pub fn profile(&mut self, batch: &Batch) -> Result<Profile, Error> {
        let Batch { images, latents, skips } = batch;
        let (encoder, decoder) = match &mut self.halves {
            Halves::Both(model) => (Some(&mut model.encoder), Some(&mut model.decoder)),
            Halves::Encoder(encoder) => (Some(encoder.as_mut()), None),
            Halves::Decoder(decoder) => (None, Some(decoder.as_mut())),
        };
        Ok(Profile {
            encoder: encoder.map_or(Ok(None), |half| half.profile(images.view()))?,
            decoder: decoder.map_or(Ok(None), |half| half.profile(latents.view(), skips))?,
        })
    }

    /// Replays the golden vectors of the part, unless there is a stamp for it; `options` are those
    /// with which it was loaded.
    ///
    /// # Errors
    ///
    /// As [`selftest::model`].
    pub fn test(
        &mut self,
        bundle: &Bundle,
        options: &EngineOptions,
        stamps: &Stamps,
    ) -> Result<(), Error> {
        match &mut self.halves {
            Halves::Both(model) => selftest::model(model, bundle, options, stamps).map(drop),
            Halves::Encoder(half) => selftest::encoder(half, bundle, options, stamps).map(drop),
            Halves::Decoder(half) => selftest::decoder(half, bundle, options, stamps).map(drop),
        }
    }

    /// What really runs it.
    pub fn backends(&self) -> Backends {
        match &self.halves {
            Halves::Both(model) => model.backends(),
            Halves::Encoder(half) => Backends { encoder: Some(*half.backend()), decoder: None },
            Halves::Decoder(half) => Backends { encoder: None, decoder: Some(*half.backend()) },
        }
    }

    /// The threads that it may use.
    pub fn threads(&self) -> usize {
        self.threads
    }
}
