//! Folders of IDX files: MNIST, Fashion-MNIST, KMNIST and EMNIST under their usual names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Error;
use super::idx::Idx;
use super::pictures::{Pictures, Split, Splits, roles};

/// The files of one split.
#[derive(Default)]
struct Pair {
    images: Option<PathBuf>,
    labels: Option<PathBuf>,
}

/// A split whose labels still have the values of the file.
struct Part {
    images: PathBuf,
    idx: Idx,
    labels: Option<(PathBuf, Idx)>,
}

/// The splits of a folder that holds such files, or `None`.
pub(super) fn open(
    folder: &Path,
    names: &[String],
    transpose: Option<bool>,
) -> Result<Option<Splits>, Error> {
    let mut pairs = BTreeMap::<&str, Pair>::new();
    for name in names {
        // Names are sorted, so a plain file comes before its `.gz` and is the one that is taken.
        if let Some((prefix, is_images)) = parse(name) {
            let pair = pairs.entry(prefix).or_default();
            let slot = if is_images { &mut pair.images } else { &mut pair.labels };
            slot.get_or_insert_with(|| folder.join(name));
        }
    }
    pairs.retain(|_, pair| pair.images.is_some());
    let letters = pairs.keys().any(|prefix| prefix.starts_with("emnist-letters"));
    let emnist = pairs.keys().any(|prefix| prefix.starts_with("emnist"));
    let (test, train): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|(prefix, _)| is_test(prefix));
    let Some((train, test, notes)) = roles(one(folder, train)?, one(folder, test)?, folder) else {
        return Ok(None);
    };

    let train = read(train)?;
    let test = test.map(read).transpose()?;
    let values =
        || [Some(&train), test.as_ref()].into_iter().flatten().filter_map(|p| p.labels.as_ref());
    let classes: Vec<String> = if values().next().is_none() {
        Vec::new()
    } else if letters {
        ('A'..='Z').map(String::from).collect()
    } else {
        let largest = values().flat_map(|(_, idx)| idx.elements()).max().copied().unwrap_or(0);
        (0..=largest).map(|value| value.to_string()).collect()
    };
    let split = |part: Part| {
        let labels = match &part.labels {
            Some((path, idx)) => indices(path, idx.elements(), letters)?,
            None => Vec::new(),
        };
        let transpose = transpose.unwrap_or(emnist);
        Ok::<_, Error>(Split {
            pictures: Pictures::Idx { path: part.images, idx: part.idx, transpose },
            labels,
        })
    };
    Ok(Some(Splits { train: split(train)?, test: test.map(split).transpose()?, classes, notes }))
}

/// What comes before `images-idx3-ubyte` or `labels-idx1-ubyte`, and whether it is the former.
fn parse(name: &str) -> Option<(&str, bool)> {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let name = name.strip_suffix("-ubyte")?;
    let images = name.strip_suffix("images-idx3").or_else(|| name.strip_suffix("images.idx3"));
    let labels = name.strip_suffix("labels-idx1").or_else(|| name.strip_suffix("labels.idx1"));
    let prefix = images.or(labels)?.trim_end_matches(['-', '_', '.']);
    Some((prefix, images.is_some()))
}

fn is_test(prefix: &str) -> bool {
    prefix.ends_with("t10k") || prefix.ends_with("test")
}

/// The only set of files for a split.
fn one(folder: &Path, pairs: Vec<(&str, Pair)>) -> Result<Option<Pair>, Error> {
    if let [(a, _), (b, _), ..] = &pairs[..] {
        let reason = format!("`{a}…` and `{b}…` are two data sets, keep one in a folder");
        return Err(Error::Layout { path: folder.into(), reason });
    }
    Ok(pairs.into_iter().next().map(|(_, pair)| pair))
}

fn read(pair: Pair) -> Result<Part, Error> {
    let images = pair.images.unwrap_or_default();
    let axes = |path: &Path, idx: &Idx, axes: usize, what: &str| match idx.shape() {
        shape if shape.len() == axes => Ok(()),
        shape => Err(Error::Idx {
            path: path.into(),
            reason: format!("its shape is {shape:?}, expected {what}"),
        }),
    };
    let idx = Idx::read(&images)?;
    axes(&images, &idx, 3, "[images, rows, columns]")?;
    let labels = match pair.labels {
        None => None,
        Some(path) => {
            let labels = Idx::read(&path)?;
            axes(&path, &labels, 1, "[labels]")?;
            let (images_count, labels_count) = (idx.shape()[0], labels.shape()[0]);
            if images_count != labels_count {
                return Err(Error::Count {
                    image_file: images,
                    images: images_count,
                    label_file: path,
                    labels: labels_count,
                });
            }
            Some((path, labels))
        }
    };
    Ok(Part { images, idx, labels })
}

/// The class of each label: EMNIST counts its letters from 1, all others count from 0.
fn indices(path: &Path, values: &[u8], letters: bool) -> Result<Vec<usize>, Error> {
    let class = |(index, &value): (usize, &u8)| match (letters, value) {
        (false, value) => Ok(value.into()),
        (true, 1..=26) => Ok(usize::from(value) - 1),
        (true, value) => {
            Err(Error::Label { path: path.into(), index, value, expected: "1 (A) to 26 (Z)" })
        }
    };
    values.iter().enumerate().map(class).collect()
}
