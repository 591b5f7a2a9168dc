//! The engines that were found to be the best for a bundle on this machine, and where that is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Bundle, Engine, EngineOptions, Error, Provider, cache};

/// The most threads that a choice may name.
const MAX_THREADS: usize = 1024;

/// What an engine is the best for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// the shortest time for one image
    Latency,
    /// the most images a second
    Throughput,
}

impl Goal {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Latency, Self::Throughput];

    /// What matters to a program that has so many images for a model at a time.
    pub fn of(images: usize) -> Self {
        if images > 1 { Self::Throughput } else { Self::Latency }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latency => "latency",
            Self::Throughput => "throughput",
        })
    }
}

/// An engine with its provider, its threads, and the images that it is given at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The engine, never [`Engine::Auto`].
    pub engine: Engine,
    /// The provider, never [`Provider::Auto`].
    pub provider: Provider,
    /// The number of threads, at least 1.
    pub threads: usize,
    /// The number of images in a call, at least 1. Results do not depend on it.
    pub batch: usize,
    /// ONNX Runtime's library, where it was named.
    pub ort_library: Option<PathBuf>,
    /// What the engine says about its version, as [`EngineOptions::version`] has it.
    pub version: String,
}

impl Choice {
    /// `base` with what was chosen.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] where the engine is not there, or another version than was measured.
    pub fn options(&self, base: EngineOptions) -> Result<EngineOptions, Error> {
        let Self { engine, provider, threads, .. } = *self;
        let ort_library = base.ort_library.or_else(|| self.ort_library.clone());
        let options = EngineOptions { engine, provider, threads, ort_library };
        let version = options.version(engine)?;
        if version != self.version {
            let reason = format!("it is {version}, and was {} when it was measured", self.version);
            return Err(Error::Engine { engine: engine.to_string(), reason });
        }
        Ok(options)
    }

    fn is_sound(&self) -> bool {
        let named = self.engine != Engine::Auto && self.provider != Provider::Auto;
        named && (1..=MAX_THREADS).contains(&self.threads) && self.batch > 0
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { engine, provider, threads, batch, .. } = self;
        write!(f, "{engine}/{provider}, --threads {threads}, batch {batch}")
    }
}

/// The folder with the choices, one small file for a bundle.
///
/// A file's name is the SHA-256 of the bundle's manifest, which holds the hashes of its files, the
/// program that chose, the processor, and the cores that the process may use. Where any of them
/// changes, there is no choice. A program is known by its version, and its file's length and time
/// of modification: one that was built anew chooses anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    folder: Option<PathBuf>,
    program: Option<PathBuf>,
}

impl Choices {
    /// In the user's cache: `tuning` beside the [stamps](crate::selftest::Stamps::of_user).
    pub fn of_user() -> Self {
        Self { folder: cache::of_user("tuning"), program: cache::program() }
    }

    /// In a folder, which is made when it is needed.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), program: cache::program() }
    }

    /// The choices of another program: those of `vae-infer tune`, for a program that uses the library.
    pub fn made_by(self, program: impl AsRef<Path>) -> Self {
        Self { program: Some(program.as_ref().to_owned()), ..self }
    }

    /// What was chosen for a bundle, by what it was chosen for. A file that holds no choices is none.
    pub fn get(&self, bundle: &Bundle) -> BTreeMap<Goal, Choice> {
        let kept = || {
            // Where nothing was ever chosen, a program does not wait for the name of a file.
            self.folder.as_ref().filter(|folder| folder.is_dir())?;
            let json = std::fs::read(self.path(bundle)?).ok()?;
            serde_json::from_slice::<BTreeMap<_, Choice>>(&json).ok()
        };
        let mut choices = kept().unwrap_or_default();
        choices.retain(|_, choice| choice.is_sound());
        choices
    }

    /// Keeps a choice for a bundle, beside one for another goal, and says whether there is a place
    /// for it.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn keep(&self, bundle: &Bundle, goal: Goal, choice: &Choice) -> Result<bool, Error> {
        let Some(path) = self.path(bundle) else { return Ok(false) };
        let mut choices = self.get(bundle);
        choices.insert(goal, choice.clone());
        let json = serde_json::to_vec(&choices).map_err(|e| Error::write(&path)(e.into()))?;
        cache::keep(&path, &json).map(|()| true)
    }

    /// Forgets the choices for a bundle, and says whether there were any.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn forget(&self, bundle: &Bundle) -> Result<bool, Error> {
        let Some(path) = self.path(bundle) else { return Ok(false) };
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::write(path)(error)),
        }
    }

    fn path(&self, bundle: &Bundle) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let name = cache::key(&["tuning", &cores.to_string()], self.program.as_deref()?, bundle)?;
        Some(folder.join(name))
    }
}
