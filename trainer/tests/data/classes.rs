use image::{GrayImage, ImageFormat, Luma};
use tempfile::{TempDir, tempdir};

use super::*;

const IMAGE: (usize, usize, usize) = (1, 1, 1);

/// IDX files of images whose only pixel is their label: 0, 1, 2, 0, 1, 2 and, for tests, 0 and 1.
fn digits() -> TempDir {
    let folder = tempdir().unwrap();
    for (split, labels) in [("train", vec![0, 1, 2, 0, 1, 2]), ("t10k", vec![0, 1])] {
        let count = labels.len() as u32;
        let name = |kind| format!("{split}-{kind}-ubyte");
        put(folder.path(), &name("images-idx3"), &idx_bytes(&[count, 1, 1], &labels));
        put(folder.path(), &name("labels-idx1"), &idx_bytes(&[count], &labels));
    }
    folder
}

fn names(classes: &[&str]) -> Option<Vec<String>> {
    Some(classes.iter().map(|&name| name.to_owned()).collect())
}

fn taken(folder: &Path, config: &DataConfig) -> Result<Loaded, Error> {
    let (channels, height, width) = IMAGE;
    load(config, Some(folder), &ImageSpec::new(channels, height, width))
}

/// The labels of a data set's images by their pixels, and the names of the classes that it gives them.
fn classes(dataset: &vae_train::data::Dataset) -> Vec<(u8, &str)> {
    let images = array(dataset);
    let pixels = images.iter().map(|value| (value * 255.0).round() as u8);
    pixels.zip(dataset.labels.iter().map(|&label| dataset.classes[label].as_str())).collect()
}

#[test]
fn only_the_classes_that_are_named_stay_in_every_split() {
    let folder = digits();
    let all = taken(folder.path(), &DataConfig::default()).unwrap();
    let only = DataConfig { classes: names(&["2", "1"]), ..DataConfig::default() };
    let loaded = taken(folder.path(), &only).unwrap();
    assert_eq!(loaded.train.classes, ["1", "2"]);
    assert_eq!(classes(&loaded.train), [(1, "1"), (2, "2"), (1, "1"), (2, "2")]);
    assert_eq!(classes(loaded.test.as_ref().unwrap()), [(1, "1")]);
    assert_ne!(loaded.train.hash, all.train.hash);

    let without = DataConfig { without: names(&["0"]), ..DataConfig::default() };
    let same = taken(folder.path(), &without).unwrap();
    assert_eq!((same.train.hash, same.train.labels), (loaded.train.hash, loaded.train.labels));

    let both = DataConfig { without: names(&["1"]), limit: Some(1), ..only };
    let loaded = taken(folder.path(), &both).unwrap();
    assert_eq!(classes(&loaded.train), [(2, "2")], "the limit is that of the classes taken");
    assert!(loaded.test.unwrap().images.is_empty());
    assert!(loaded.notes[0].contains("no test image"), "{:?}", loaded.notes);
}

#[test]
fn a_folder_of_good_and_bad_parts_trains_on_the_good_ones() {
    let folder = tempdir().unwrap();
    for (class, value) in [("good", 40), ("good", 50), ("scratch", 90)] {
        let path = folder.path().join(class);
        std::fs::create_dir_all(&path).unwrap();
        let image = GrayImage::from_pixel(1, 1, Luma([value]));
        image.save_with_format(path.join(format!("{value}.png")), ImageFormat::Png).unwrap();
    }
    let good = DataConfig { classes: names(&["good"]), ..DataConfig::default() };
    let loaded = taken(folder.path(), &good).unwrap();
    assert_eq!(classes(&loaded.train), [(40, "good"), (50, "good")]);
}

#[test]
fn classes_that_are_not_there_are_refused() {
    let labelled = digits();
    let unlabelled = tempdir().unwrap();
    put(unlabelled.path(), "train-images-idx3-ubyte", &idx_bytes(&[2, 1, 1], &[0, 1]));
    let half = digits();
    std::fs::remove_file(half.path().join("t10k-labels-idx1-ubyte")).unwrap();
    for (folder, kept, without, words) in [
        (&labelled, names(&["7"]), None, "`classes` names `7`, and the classes are 0, 1, 2"),
        (&labelled, None, names(&["0", "zero"]), "`without` names `zero`"),
        (&labelled, names(&[]), None, "`classes` is empty"),
        (&labelled, names(&["1"]), names(&["1"]), "no training image"),
        (&unlabelled, names(&["1"]), None, "the images have no labels"),
        (&half, names(&["1"]), None, "one of the splits has no labels"),
    ] {
        let config = DataConfig { classes: kept, without, ..DataConfig::default() };
        let error = taken(folder.path(), &config).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
