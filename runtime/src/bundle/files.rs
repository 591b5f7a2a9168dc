//! Where a bundle's files come from: a folder, or an archive.

use std::path::{Path, PathBuf};

use super::archive::Archive;
use crate::{Error, images};

pub(super) enum Files {
    Folder(PathBuf),
    Archive(Archive),
}

impl Files {
    /// What a path stands for, told from its content.
    pub(super) fn at(path: &Path) -> Result<Self, Error> {
        // Looked at before it is opened: opening a pipe waits for a writer that may never come.
        let metadata = std::fs::metadata(path).map_err(Error::read(path))?;
        if metadata.is_dir() {
            return Ok(Self::Folder(path.into()));
        }
        let archive = if metadata.is_file() { Archive::open(path)? } else { None };
        archive.map(Self::Archive).ok_or_else(|| {
            let reason = "it is neither a folder nor a whole archive of a bundle".into();
            Error::Bundle { path: path.into(), reason }
        })
    }

    pub(super) fn hold(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(name).exists(),
            Self::Archive(archive) => archive.names().any(|member| member == name.as_bytes()),
        }
    }

    /// Refuses an archive with other files; a folder may hold what it likes beside its bundle.
    pub(super) fn hold_only(&self, names: &[&str]) -> Result<(), String> {
        let Self::Archive(archive) = self else { return Ok(()) };
        let stranger = |member: &&[u8]| names.iter().all(|name| name.as_bytes() != *member);
        match archive.names().find(stranger) {
            None => Ok(()),
            Some(member) => {
                let member = String::from_utf8_lossy(member);
                Err(format!(
                    "it holds `{}`, which its manifest does not name",
                    member.escape_debug()
                ))
            }
        }
    }

    /// The whole content of a file, of at most `limit` bytes.
    pub(super) fn read(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, Error> {
        match self {
            Self::Folder(folder) => images::read_at_most(&folder.join(name), limit),
            Self::Archive(archive) => archive.read(name, limit),
        }
    }
}
