//! Downloading a well-known data set: every mirror, every file, checked before it gets its name.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use vae_infer::{images, sha256, write};
use zip::ZipArchive;

use super::idx::Idx;
use super::{Error, transfer};

/// A data set on the network.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The files that make it up.
    pub files: Vec<RemoteFile>,
    /// The addresses below which they lie, in the order in which they are tried.
    pub mirrors: Vec<String>,
    /// The zip archive that holds the files, where the mirrors have them in no other way.
    pub archive: Option<String>,
}

/// An IDX file on the network.
#[derive(Debug, Clone)]
pub struct RemoteFile {
    /// Its name there and here.
    pub name: String,
    /// The length of each of its axes.
    pub shape: Vec<usize>,
    /// SHA-256 of its decompressed content, where that is known.
    pub sha256: Option<String>,
}

/// A file that is in its place and was checked.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Where it is.
    pub path: PathBuf,
    /// The length of each of its axes.
    pub shape: Vec<usize>,
    /// SHA-256 of its decompressed content.
    pub sha256: String,
    /// Whether that hash was known beforehand, and not the structure alone.
    pub known: bool,
    /// Whether it was there already.
    pub kept: bool,
}

impl fmt::Display for Fetched {
    /// One line for the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, shape, sha256, .. } = self;
        let did = if self.kept { "kept" } else { "downloaded" };
        let shape: Vec<_> = shape.iter().map(usize::to_string).collect();
        let checked =
            if self.known { "as known" } else { "structure checked, content hash not known" };
        write!(
            f,
            "{did} `{}`: {}, SHA-256 of the content {sha256} ({checked})",
            path.display(),
            shape.join("x")
        )
    }
}

/// Brings every file of a data set into a folder, which is made where it is missing.
///
/// A file that is there is checked and kept. What arrives is collected under `NAME.part`, from
/// which a later call goes on, and gets its own name only when its content has been checked.
///
/// # Errors
///
/// [`Error::Present`] where another file has a name that is needed, [`Error::Download`] with the
/// reason for every address where none gave the file, [`Error::Infer`] where the folder cannot be
/// written.
pub fn fetch(remote: &Remote, folder: &Path) -> Result<Vec<Fetched>, Error> {
    std::fs::create_dir_all(folder).map_err(vae_infer::Error::write(folder))?;
    let mut fetched = Vec::new();
    let mut missing = Vec::new();
    for file in &remote.files {
        let path = folder.join(&file.name);
        if path.exists() {
            let bytes = images::read_file(&path)?;
            let kept = file.check(path.clone(), bytes, true);
            fetched.push(kept.map_err(|reason| Error::Present { path, reason })?);
        } else {
            missing.push(file);
        }
    }
    match &remote.archive {
        Some(archive) if !missing.is_empty() => {
            fetched.extend(obtain(remote, archive, &missing, folder, unpack)?);
        }
        _ => {
            for i in 0..missing.len() {
                fetched.extend(obtain(remote, &missing[i].name, &missing[i..], folder, settle)?);
            }
        }
    }
    Ok(fetched)
}

/// Turns what was downloaded into files under their own names, or says why it is not what is wanted.
type Accept = fn(&Path, &[&RemoteFile], &Path) -> Result<Vec<Fetched>, String>;

/// Tries every mirror for a download that yields the missing files, or the first of them.
fn obtain(
    remote: &Remote,
    name: &str,
    missing: &[&RemoteFile],
    folder: &Path,
    accept: Accept,
) -> Result<Vec<Fetched>, Error> {
    let part = folder.join(format!("{name}.part"));
    let mut tried = Vec::new();
    for mirror in &remote.mirrors {
        let url = format!("{}/{name}", mirror.trim_end_matches('/'));
        // What was left of an earlier download may be another mirror's, so it gets a second chance.
        let resumed = part.exists();
        for _ in 0..=usize::from(resumed) {
            let reason = match transfer::fetch(&url, &part) {
                Err(reason) => reason,
                Ok(()) => match accept(&part, missing, folder) {
                    Ok(fetched) => return Ok(fetched),
                    Err(reason) => {
                        std::fs::remove_file(&part).map_err(vae_infer::Error::write(&part))?;
                        reason
                    }
                },
            };
            tried.push((url.clone(), reason));
            if part.exists() {
                break;
            }
        }
    }
    let wanted = missing.iter().map(|file| format!("`{}`", file.name)).collect();
    Err(Error::Download { file: name.into(), tried, wanted, folder: folder.into() })
}

/// A download that is the first missing file itself.
fn settle(part: &Path, missing: &[&RemoteFile], folder: &Path) -> Result<Vec<Fetched>, String> {
    let Some(file) = missing.first() else {
        return Ok(Vec::new());
    };
    let path = folder.join(&file.name);
    let bytes = images::read_file(part).map_err(|e| e.to_string())?;
    let fetched = file.check(path.clone(), bytes, false)?;
    std::fs::rename(part, &path).map_err(|e| vae_infer::Error::write(path)(e).to_string())?;
    Ok(vec![fetched])
}

/// A download that is an archive, which goes when the missing files are out of it.
fn unpack(part: &Path, missing: &[&RemoteFile], folder: &Path) -> Result<Vec<Fetched>, String> {
    let archive = std::fs::File::open(part).map_err(|e| e.to_string())?;
    let mut archive =
        ZipArchive::new(archive).map_err(|e| format!("it is not a whole zip archive: {e}"))?;
    let mut fetched = Vec::new();
    for file in missing {
        let absent = || format!("the archive holds no `{}`", file.name);
        let is_it = |entry: &str| entry.rsplit('/').next() == Some(file.name.as_str());
        let entry = archive.file_names().flatten().find(|entry| is_it(entry));
        let entry = entry.ok_or_else(absent)?.into_owned();
        let damaged = |e: &dyn fmt::Display| format!("`{entry}` in the archive is damaged: {e}");
        let reader = archive.by_name(&entry).map_err(|e| damaged(&e))?;
        let mut bytes = Vec::new();
        reader.take(images::MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(|e| damaged(&e))?;
        let path = folder.join(&file.name);
        let checked = file.check(path.clone(), bytes.clone(), false)?;
        write::atomically(&path, &bytes).map_err(|e| e.to_string())?;
        fetched.push(checked);
    }
    std::fs::remove_file(part).map_err(|e| e.to_string())?;
    Ok(fetched)
}

impl RemoteFile {
    /// Holds a file's content, compressed or not, against what is known of it.
    fn check(&self, path: PathBuf, bytes: Vec<u8>, kept: bool) -> Result<Fetched, String> {
        let idx = Idx::parse(bytes)?;
        if idx.shape() != self.shape {
            return Err(format!("its shape is {:?}, expected {:?}", idx.shape(), self.shape));
        }
        let got = sha256(idx.content());
        match &self.sha256 {
            Some(expected) if *expected != got => {
                Err(format!("SHA-256 of its content is {got}, expected {expected}"))
            }
            known => Ok(Fetched {
                path,
                shape: self.shape.clone(),
                sha256: got,
                known: known.is_some(),
                kept,
            }),
        }
    }
}
