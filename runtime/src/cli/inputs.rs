//! The images that a command was given.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use anyhow::Result;
use vae_infer::images::{self, Picture};

use super::signals::Signals;
use super::source::{Batch, Source, full};

/// The files that a command reads images from.
pub(super) struct Inputs {
    files: Vec<File>,
}

struct File {
    path: PathBuf,
    /// Where the file lies below the folder that was named, without its extension.
    stem: PathBuf,
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
                let below = match file.strip_prefix(path) {
                    Ok(below) if below != Path::new("") => below,
                    _ => Path::new(file.file_name().unwrap_or(file.as_os_str())),
                };
                let stem =
                    if file == Path::new("-") { "stdin".into() } else { below.with_extension("") };
                files.push(File { path: file, stem });
            }
        }
        Ok(Self { files })
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// The images in order; a file is read when its turn comes. After one that cannot be read, the
    /// next one follows.
    pub(super) fn items(&self) -> Items<'_> {
        Items { files: self.files.iter(), waiting: VecDeque::new() }
    }

    /// The images in order, in batches.
    pub(super) fn batches(&self) -> impl Iterator<Item = Result<Vec<Item>>> {
        let mut items = self.items();
        std::iter::from_fn(move || {
            let batch: Result<Vec<_>> = full(&mut items).into_iter().collect();
            batch.map(|batch| if batch.is_empty() { None } else { Some(batch) }).transpose()
        })
    }
}

pub(super) struct Items<'a> {
    files: std::slice::Iter<'a, File>,
    waiting: VecDeque<Item>,
}

impl Iterator for Items<'_> {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.waiting.pop_front() {
                return Some(Ok(item));
            }
            let file = self.files.next()?;
            match read(&file.path, &file.stem) {
                Ok(items) => self.waiting.extend(items),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Source for Items<'_> {
    fn batch(&mut self, signals: &Signals) -> Result<Option<Batch>> {
        if signals.received().is_some() {
            return Ok(None);
        }
        let batch = full(self);
        Ok(if batch.is_empty() { None } else { Some(batch) })
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
