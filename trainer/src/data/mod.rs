//! Data sets: where images come from, and the tensors that training takes.
//!
//! [`load`] tells a folder's format from its content: the IDX files of MNIST and its relatives,
//! `.npy` arrays, or image files with sub-folders as labels. Every image goes through
//! [`ImageSpec::tensor`], the function that inference uses.

use std::path::Path;

use serde::{Deserialize, Serialize};
use vae_infer::ImageSpec;

mod arrays;
mod assemble;
mod classes;
mod digest;
pub mod download;
mod error;
mod folder;
pub mod idx;
mod images;
mod known;
mod mnist;
pub mod patterns;
mod pictures;
mod transfer;

pub use assemble::spread;
use classes::Classes;
pub use error::Error;
pub use images::Images;
pub use known::Known;
pub use patterns::Patterns;
use pictures::Splits;

/// Where the images come from: the `[data]` table of a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// A folder, or the program itself.
    pub source: Source,
    /// Whether the rows and columns of IDX images are exchanged; absent: only for files named
    /// `emnist…`, which are stored so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transpose: Option<bool>,
    /// The classes that are taken of each split; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// The classes of which none is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<Vec<String>>,
    /// The most images that are taken of each split, spread evenly over it; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The largest split, in MiB of decoded images, that is held in memory; of a larger one at most four
    /// batches are, read from its files.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_mib: usize,
    /// What [`Source::Patterns`] makes; absent: its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patterns: Option<Patterns>,
}

/// What [`DataConfig::memory_mib`] is where nothing is said.
const MEMORY_MIB: usize = 8192;

fn is_default(memory_mib: &usize) -> bool {
    *memory_mib == MEMORY_MIB
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            source: Source::default(),
            transpose: None,
            classes: None,
            without: None,
            limit: None,
            memory_mib: MEMORY_MIB,
            patterns: None,
        }
    }
}

/// Whether so many bytes are at most so many MiB.
pub(crate) fn within(bytes: usize, mib: usize) -> bool {
    bytes.div_ceil(1 << 20) <= mib
}

/// The kinds of sources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A folder, whose format is told from its content.
    #[default]
    Folder,
    /// Images of 4x4 pixels that the program makes.
    Patterns,
}

/// Images of one split as a network takes them.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The images, `[N, C, H, W]`, in the network's range.
    pub images: Images,
    /// The class of each image as an index into `classes`; empty where the images have no labels.
    pub labels: Vec<usize>,
    /// The names of the classes, the same for every split; empty where there are no labels.
    pub classes: Vec<String>,
    /// SHA-256 of the pictures that were taken, as they were stored (sizes, depths, pixels), and of
    /// their labels, in order; it does not depend on the preprocessing.
    pub hash: String,
}

/// What a source holds.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The images to train on.
    pub train: Dataset,
    /// The images that the source itself sets apart for tests.
    pub test: Option<Dataset>,
    /// What the user should know of how the source was read, one sentence each.
    pub notes: Vec<String>,
}

/// Loads the images of a source, preprocessed for a network.
///
/// `folder` is where [`Source::Folder`] looks:
///
/// | format | training | test |
/// |---|---|---|
/// | IDX, plain or `.gz` | `train-images-idx3-ubyte`, `emnist-letters-train-…` | `t10k-…`, `…-test-…` |
/// | `.npy` | `data.npy` or `train.npy`, with `label.npy` or `train_label.npy` | `test.npy`, `test_label.npy` |
/// | images | `CLASS/*`, or `*` without labels, or either below `train/` | the same below `test/` |
///
/// # Errors
///
/// [`Error::NoFolder`] and [`Error::Layout`] where there is nothing to read, and one variant for
/// each way in which a file, an image or a setting can be wrong.
pub fn load(
    config: &DataConfig,
    folder: Option<&Path>,
    image: &ImageSpec,
) -> Result<Loaded, Error> {
    let config_error = |reason: &str| Error::Config { reason: reason.into() };
    image.check().map_err(|reason| Error::Config { reason })?;
    let &DataConfig { source, transpose, limit, ref patterns, .. } = config;
    if limit == Some(0) {
        return Err(config_error("`limit` is 0, it must be at least 1"));
    }
    let splits = match source {
        Source::Folder if patterns.is_some() => {
            return Err(config_error("`patterns` is only for the source `patterns`"));
        }
        Source::Patterns if transpose.is_some() => {
            return Err(config_error("`transpose` is only for the source `folder`"));
        }
        Source::Folder => open(folder.ok_or(Error::NoFolder)?, transpose)?,
        Source::Patterns => patterns.clone().unwrap_or_default().splits()?,
    };
    let Splits { train, test, classes, mut notes } = splits;
    let classes = Classes::choose(classes, config)?;
    let dataset = |split| assemble::dataset(split, &classes, image, config);
    let (train, test) = (dataset(train)?, test.map(dataset).transpose()?);
    let nothing = |dataset: &Dataset| classes.chosen && dataset.images.is_empty();
    if nothing(&train) {
        return Err(config_error("no training image is of a class that is taken"));
    }
    if test.as_ref().is_some_and(nothing) {
        notes.push("no test image is of a class that is taken".into());
    }
    Ok(Loaded { train, test, notes })
}

fn open(folder: &Path, transpose: Option<bool>) -> Result<Splits, Error> {
    let names = pictures::names(folder)?;
    let idx = mnist::open(folder, &names, transpose)?;
    if idx.is_none() && transpose.is_some() {
        let reason = format!("`transpose` is for IDX files, and `{}` holds none", folder.display());
        return Err(Error::Config { reason });
    }
    let (are, stored) = match idx {
        None => ("arrays are", arrays::open(folder, &names)?),
        idx => ("IDX files are", idx),
    };
    let Some(mut splits) = stored else {
        return folder::open(folder);
    };
    let mut others = names;
    others.retain(|name| !name.ends_with(".npy"));
    splits.notes.extend(pictures::passed_over(folder, are, &others));
    Ok(splits)
}
