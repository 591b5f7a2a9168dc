use std::path::PathBuf;

use vae_infer::ImageSpec;
use vae_train::data::{Known, download};

use crate::{array, load_folder};

/// The folder of a real data set, or a line that says that the test is skipped.
fn real(name: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("VAE_DATA").map_or_else(beside, PathBuf::from).join(name);
    if !folder.is_dir() {
        println!("skipped: `{}` is not there", folder.display());
        return None;
    }
    Some(folder)
}

#[test]
fn mnist_and_fashion_mnist_are_whole() {
    for (name, known) in [("mnist", Known::Mnist), ("fashion-mnist", Known::FashionMnist)] {
        let Some(folder) = real(name) else { continue };
        let loaded = load_folder(&folder, &ImageSpec::new(1, 28, 28)).unwrap();
        let test = loaded.test.unwrap();
        assert_eq!(array(&loaded.train).shape(), [60_000, 1, 28, 28]);
        assert_eq!(array(&test).shape(), [10_000, 1, 28, 28]);
        assert_eq!((loaded.train.labels.len(), loaded.train.classes.len()), (60_000, 10));
        assert!(loaded.notes.is_empty());
        let fetched = download::fetch(&known.remote(Some("http://127.0.0.1:1")), &folder).unwrap();
        assert!(fetched.iter().all(|file| file.kept && file.known), "{fetched:?}");
    }
}

#[test]
fn eyes_are_colour_with_two_classes() {
    let Some(folder) = real("eyes") else { return };
    let train = load_folder(&folder, &ImageSpec::new(3, 50, 50)).unwrap().train;
    assert_eq!(array(&train).shape(), [1_476, 3, 50, 50]);
    assert_eq!(train.classes, ["0", "1"]);
    assert_eq!(train.labels.iter().sum::<usize>(), 738);
}

#[test]
fn emnist_letters_stand_upright() {
    let Some(folder) = real("emnist-letters") else { return };
    let loaded = load_folder(&folder, &ImageSpec::new(1, 28, 28)).unwrap();
    let train = &loaded.train;
    assert_eq!(array(train).shape(), [10_000, 1, 28, 28]);
    assert_eq!(train.classes.len(), 26);
    assert_eq!(loaded.notes.len(), 1);
    // An L leaves the top right empty; transposed, it would be the bottom left.
    let l = train.classes.iter().position(|class| class == "L");
    let (mut top_right, mut bottom_left) = (0.0, 0.0);
    for (image, label) in array(train).outer_iter().zip(&train.labels) {
        if Some(*label) == l {
            for ((_, y, x), value) in image.indexed_iter() {
                top_right += if y < 12 && x >= 16 { *value } else { 0.0 };
                bottom_left += if y >= 16 && x < 12 { *value } else { 0.0 };
            }
        }
    }
    assert!(top_right < bottom_left, "{top_right} and {bottom_left}");
}
