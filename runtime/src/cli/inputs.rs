//! The images that a command was given.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use anyhow::Result;
use vae_infer::images::{self, Picture};

use super::options::BATCH;

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

    /// The images in order, in batches; a file is read when its turn comes.
    pub(super) fn batches(&self) -> Batches<'_> {
        Batches { files: self.files.iter(), waiting: VecDeque::new() }
    }
}

pub(super) struct Batches<'a> {
    files: std::slice::Iter<'a, File>,
    waiting: VecDeque<Item>,
}

impl Batches<'_> {
    fn read(&mut self, file: &File) -> Result<()> {
        let pictures = images::read(&file.path)?;
        let alone = pictures.len() == 1;
        self.waiting.extend(pictures.into_iter().enumerate().map(|(i, picture)| {
            let stem = if alone { file.stem.clone() } else { file.stem.join(format!("{i:06}")) };
            Item { picture, stem }
        }));
        Ok(())
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Vec<Item>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.waiting.len() < BATCH {
            let Some(file) = self.files.next() else { break };
            if let Err(error) = self.read(file) {
                self.waiting.clear();
                return Some(Err(error));
            }
        }
        let batch: Vec<_> = self.waiting.drain(..self.waiting.len().min(BATCH)).collect();
        if batch.is_empty() { None } else { Some(Ok(batch)) }
    }
}
