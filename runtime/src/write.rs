//! Writing files so that a name never stands for half a file.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::Error;

/// Writes a file whole or not at all: to a temporary sibling, synchronised, then renamed.
///
/// # Errors
///
/// [`Error::Write`]; what stood under the name is then untouched.
pub fn atomically(path: &Path, content: &[u8]) -> Result<(), Error> {
    together(&[(path, content)])
}

/// Writes files that belong together: none gets its name before all are on the disk.
///
/// # Errors
///
/// [`Error::Write`] for the first that cannot be written.
pub fn together(files: &[(&Path, &[u8])]) -> Result<(), Error> {
    let mut written = Vec::with_capacity(files.len());
    for (path, content) in files {
        written.push((*path, sibling(path, content).map_err(Error::write(*path))?));
    }
    for (path, file) in written {
        file.persist(path).map_err(|e| Error::write(path)(e.error))?;
    }
    Ok(())
}

fn sibling(path: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.prefix(".vae-").tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}
