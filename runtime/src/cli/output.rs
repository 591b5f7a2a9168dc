//! Where results go, checked before anything is computed.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::builder::{OsStringValueParser, TypedValueParser, ValueParser, ValueParserFactory};
use vae_infer::Error;
use vae_infer::write::parent;

/// A place for results, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `-` for `.npy`, `png:-` for PNG
    Stdout(Kind),
    File(PathBuf, Kind),
    Folder(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Npy,
    Png,
}

impl Target {
    /// Understands a path by its extension; one without is a folder.
    pub(super) fn of(path: &OsStr) -> Result<Self> {
        let path = Path::new(path);
        match path.to_str() {
            Some("-" | "npy:-") => return Ok(Self::Stdout(Kind::Npy)),
            Some("png:-") => return Ok(Self::Stdout(Kind::Png)),
            Some("") => bail!("the path of an output is empty"),
            _ => {}
        }
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let slash = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        match extension.as_deref() {
            _ if slash || path.is_dir() => Ok(Self::Folder(path.into())),
            None => Ok(Self::Folder(path.into())),
            Some("npy") => Ok(Self::File(path.into(), Kind::Npy)),
            Some("png") => Ok(Self::File(path.into(), Kind::Png)),
            Some(_) => bail!("cannot write `{}`: outputs end in .npy or .png", path.display()),
        }
    }

    /// As [`Target::of`], for results that are one file.
    pub(super) fn file(path: &OsStr) -> Result<Self> {
        match Self::of(path)? {
            Self::Folder(path) => {
                bail!("cannot write `{}`: outputs end in .npy or .png", path.display())
            }
            target => Ok(target),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Stdout(kind) | Self::File(_, kind) => *kind,
            Self::Folder(_) => Kind::Png,
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdout(_) => None,
            Self::File(path, _) | Self::Folder(path) => Some(path),
        }
    }
}

/// A place for an array alone.
#[derive(Clone, Debug)]
pub(super) struct NpyPath(pub(super) PathBuf);

impl NpyPath {
    fn of(path: OsString) -> Result<Self, &'static str> {
        match Path::new(&path).extension() {
            Some(extension) if extension.eq_ignore_ascii_case("npy") => Ok(Self(path.into())),
            _ => Err("arrays are written to files that end in .npy"),
        }
    }
}

impl ValueParserFactory for NpyPath {
    type Parser = ValueParser;

    fn value_parser() -> ValueParser {
        ValueParser::new(OsStringValueParser::new().try_map(Self::of))
    }
}

/// Refuses a file that is an input, that exists without `force`, or whose folder does not exist.
pub(super) fn check<'a>(
    path: &Path,
    force: bool,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<()> {
    match path.symlink_metadata() {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = parent(path);
            if !folder.is_dir() {
                let folder = folder.display();
                bail!("cannot write `{}`: there is no folder `{folder}`", path.display());
            }
            return Ok(());
        }
        Err(error) => return Err(Error::write(path)(error).into()),
    }
    let same = path.canonicalize().ok();
    if same.is_some() && inputs.into_iter().any(|input| input.canonicalize().ok() == same) {
        bail!("cannot write `{}`: it is an input (hint: another -o)", path.display());
    }
    if !path.is_file() {
        bail!("cannot write `{}`: it exists and is not a regular file", path.display());
    }
    if !force {
        return Err(exists(path));
    }
    Ok(())
}

fn exists(path: &Path) -> anyhow::Error {
    anyhow!("cannot write `{}`: it exists (hint: --force writes over it)", path.display())
}

/// What came of giving results their names, under which something may stand by now.
pub(super) fn named(published: Result<(), Error>) -> Result<()> {
    published.map_err(|error| match error {
        Error::Write { path, cause } if cause.kind() == ErrorKind::AlreadyExists => exists(&path),
        error => error.into(),
    })
}

/// A path by its folder's own name, where there is such a folder.
fn place(path: &Path) -> PathBuf {
    match (parent(path).canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Refuses two outputs under one name, however it is spelled.
pub(super) fn distinct(paths: &[&Path]) -> Result<()> {
    let places: Vec<_> = paths.iter().map(|path| place(path)).collect();
    for (i, path) in paths.iter().enumerate() {
        if places[..i].contains(&places[i]) {
            bail!("`{}` is named for two outputs", path.display());
        }
    }
    Ok(())
}
