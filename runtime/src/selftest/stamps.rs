//! What a machine remembers of self-tests that were passed on it.

use std::path::PathBuf;

use crate::engine::{Backends, EngineOptions};
use crate::{Bundle, Error, cache};

/// The folder with the stamps of self-tests that were passed, one small file each.
///
/// A stamp's name is the SHA-256 of what a result depends on: the bundle's manifest, which holds
/// the hashes of its files, the engines with their providers and versions, the program, and the
/// processor. Where any of them changes, there is no stamp. A GPU and its driver are not among it. The program is the one that is running,
/// whichever uses this library: it is known by this library's version, and its file's length and time
/// of modification, so that one that was built anew tests anew. Of a library that is loaded while a
/// program runs, as by Python, the version alone is known. Where the system does not say them, nothing
/// is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamps {
    folder: Option<PathBuf>,
}

impl Stamps {
    /// In the user's cache: `vae-infer/selftest` in `$XDG_CACHE_HOME`, or else in `~/.cache`
    /// (`%LOCALAPPDATA%` on Windows, `~/Library/Caches` on macOS). None where the user has none.
    pub fn of_user() -> Self {
        Self { folder: cache::of_user("selftest") }
    }

    /// In a folder, which is made when it is needed.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()) }
    }

    /// Nothing is remembered.
    pub fn none() -> Self {
        Self { folder: None }
    }

    /// The stamp of a test of a bundle on what ran it.
    pub(super) fn stamp(
        &self,
        test: &str,
        bundle: &Bundle,
        options: &EngineOptions,
        backends: Backends,
    ) -> Result<Option<Stamp>, Error> {
        let (Some(folder), Some(program)) = (&self.folder, cache::program()) else {
            return Ok(None);
        };
        let versions = backends.iter().map(|backend| options.version(backend.engine));
        let versions = versions.collect::<Result<Vec<_>, _>>()?.join("\n");
        let name = cache::key(&[test, &backends.to_string(), &versions], &program, bundle);
        let content = format!("{test} of {}, {backends}\n", bundle.manifest.name);
        Ok(name.map(|name| Stamp { path: folder.join(name), content }))
    }
}

/// The memory of one self-test.
pub(super) struct Stamp {
    path: PathBuf,
    content: String,
}

impl Stamp {
    pub(super) fn is_there(&self) -> bool {
        self.path.is_file()
    }

    /// Writes the stamp. Where that fails the self-test is repeated at the next start, and nobody
    /// has lost anything.
    pub(super) fn leave(&self) {
        let _ = cache::keep(&self.path, self.content.as_bytes());
    }
}
