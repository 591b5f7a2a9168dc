use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage};
use ndarray::{Array1, Array3, Array4};
use std::io::Cursor;
use std::path::Path;
use tempfile::tempdir;
use vae_infer::{ImageSpec, npy};
use vae_train::data::{DataConfig, Error, load};

use crate::{array, load_folder, put, refusal};

pub(crate) fn picture(
    folder: &Path,
    name: &str,
    image: impl Into<DynamicImage>,
    format: ImageFormat,
) {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    put(folder, name, bytes.get_ref());
}

pub(crate) fn grey(value: u8) -> GrayImage {
    GrayImage::from_pixel(3, 2, Luma([value]))
}

#[test]
fn sub_folders_are_classes() {
    let folder = tempdir().unwrap();
    picture(folder.path(), "good/b.png", grey(255), ImageFormat::Png);
    picture(folder.path(), "good/deeper/c.bmp", grey(0), ImageFormat::Bmp);
    let deep = ImageBuffer::from_pixel(3, 2, Luma([0x8000_u16]));
    picture(folder.path(), "bad/a.png", DynamicImage::ImageLuma16(deep), ImageFormat::Png);
    put(folder.path(), ".cache/x.png", b"hidden");
    put(folder.path(), "README.txt", b"not an image");

    let loaded = load_folder(folder.path(), &ImageSpec::new(1, 2, 3)).unwrap();
    assert_eq!(loaded.train.classes, ["bad", "good"]);
    assert_eq!(loaded.train.labels, [0, 1, 1]);
    let first: Vec<f32> = (0..3).map(|i| array(&loaded.train)[[i, 0, 0, 0]]).collect();
    assert_eq!(first, [32_768.0 / 65_535.0, 1.0, 0.0]);
    assert!(loaded.test.is_none());

    let colour = load_folder(folder.path(), &ImageSpec::new(3, 2, 3)).unwrap().train;
    assert_eq!(array(&colour).shape(), [3, 3, 2, 3]);
    assert_eq!(colour.hash, loaded.train.hash);
}

#[test]
fn a_flat_folder_has_no_labels_and_a_mixed_one_is_refused() {
    let folder = tempdir().unwrap();
    let image = ImageSpec::new(3, 2, 3);
    picture(
        folder.path(),
        "b.png",
        RgbImage::from_pixel(3, 2, Rgb([255, 0, 51])),
        ImageFormat::Png,
    );
    picture(folder.path(), "a.ppm", RgbImage::new(3, 2), ImageFormat::Pnm);
    let train = load_folder(folder.path(), &image).unwrap().train;
    assert_eq!(array(&train).shape(), [2, 3, 2, 3]);
    assert_eq!([0, 1, 2].map(|c| array(&train)[[1, c, 1, 2]]), [1.0, 0.0, 0.2]);
    assert!(train.labels.is_empty() && train.classes.is_empty());

    picture(folder.path(), "class/c.png", grey(0), ImageFormat::Png);
    let message = refusal(folder.path(), &image);
    assert!(message.contains("class/c.png") && message.contains("a.ppm"), "{message}");
}

#[test]
fn train_and_test_folders_are_splits_with_the_same_classes() {
    let folder = tempdir().unwrap();
    picture(folder.path(), "train/good/a.png", grey(0), ImageFormat::Png);
    picture(folder.path(), "test/crack/a.png", grey(1), ImageFormat::Png);
    picture(folder.path(), "test/good/a.png", grey(2), ImageFormat::Png);
    picture(folder.path(), "masks/a.png", grey(2), ImageFormat::Png);
    let loaded = load_folder(folder.path(), &ImageSpec::new(1, 2, 3)).unwrap();
    let test = loaded.test.unwrap();
    assert_eq!(loaded.train.classes, ["crack", "good"]);
    assert_eq!(test.classes, loaded.train.classes);
    assert_eq!((loaded.train.labels, test.labels), (vec![1], vec![0, 1]));
    assert!(loaded.notes[0].contains("`masks`"), "{:?}", loaded.notes);
}

#[test]
fn what_is_beside_the_splits_is_named_and_a_test_split_alone_is_trained_on() {
    let folder = tempdir().unwrap();
    let image = ImageSpec::new(1, 2, 3);
    for name in ["test/a/x.png", "test/b/x.png"] {
        picture(folder.path(), name, grey(0), ImageFormat::Png);
    }
    let loaded = load_folder(folder.path(), &image).unwrap();
    assert_eq!(
        (loaded.train.classes, loaded.train.labels),
        (vec!["a".into(), "b".into()], vec![0, 1])
    );
    assert!(loaded.test.is_none() && loaded.notes.len() == 1);
    assert!(loaded.notes[0].contains("only a test split"), "{:?}", loaded.notes);

    for name in ["train/a/x.png", "extra/x.png", "loose.png", "looser.png"] {
        picture(folder.path(), name, grey(0), ImageFormat::Png);
    }
    put(folder.path(), "README.txt", b"not an image");
    let loaded = load_folder(folder.path(), &image).unwrap();
    assert_eq!((loaded.train.images.len(), loaded.test.unwrap().images.len()), (1, 2));
    let note = "only `train` and `test` are read, not `extra`, 2 images such as `loose.png`";
    assert!(loaded.notes[0].ends_with(note), "{:?}", loaded.notes);
}

#[test]
fn what_is_no_data_set_is_refused_by_name() {
    let folder = tempdir().unwrap();
    let image = ImageSpec::new(1, 2, 3);
    assert!(refusal(folder.path(), &image).contains("no IDX files"));
    assert!(refusal(&folder.path().join("absent"), &image).contains("absent"));
    put(folder.path(), "file.txt", b"text");
    assert!(refusal(&folder.path().join("file.txt"), &image).contains("file.txt"));

    picture(folder.path(), "a.png", grey(0), ImageFormat::Png);
    put(folder.path(), "b.png", b"\x89PNG\r\n\x1a\ncut");
    assert!(refusal(folder.path(), &image).contains("b.png"));
    picture(folder.path(), "b.png", GrayImage::new(4, 4), ImageFormat::Png);
    assert!(refusal(folder.path(), &image).contains("4x4 pixels, the model takes 3x2"));

    let no_folder = load(&DataConfig::default(), None, &image);
    assert!(matches!(no_folder, Err(Error::NoFolder)));
    let transpose = DataConfig { transpose: Some(true), ..DataConfig::default() };
    assert!(matches!(load(&transpose, Some(folder.path()), &image), Err(Error::Config { .. })));
}

#[test]
fn arrays_of_bytes_and_of_floats_have_labels_or_none() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let bytes =
        Array4::from_shape_fn((4, 2, 3, 3), |(n, h, w, c)| (n * 18 + h * 9 + w * 3 + c) as u8);
    npy::write(&path("data.npy"), &bytes).unwrap();
    npy::write(&path("label.npy"), &Array1::from_vec(vec![7_i64, -1, 7, 3])).unwrap();
    let loaded = load_folder(folder.path(), &ImageSpec::new(3, 2, 3)).unwrap();
    assert!(loaded.notes.is_empty(), "{:?}", loaded.notes);
    let train = loaded.train;
    assert_eq!(array(&train).shape(), [4, 3, 2, 3]);
    assert_eq!(array(&train)[[2, 1, 1, 0]], 46.0 / 255.0);
    assert_eq!(train.labels, [2, 0, 2, 1]);
    assert_eq!(train.classes, ["-1", "3", "7"]);

    picture(folder.path(), "a.png", grey(0), ImageFormat::Png);
    picture(folder.path(), "more/b.png", grey(0), ImageFormat::Png);
    let notes = load_folder(folder.path(), &ImageSpec::new(3, 2, 3)).unwrap().notes;
    assert!(notes[0].ends_with("only arrays are read, not `more`, `a.png`"), "{notes:?}");

    npy::write(&path("label.npy"), &Array1::from_vec(vec![1_u8, 2])).unwrap();
    assert!(refusal(folder.path(), &ImageSpec::new(3, 2, 3)).contains("holds 2 labels"));

    let folder = tempdir().unwrap();
    let floats = Array3::from_elem((5, 2, 3), 0.25_f32);
    npy::write(&folder.path().join("train.npy"), &floats).unwrap();
    npy::write(&folder.path().join("test.npy"), &floats).unwrap();
    let loaded = load_folder(folder.path(), &ImageSpec::new(1, 2, 3)).unwrap();
    assert_eq!(array(&loaded.train), Array4::from_elem((5, 1, 2, 3), 0.25));
    assert!(loaded.train.labels.is_empty());
    assert_eq!(loaded.test.unwrap().hash, loaded.train.hash);

    npy::write(&folder.path().join("data.npy"), &floats).unwrap();
    assert!(
        refusal(folder.path(), &ImageSpec::new(1, 2, 3)).contains("`data.npy` and `train.npy`")
    );
}
