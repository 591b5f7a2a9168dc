//! What a machine remembers of self-tests that were passed on it.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::engine::{Backend, EngineOptions};
use crate::{Bundle, Error, write};

/// The folder with the stamps of self-tests that were passed, one small file each.
///
/// A stamp's name is the SHA-256 of all that a result depends on: the bundle's manifest, which holds
/// the hashes of its files, the engine with its provider and version, this program's version, and
/// the processor. Where any of them changes, there is no stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamps {
    folder: Option<PathBuf>,
}

impl Stamps {
    /// In the user's cache: `vae-infer/selftest` in `$XDG_CACHE_HOME`, or else in `~/.cache`
    /// (`%LOCALAPPDATA%` on Windows, `~/Library/Caches` on macOS). None where the user has none.
    pub fn of_user() -> Self {
        Self { folder: cache().map(|cache| cache.join("vae-infer").join("selftest")) }
    }

    /// In a folder, which is made when it is needed.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()) }
    }

    /// Nothing is remembered.
    pub fn none() -> Self {
        Self { folder: None }
    }

    /// The stamp of a graph of a bundle on an engine.
    pub(super) fn stamp(
        &self,
        graph: &str,
        bundle: &Bundle,
        options: &EngineOptions,
        backend: &Backend,
    ) -> Result<Option<Stamp>, Error> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let engine = options.version(backend.engine)?;
        let backend = backend.to_string();
        let program = env!("CARGO_PKG_VERSION");
        let texts = [graph, &backend, &engine, program, &processor()];
        let mut hash = Sha256::new();
        for part in texts.map(str::as_bytes).into_iter().chain([bundle.json()]) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let name: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        let content = format!("{graph} of {}, {backend}\n", bundle.manifest.name);
        Ok(Some(Stamp { path: folder.join(name), content }))
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
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if std::fs::create_dir_all(folder).is_ok() {
            let _ = write::atomically(&self.path, self.content.as_bytes());
        }
    }
}

/// The user's folder for what can be made again.
fn cache() -> Option<PathBuf> {
    let folder = |variable| {
        let folder = PathBuf::from(std::env::var_os(variable)?);
        folder.is_absolute().then_some(folder)
    };
    folder("XDG_CACHE_HOME").or_else(|| {
        if cfg!(windows) {
            folder("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            Some(folder("HOME")?.join("Library").join("Caches"))
        } else {
            Some(folder("HOME")?.join(".cache"))
        }
    })
}

/// The processor's model and the instructions that it has.
///
/// It is asked itself: on Linux, opening /proc/cpuinfo may take milliseconds.
#[cfg(target_arch = "x86_64")]
fn processor() -> String {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    let identity = __cpuid(1);
    let features = __cpuid_count(7, 0);
    // Of leaf 1, ebx has the number of the core that answers.
    let features = [identity.eax, identity.ecx, identity.edx, features.ebx, features.ecx];
    let brand = [0x8000_0002, 0x8000_0003, 0x8000_0004].map(|leaf| {
        let part = __cpuid(leaf);
        [part.eax, part.ebx, part.ecx, part.edx]
    });
    format!("{brand:x?} {features:x?}")
}

/// The processor's model and the instructions that it has, as far as the system says: on Linux, the
/// first core's description.
#[cfg(not(target_arch = "x86_64"))]
fn processor() -> String {
    use std::io::{BufRead, BufReader};
    let described = std::fs::File::open("/proc/cpuinfo").map(BufReader::new);
    let lines = described.into_iter().flat_map(|file| file.lines().map_while(Result::ok));
    let constant = |line: &String| !line.contains("MHz") && !line.contains("MIPS");
    let core: Vec<_> = lines.take_while(|line| !line.is_empty()).filter(constant).collect();
    format!("{} {} {}", std::env::consts::ARCH, std::env::consts::OS, core.join("\n"))
}
