//! Folders of image files, sub-folders as labels.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vae_infer::images;

use super::Error;
use super::pictures::{Pictures, Split, Splits, names, passed_over, roles};

/// The image files of a folder, each with the name of its class or none.
type Tree = Vec<(PathBuf, Option<String>)>;

/// The splits of a folder of images: those below `train/` and `test/`, where there is one of them, or else its own.
///
/// The classes are the names of the sub-folders, sorted, those of all splits together.
pub(super) fn open(folder: &Path) -> Result<Splits, Error> {
    let part = |name| {
        let part = folder.join(name);
        part.is_dir().then(|| tree(&part)).transpose()
    };
    let (train, test, notes) = match roles(part("train")?, part("test")?, folder) {
        Some((train, test, mut notes)) => {
            let mut others = names(folder)?;
            others.retain(|name| name != "train" && name != "test");
            notes.extend(passed_over(folder, "`train` and `test` are", &others));
            (train, test, notes)
        }
        None => (tree(folder)?, None, Vec::new()),
    };

    let all = || train.iter().chain(test.iter().flatten());
    let classes: BTreeSet<&String> = all().filter_map(|(_, class)| class.as_ref()).collect();
    let classes: Vec<String> = classes.into_iter().cloned().collect();
    let split = |tree: &Tree| Split {
        labels: tree
            .iter()
            .filter_map(|(_, class)| classes.binary_search(class.as_ref()?).ok())
            .collect(),
        pictures: Pictures::Files(tree.iter().map(|(file, _)| file.clone()).collect()),
    };
    let (train, test) = (split(&train), test.as_ref().map(split));
    Ok(Splits { train, test, classes, notes })
}

/// The images below a folder, in the order of their paths.
fn tree(folder: &Path) -> Result<Tree, Error> {
    let layout = |reason| Error::Layout { path: folder.into(), reason };
    let files = images::expand(&[folder.into()]).map_err(|error| match error {
        vae_infer::Error::Image { reason, .. } => {
            layout(format!("{reason}; it holds no IDX files and no `data.npy` either"))
        }
        other => other.into(),
    })?;
    let tree: Tree = files
        .into_iter()
        .map(|file| {
            let class = class(folder, &file);
            (file, class)
        })
        .collect();
    let loose = tree.iter().find(|(_, class)| class.is_none());
    let labelled = tree.iter().find(|(_, class)| class.is_some());
    match (loose, labelled) {
        (Some((loose, _)), Some((labelled, _))) => Err(layout(format!(
            "`{}` lies in a sub-folder, which makes it a class, and `{}` lies in none",
            labelled.display(),
            loose.display()
        ))),
        _ => Ok(tree),
    }
}

/// The first folder between a tree and a file in it.
fn class(folder: &Path, file: &Path) -> Option<String> {
    let mut below = file.strip_prefix(folder).ok()?.components();
    let first = below.next()?;
    below.next().map(|_| first.as_os_str().to_string_lossy().into_owned())
}
