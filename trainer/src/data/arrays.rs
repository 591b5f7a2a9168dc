//! Folders of `.npy` arrays: pictures, and labels beside them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vae_infer::images::{self, Picture};
use vae_infer::npy;

use super::Error;
use super::pictures::{Pictures, Split, Splits, roles};

/// The names of an array of training images, and of its labels.
const TRAIN: [(&str, &[&str]); 5] = [
    ("data.npy", &["label.npy", "labels.npy"]),
    ("images.npy", &["label.npy", "labels.npy"]),
    ("train.npy", &["train_label.npy", "train_labels.npy"]),
    ("train_data.npy", &["train_label.npy", "train_labels.npy"]),
    ("x_train.npy", &["y_train.npy"]),
];
/// The same for a test split.
const TEST: [(&str, &[&str]); 3] = [
    ("test.npy", &["test_label.npy", "test_labels.npy"]),
    ("test_data.npy", &["test_label.npy", "test_labels.npy"]),
    ("x_test.npy", &["y_test.npy"]),
];

/// A split whose labels still have the values of the file.
struct Part {
    pictures: Vec<Picture>,
    labels: Vec<i64>,
}

/// The splits of a folder that holds such files, or `None`.
///
/// The classes are the different values of the labels, in their order.
pub(super) fn open(folder: &Path, names: &[String]) -> Result<Option<Splits>, Error> {
    let train = find(folder, names, &TRAIN)?;
    let test = find(folder, names, &TEST)?;
    let Some((train, test, notes)) = roles(train, test, folder) else {
        return Ok(None);
    };
    let train = read(train)?;
    let test = test.map(read).transpose()?;

    let parts = || [Some(&train), test.as_ref()].into_iter().flatten();
    let values: BTreeSet<i64> = parts().flat_map(|part| part.labels.iter().copied()).collect();
    let values: Vec<i64> = values.into_iter().collect();
    let classes = values.iter().map(i64::to_string).collect();
    let split = |part: Part| Split {
        pictures: Pictures::Memory(part.pictures),
        labels: part.labels.iter().filter_map(|label| values.binary_search(label).ok()).collect(),
    };
    Ok(Some(Splits { train: split(train), test: test.map(split), classes, notes }))
}

/// The files of a split: the images, and the labels where there are any.
type Pair = (PathBuf, Option<PathBuf>);

fn find(folder: &Path, names: &[String], known: &[(&str, &[&str])]) -> Result<Option<Pair>, Error> {
    let present = |name: &str| names.iter().any(|n| n == name);
    let found: Vec<_> = known.iter().filter(|(images, _)| present(images)).collect();
    match found[..] {
        [] => Ok(None),
        [(images, labels)] => {
            let labels = labels.iter().find(|name| present(name));
            Ok(Some((folder.join(images), labels.map(|name| folder.join(name)))))
        }
        [(a, _), (b, _), ..] => {
            let reason = format!("`{a}` and `{b}` are two data sets, keep one in a folder");
            Err(Error::Layout { path: folder.into(), reason })
        }
    }
}

fn read((image_file, label_file): Pair) -> Result<Part, Error> {
    let pictures =
        npy::pictures(&image_file.display().to_string(), &images::read_file(&image_file)?)?;
    let Some(label_file) = label_file else {
        return Ok(Part { pictures, labels: Vec::new() });
    };
    let labels = npy::labels(&label_file.display().to_string(), &images::read_file(&label_file)?)?;
    if labels.len() != pictures.len() {
        let (images, labels) = (pictures.len(), labels.len());
        return Err(Error::Count { image_file, images, label_file, labels });
    }
    Ok(Part { pictures, labels })
}
