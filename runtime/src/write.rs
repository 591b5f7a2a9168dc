//! Writing files and folders so that a name never stands for half of one.

use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
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
    publish([StagedFile::with_mode(path, content, 0o777)?], true)
}

/// Writes files that belong together: none gets its name before all are on the disk.
///
/// # Errors
///
/// [`Error::Write`] for the first that cannot be written.
pub fn together(files: &[(&Path, &[u8])]) -> Result<(), Error> {
    let staged = files.iter().map(|(path, content)| StagedFile::with(path, content));
    publish(staged.collect::<Result<Vec<_>, _>>()?, true)
}

/// Gives files that belong together their names, when all are on the disk. With `replace`, what stands there makes room.
///
/// # Errors
///
/// [`Error::Write`] for the first that cannot be written, or under whose name something stands where `replace` is not
/// set; none has its name then.
pub fn publish(files: impl IntoIterator<Item = StagedFile>, replace: bool) -> Result<(), Error> {
    let parts = files.into_iter().map(|StagedFile { made, path, begun }| ((made, path), begun));
    let (files, _begun): (Vec<_>, Vec<_>) = parts.unzip();
    for (made, path) in &files {
        made.as_file().sync_all().map_err(Error::write(path))?;
    }
    // Whoever abandons them waits until all have their names.
    let _staged = staged();
    if !replace {
        files.iter().try_for_each(|(_, path)| vacant(path))?;
    }
    for (made, path) in files {
        made.persist(&path).map_err(|e| Error::write(path)(e.error))?;
    }
    Ok(())
}

/// Refuses a name under which something stands.
fn vacant(path: &Path) -> Result<(), Error> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::write(path)(error)),
        Ok(_) => Err(Error::write(path)(io::Error::new(ErrorKind::AlreadyExists, "it exists"))),
    }
}

/// Makes the folder that a file below `root` is to be in, with those between them, where it is missing. The root is not
/// made: whoever has removed it means that nothing is to be there.
///
/// # Errors
///
/// What the system says.
pub fn folder_below(root: &Path, file: &Path) -> io::Result<()> {
    let folder = parent(file);
    // To ask costs less than to make what is there: a file system locks its journal for the latter.
    if folder == root || folder.is_dir() {
        return Ok(());
    }
    folder_below(root, folder)?;
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// How often a folder is removed that others still fill.
const TRIES: usize = 100;

/// The temporary names of what this process has begun to fill.
static STAGED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn staged() -> MutexGuard<'static, Vec<PathBuf>> {
    STAGED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes every [`Staged`] folder and [`StagedFile`] that has not got its name: for a program that is
/// about to end without dropping them. Nothing can be begun or get its name after it.
pub fn abandon() {
    let staged = staged();
    for path in staged.iter() {
        let remove = || match path.is_dir() {
            true => std::fs::remove_dir_all(path),
            false => std::fs::remove_file(path),
        };
        // Those that have their names are not there any more. Whoever fills a folder may add a file while
        // it is emptied, and then it takes another try.
        let _ = (0..TRIES).find(|_| remove().is_ok() || !path.exists());
    }
    std::mem::forget(staged);
}

/// A temporary name while something is filled under it.
#[derive(Debug)]
struct Begun(PathBuf);

impl Begun {
    /// What `make` makes, and the name of it, which nothing that ends the process comes between.
    fn new<T>(
        make: impl FnOnce() -> io::Result<T>,
        name: impl FnOnce(&T) -> &Path,
    ) -> io::Result<(T, Self)> {
        let mut staged = staged();
        let made = make()?;
        let name = name(&made).to_owned();
        staged.push(name.clone());
        Ok((made, Self(name)))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        staged().retain(|name| *name != self.0);
    }
}

/// A file that is filled beside its final place and gets its name from [`publish`] when it is whole; dropped
/// before that, it leaves nothing.
#[derive(Debug)]
#[must_use = "a file that is not published is removed"]
pub struct StagedFile {
    made: NamedTempFile,
    path: PathBuf,
    begun: Begun,
}

impl StagedFile {
    /// Makes the file that is to become `path`, under a hidden name beside it.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn new(path: &Path) -> Result<Self, Error> {
        Self::with(path, &[])
    }

    /// As [`new`](Self::new), with its first content.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn with(path: &Path, content: &[u8]) -> Result<Self, Error> {
        Self::with_mode(path, content, 0o666)
    }

    /// What it is to become.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// On Unix it gets the mode's bits that the user's mask leaves.
    fn with_mode(path: &Path, content: &[u8], mode: u32) -> Result<Self, Error> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(mode));
        }
        #[cfg(not(unix))]
        let _ = mode;
        let make = || builder.prefix(".vae-").tempfile_in(parent(path));
        let (made, begun) = Begun::new(make, NamedTempFile::path).map_err(Error::write(path))?;
        let mut staged = Self { made, path: path.into(), begun };
        staged.write_all(content).map_err(Error::write(path))?;
        Ok(staged)
    }
}

impl Write for StagedFile {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        self.made.as_file_mut().write(content)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.made.as_file_mut().flush()
    }
}

impl Seek for StagedFile {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        self.made.as_file_mut().seek(place)
    }
}

/// A folder that is filled beside or inside its final place and gets its name when it is whole; dropped
/// before that, it leaves nothing.
#[derive(Debug)]
pub struct Staged {
    made: TempDir,
    folder: PathBuf,
    _begun: Begun,
}

impl Staged {
    /// Makes the folder that is to become `folder`, under a hidden name beside it.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn new(folder: &Path) -> Result<Self, Error> {
        Self::made_in(parent(folder), folder)
    }

    /// Makes a hidden folder inside `folder`, which is there and may be another disk than what is around it: its
    /// files get their names by [`Staged::publish_files`].
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn within(folder: &Path) -> Result<Self, Error> {
        Self::made_in(folder, folder)
    }

    fn made_in(place: &Path, folder: &Path) -> Result<Self, Error> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o777));
        }
        if !place.is_dir() {
            let missing = format!("there is no folder `{}`", place.display());
            return Err(Error::write(folder)(io::Error::other(missing)));
        }
        let make = || builder.prefix(".vae-").tempdir_in(place);
        let (made, begun) = Begun::new(make, TempDir::path).map_err(Error::write(folder))?;
        Ok(Self { made, folder: folder.into(), _begun: begun })
    }

    /// Where it is filled.
    pub fn path(&self) -> &Path {
        self.made.path()
    }

    /// Writes a file of it, as [`atomically`].
    ///
    /// # Errors
    ///
    /// [`Error::Write`], of the file under the folder's final name.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        atomically(&self.path().join(name), content).map_err(|error| match error {
            Error::Write { cause, .. } => Error::write(self.folder.join(name))(cause),
            other => other,
        })
    }

    /// Gives it its name. With `replace`, what stands there makes room and is then removed.
    ///
    /// # Errors
    ///
    /// [`Error::Write`], where something stands there and `replace` is not set too.
    pub fn publish(self, replace: bool) -> Result<(), Error> {
        let Self { made, folder, _begun } = self;
        // Whoever abandons it waits until one of the two stands under the name.
        let _staged = staged();
        if !replace {
            vacant(&folder)?;
        }
        let rename = || {
            if !folder.exists() {
                return std::fs::rename(made.path(), &folder);
            }
            let old = made.path().with_extension("old");
            std::fs::rename(&folder, &old)?;
            if let Err(error) = std::fs::rename(made.path(), &folder) {
                std::fs::rename(&old, &folder)?;
                return Err(error);
            }
            std::fs::remove_dir_all(&old).map_err(|error| {
                let old = old.display();
                io::Error::new(
                    error.kind(),
                    format!("it is there, and the one before remains as `{old}`: {error}"),
                )
            })
        };
        rename().map_err(Error::write(&folder))?;
        // It has its final name: there is nothing left to remove under the temporary one.
        let _ = made.keep();
        Ok(())
    }

    /// Gives files, by their names below it, the same names in the folder that it lies [within](Self::within). With
    /// `replace`, what stands there makes room.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] for the first that cannot get its name, or under whose name something stands where `replace` is
    /// not set; none has its name then.
    pub fn publish_files(self, files: &[PathBuf], replace: bool) -> Result<(), Error> {
        // Whoever abandons it waits until all have their names.
        let _staged = staged();
        if !replace {
            files.iter().try_for_each(|name| vacant(&self.folder.join(name)))?;
        }
        for name in files {
            let to = self.folder.join(name);
            let named = folder_below(&self.folder, &to);
            let named = named.and_then(|()| std::fs::rename(self.path().join(name), &to));
            named.map_err(Error::write(&to))?;
        }
        Ok(())
    }
}

/// The folder that a path's last name is in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_has_its_final_name() {
        let place = TempDir::new().expect("a folder");
        let folder = place.path().join("bundle");
        let staged = Staged::new(&folder).expect("a folder beside it");
        std::fs::remove_dir(staged.path()).expect("it is empty");
        let error = staged.write("manifest.json", b"{}").expect_err("its folder is gone");
        let named = folder.join("manifest.json");
        assert!(matches!(&error, Error::Write { path, .. } if *path == named), "{error}");
    }

    #[test]
    fn files_get_their_names_together_or_not_at_all() {
        for (within, replace) in [(false, false), (false, true), (true, false), (true, true)] {
            let place = TempDir::new().expect("a folder");
            let names = ["a", "b"].map(PathBuf::from);
            let [a, b] = names.each_ref().map(|name| place.path().join(name));
            let published = if within {
                let staged = Staged::within(place.path()).expect("a folder inside it");
                for name in &names {
                    staged.write(&name.to_string_lossy(), b"now").expect("a file of it");
                }
                std::fs::write(&b, "before").expect("a file");
                staged.publish_files(&names, replace)
            } else {
                let files = [&a, &b].map(|path| StagedFile::with(path, b"now").expect("a file"));
                std::fs::write(&b, "before").expect("a file");
                publish(files, replace)
            };
            assert_eq!(published.is_ok(), replace);
            assert_eq!(a.exists(), replace);
            let content = std::fs::read(&b).expect("it is there");
            assert_eq!(content, if replace { &b"now"[..] } else { b"before" });
        }
    }
}
