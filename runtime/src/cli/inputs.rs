//! The images that a command was given.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Result, bail};
use vae_infer::images::{self, Picture};
use vae_infer::tuning::Goal;
use vae_infer::{ImageSpec, npy};

use super::options::Options;
use super::pipeline::Pipeline;

/// The files that a command reads images from.
#[derive(Clone)]
pub(super) struct Inputs {
    files: Arc<[File]>,
    pub(super) count: Count,
    /// The files without links in their paths, once that was asked for.
    canonical: Arc<OnceLock<HashSet<PathBuf>>>,
}

/// How many images there are, as far as it is known before they are read.
#[derive(Clone, Copy)]
pub(super) struct Count {
    /// No fewer: those that the headers of arrays declare, and one of every other file.
    pub(super) least: usize,
    /// Whether there are no more, as all files are arrays.
    exact: bool,
}

/// A file with images, or standard input.
pub(super) struct File {
    path: PathBuf,
    /// The parts of the path that lead to the folder that was named, or to the file.
    above: usize,
}

/// An image and the name that its result gets, relative and without extension.
pub(super) struct Item {
    pub(super) picture: Picture,
    pub(super) stem: PathBuf,
}

impl Inputs {
    /// Finds the files that images, folders and `-` stand for.
    pub(super) fn find(paths: &[PathBuf]) -> Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            for file in images::expand(std::slice::from_ref(path))? {
                let above = match file.strip_prefix(path) {
                    Ok(below) if below != Path::new("") => path.components().count(),
                    _ => file.components().count().saturating_sub(1),
                };
                files.push(File { path: file, above });
            }
        }
        read_once(files.iter().map(File::path))?;
        let count = Count::of(&files);
        Ok(Self { files: files.into(), count, canonical: Arc::default() })
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(File::path)
    }

    /// What matters for these images: the time of one, where a picture is the only file, or of many.
    pub(super) fn goal(&self) -> Goal {
        match self.files.first() {
            Some(file) if file.is_array() => Goal::Throughput,
            _ => Goal::of(self.files.len()),
        }
    }

    /// Whether a path leads to one of the files.
    pub(super) fn hold(&self, path: &Path) -> bool {
        let all = || self.paths().filter_map(|path| path.canonicalize().ok()).collect();
        path.canonicalize().is_ok_and(|path| self.canonical.get_or_init(all).contains(&path))
    }

    /// Begins to read the images, as by [`Pipeline::new`], with as many threads as compute.
    pub(super) fn pipeline(&self, spec: Option<&ImageSpec>, options: &Options) -> Result<Pipeline> {
        self.read_by(options.engine().thread_count(), spec)
    }

    /// Begins to read the images, as by [`Pipeline::new`].
    pub(super) fn read_by(&self, threads: usize, spec: Option<&ImageSpec>) -> Result<Pipeline> {
        Pipeline::new(Arc::clone(&self.files), self.count.least, spec, threads)
    }
}

impl Count {
    fn of(files: &[File]) -> Self {
        let counts = files.iter().map(|file| match file.is_array() {
            true => npy::count_pictures(file.path()),
            false => None,
        });
        counts.fold(Self { least: 0, exact: true }, |Self { least, exact }, count| Self {
            least: least.saturating_add(count.unwrap_or(1)),
            exact: exact && count.is_some(),
        })
    }

    /// How many there are, where that is known.
    pub(super) fn known(self) -> Option<usize> {
        self.exact.then_some(self.least)
    }
}

/// Refuses standard input among what is read where it is named twice.
pub(super) fn read_once<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    if paths.into_iter().filter(|path| *path == Path::new("-")).nth(1).is_some() {
        bail!("standard input is named twice, and can be read once");
    }
    Ok(())
}

impl File {
    fn is_array(&self) -> bool {
        self.path.extension().is_some_and(|end| end.eq_ignore_ascii_case("npy"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its images.
    pub(super) fn read(&self) -> Result<Vec<Item>> {
        if self.path == Path::new("-") {
            return read(&self.path, Path::new("stdin"));
        }
        let below: PathBuf = self.path.components().skip(self.above).collect();
        read(&self.path, &below.with_extension(""))
    }
}

impl Item {
    /// The memory that its pixels take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.picture.pixels.bytes()
    }

    /// The image at the network's size and with its channels, where it is known what tensor it gets.
    pub(super) fn prepared(self, spec: Option<&ImageSpec>) -> Result<Self> {
        let Self { picture, stem } = self;
        let picture = match spec {
            Some(spec) => spec.prepared(picture)?,
            None => picture,
        };
        Ok(Self { picture, stem })
    }
}

/// The images of a file, whose results get the name `stem`.
pub(super) fn read(path: &Path, stem: &Path) -> Result<Vec<Item>> {
    let pictures = images::read(path)?;
    let alone = pictures.len() == 1;
    let items = pictures.into_iter().enumerate().map(|(i, picture)| {
        let stem = if alone { stem.to_owned() } else { stem.join(format!("{i:06}")) };
        Item { picture, stem }
    });
    Ok(items.collect())
}
