//! Writing files and folders so that a name never stands for half of one.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{NamedTempFile, TempDir};

use crate::Error;

/// Writes a file whole or not at all: to a temporary sibling, synchronised, then renamed.
///
/// # Errors
///
/// [`Error::Write`]; what stood under the name is then untouched.
pub fn atomically(path: &Path, content: &[u8]) -> Result<(), Error> {
    together(&[(path, content)])
}

/// As [`atomically`], for a program: whoever may read it may run it.
///
/// # Errors
///
/// As there.
pub fn program(path: &Path, content: &[u8]) -> Result<(), Error> {
    let file = sibling(path, content, 0o777).map_err(Error::write(path))?;
    file.persist(path).map_err(|e| Error::write(path)(e.error))?;
    Ok(())
}

/// Writes files that belong together: none gets its name before all are on the disk.
///
/// # Errors
///
/// [`Error::Write`] for the first that cannot be written.
pub fn together(files: &[(&Path, &[u8])]) -> Result<(), Error> {
    let mut written = Vec::with_capacity(files.len());
    for (path, content) in files {
        written.push((*path, sibling(path, content, 0o666).map_err(Error::write(*path))?));
    }
    for (path, file) in written {
        file.persist(path).map_err(|e| Error::write(path)(e.error))?;
    }
    Ok(())
}

/// How often a folder is removed that others still fill.
const TRIES: usize = 100;

/// The temporary names of all folders that this process has begun to fill.
static STAGED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn staged() -> MutexGuard<'static, Vec<PathBuf>> {
    STAGED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes every [`Staged`] folder that has not got its name: for a program that is about to end
/// without dropping them.
pub fn abandon() {
    for folder in staged().iter() {
        // Those that have their names are not there any more. Whoever fills one may add a file while
        // it is emptied, and then it takes another try.
        let _ = (0..TRIES).find(|_| std::fs::remove_dir_all(folder).is_ok() || !folder.exists());
    }
}

/// A folder that is filled beside its final place and gets its name when it is whole; dropped
/// before that, it leaves nothing.
#[derive(Debug)]
pub struct Staged {
    made: TempDir,
    folder: PathBuf,
}

impl Staged {
    /// Makes the folder that is to become `folder`, under a hidden name beside it.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn new(folder: &Path) -> Result<Self, Error> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o777));
        }
        if !parent(folder).is_dir() {
            let missing = format!("there is no folder `{}`", parent(folder).display());
            return Err(Error::write(folder)(io::Error::other(missing)));
        }
        let mut staged = staged();
        let made = builder.prefix(".vae-").tempdir_in(parent(folder));
        let made = made.map_err(Error::write(folder))?;
        staged.push(made.path().into());
        Ok(Self { made, folder: folder.into() })
    }

    /// Where it is filled.
    pub fn path(&self) -> &Path {
        self.made.path()
    }

    /// Gives it its name. With `replace`, what stands there makes room and is then removed.
    ///
    /// # Errors
    ///
    /// [`Error::Write`], where something stands there and `replace` is not set too.
    pub fn publish(self, replace: bool) -> Result<(), Error> {
        let Self { made, folder } = self;
        // Whoever abandons it waits until one of the two stands under the name.
        let _staged = staged();
        let rename = || {
            if !folder.exists() {
                return std::fs::rename(made.path(), &folder);
            }
            if !replace {
                return Err(ErrorKind::AlreadyExists.into());
            }
            let old = made.path().with_extension("old");
            std::fs::rename(&folder, &old)?;
            if let Err(error) = std::fs::rename(made.path(), &folder) {
                std::fs::rename(&old, &folder)?;
                return Err(error);
            }
            std::fs::remove_dir_all(old)
        };
        rename().map_err(Error::write(&folder))?;
        // It has its final name: there is nothing left to remove under the temporary one.
        let _ = made.keep();
        Ok(())
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A temporary file beside a path. On Unix it gets the mode's bits that the user's mask leaves.
fn sibling(path: &Path, content: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = builder.prefix(".vae-").tempfile_in(parent(path))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}
