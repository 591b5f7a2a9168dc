//! The pictures of a source before they become tensors.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use image::GrayImage;
use vae_infer::images::{self, Picture, Pixels};

use super::idx::Idx;
use super::{Error, within};

/// The splits of a source.
pub(super) struct Splits {
    pub(super) train: Split,
    pub(super) test: Option<Split>,
    pub(super) classes: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// One split: its pictures, and as many labels or none.
pub(super) struct Split {
    pub(super) pictures: Pictures,
    pub(super) labels: Vec<usize>,
}

/// Pictures, each of which is decoded when it is asked for.
pub(super) enum Pictures {
    /// Grey images `[N, rows, columns]` of one IDX file.
    Idx { path: PathBuf, idx: Idx, transpose: bool },
    /// Image files, one picture each.
    Files(Vec<PathBuf>),
    /// Pictures that are there already.
    Memory(Vec<Picture>),
}

impl Pictures {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Idx { idx, .. } => idx.shape()[0],
            Self::Files(files) => files.len(),
            Self::Memory(pictures) => pictures.len(),
        }
    }

    /// Whether they are in files that others can write.
    pub(super) fn may_change(&self) -> bool {
        matches!(self, Self::Files(_))
    }

    /// Checks that those which are in memory as they were stored take at most `memory_mib` MiB.
    pub(super) fn check_within(&self, memory_mib: usize) -> Result<(), Error> {
        let bytes = match self {
            Self::Idx { idx, .. } => idx.content().len(),
            Self::Files(_) => return Ok(()),
            Self::Memory(pictures) => pictures.iter().map(|picture| picture.pixels.bytes()).sum(),
        };
        if within(bytes, memory_mib) {
            return Ok(());
        }
        let reason = format!(
            "`memory_mib` is {memory_mib}, and the images take {} MiB as they are stored; only image \
             files are read one by one (hint: a larger data.memory_mib, or a folder of image files)",
            bytes.div_ceil(1 << 20)
        );
        Err(Error::Config { reason })
    }

    /// Picture `i`, which must be below [`Pictures::len`].
    pub(super) fn get(&self, i: usize) -> Result<Cow<'_, Picture>, Error> {
        match self {
            Self::Idx { path, idx, transpose } => {
                let (width, height, bytes) = grey(idx, i, *transpose);
                let name = format!("{}[{i}]", path.display());
                let image = GrayImage::from_raw(width, height, bytes).ok_or_else(|| {
                    Error::Idx { path: path.clone(), reason: "an image is cut short".into() }
                })?;
                Ok(Cow::Owned(Picture { name, pixels: Pixels::Integer(image.into()) }))
            }
            Self::Files(files) => {
                let mut pictures = images::read(&files[i])?;
                match pictures.pop() {
                    Some(picture) if pictures.is_empty() => Ok(Cow::Owned(picture)),
                    _ => Err(Error::Layout {
                        path: files[i].clone(),
                        reason:
                            "it holds several pictures; a folder with the file `data.npy` is one"
                                .into(),
                    }),
                }
            }
            Self::Memory(pictures) => Ok(Cow::Borrowed(&pictures[i])),
        }
    }
}

/// The width, height and pixels of image `i` of an array `[N, rows, columns]`.
fn grey(idx: &Idx, i: usize, transpose: bool) -> (u32, u32, Vec<u8>) {
    let (rows, columns) = (idx.shape()[1], idx.shape()[2]);
    let stored = &idx.elements()[i * rows * columns..][..rows * columns];
    if transpose {
        let pixels = (0..columns).flat_map(|x| (0..rows).map(move |y| stored[y * columns + x]));
        (rows as u32, columns as u32, pixels.collect())
    } else {
        (columns as u32, rows as u32, stored.to_vec())
    }
}

/// The training and test parts of a source. Where it has only a test part, that one is for
/// training, and a note says so.
pub(super) fn roles<T>(
    train: Option<T>,
    test: Option<T>,
    folder: &Path,
) -> Option<(T, Option<T>, Vec<String>)> {
    match (train, test) {
        (Some(train), test) => Some((train, test, Vec::new())),
        (None, Some(only)) => {
            let note = format!(
                "`{}` holds only a test split, which is used for training",
                folder.display()
            );
            Some((only, None, vec![note]))
        }
        (None, None) => None,
    }
}

/// The names in a folder, sorted, without hidden ones and those that are not UTF-8.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let read = || vae_infer::Error::read(folder);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read())? {
        let name = entry.map_err(read())?.file_name();
        names.extend(name.to_str().filter(|n| !n.starts_with('.')).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// A note on the folders and images of these names, where there are any: others of the folder `are` read.
pub(super) fn passed_over(folder: &Path, are: &str, others: &[String]) -> Option<String> {
    let (folders, mut files): (Vec<_>, Vec<_>) =
        others.iter().partition(|name| folder.join(name).is_dir());
    files.retain(|name| images::is_image(Path::new(name)));
    let mut others: Vec<_> = folders.iter().map(|name| format!("`{name}`")).collect();
    match &files[..] {
        [] => {}
        [only] => others.push(format!("`{only}`")),
        [first, ..] => others.push(format!("{} images such as `{first}`", files.len())),
    }
    let others = others.join(", ");
    let note = format!("of `{}` only {are} read, not {others}", folder.display());
    (!others.is_empty()).then_some(note)
}
