//! The user's folder for what can be made again.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::{Bundle, Error, write};

/// A folder of this program in the user's cache, which is `$XDG_CACHE_HOME`, or else `~/.cache`
/// (`%LOCALAPPDATA%` on Windows, `~/Library/Caches` on macOS). None where the user has none.
pub(crate) fn of_user(name: &str) -> Option<PathBuf> {
    Some(folder()?.join("vae-infer").join(name))
}

/// The program that is running, whichever uses this library. None where the system does not say.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// A name for what depends on some parts, a program, a bundle and the processor: the SHA-256 of them
/// all. A bundle's manifest holds the hashes of its files. None for a program that cannot be told from
/// one that was built before it.
pub(crate) fn key(parts: &[&str], program: &Path, bundle: &Bundle) -> Option<String> {
    let (program, processor) = (build(program)?, processor());
    let texts = parts.iter().copied().chain([&*program, &processor]).map(str::as_bytes);
    let mut hash = Sha256::new();
    for part in texts.chain([bundle.json()]) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Some(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// Which build of a program a file is: this library's version, its length, and when it was written. It is
/// not read: it may have a hundred times the bytes of what is kept.
fn build(program: &Path) -> Option<String> {
    let file = program.metadata().ok()?;
    let written = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{} {} {}", env!("CARGO_PKG_VERSION"), file.len(), written.as_nanos()))
}

/// Writes a file into a folder that is made where it is missing.
pub(crate) fn keep(path: &Path, content: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
    write::atomically(path, content)
}

fn folder() -> Option<PathBuf> {
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
