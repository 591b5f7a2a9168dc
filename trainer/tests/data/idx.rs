use tempfile::tempdir;
use vae_infer::ImageSpec;
use vae_train::data::idx::Idx;
use vae_train::data::{DataConfig, load};

use crate::{array, gz, idx_bytes, load_folder, put, refusal};

/// Three images of 2 rows and 3 columns, counting up.
fn images() -> Vec<u8> {
    idx_bytes(&[3, 2, 3], &(0..18).collect::<Vec<u8>>())
}

#[test]
fn plain_and_gz_files_give_the_same_data_set() {
    let image = ImageSpec::new(1, 2, 3);
    let names =
        ["train-images-idx3-ubyte", "train-images.idx3-ubyte", "train-images-idx3-ubyte.gz"];
    let mut hashes = Vec::new();
    for name in names {
        let folder = tempdir().unwrap();
        let pack = |bytes: Vec<u8>| if name.ends_with(".gz") { gz(&bytes) } else { bytes };
        put(folder.path(), name, &pack(images()));
        let labels = name.replace("images", "labels").replace("idx3", "idx1");
        put(folder.path(), &labels, &pack(idx_bytes(&[3], &[2, 0, 1])));
        put(folder.path(), "t10k-images-idx3-ubyte", &idx_bytes(&[1, 2, 3], &[255; 6]));
        put(folder.path(), "t10k-labels-idx1-ubyte", &idx_bytes(&[1], &[3]));

        let loaded = load_folder(folder.path(), &image).unwrap();
        assert_eq!(array(&loaded.train).shape(), [3, 1, 2, 3]);
        assert_eq!(array(&loaded.train)[[1, 0, 1, 2]], 11.0 / 255.0);
        assert_eq!(loaded.train.labels, [2, 0, 1]);
        assert_eq!(loaded.train.classes, ["0", "1", "2", "3"]);
        let test = loaded.test.unwrap();
        assert_eq!((array(&test)[[0, 0, 0, 0]], test.labels), (1.0, vec![3]));
        assert!(loaded.notes.is_empty());
        hashes.push(loaded.train.hash);
    }
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}

#[test]
fn the_hash_is_of_the_pixels_and_labels_and_not_of_the_preprocessing() {
    let folder = tempdir().unwrap();
    put(folder.path(), "train-images-idx3-ubyte", &images());
    let mut image = ImageSpec::new(1, 2, 3);
    let hash = |image: &ImageSpec| load_folder(folder.path(), image).unwrap().train.hash;
    let before = hash(&image);
    image.range = [-1.0, 1.0];
    assert_eq!(hash(&image), before);
    put(folder.path(), "train-labels-idx1-ubyte", &idx_bytes(&[3], &[0, 0, 1]));
    assert_ne!(hash(&image), before);
}

#[test]
fn bad_files_are_refused_with_their_cause() {
    let whole = images();
    let packed = gz(&whole);
    let mut damaged = packed.clone();
    let last = damaged.len() - 5;
    damaged[last] ^= 0xff;
    let bomb = [&[0, 0, 8, 3][..], &[0x7f; 12]].concat();
    let cases: [(&str, Vec<u8>, &str); 14] = [
        ("nothing", vec![], "it is empty"),
        ("other format", b"\x89PNG\r\n\x1a\n".to_vec(), "does not begin as an IDX file"),
        ("header cut", whole[..9].to_vec(), "header is cut short"),
        ("data cut", whole[..30].to_vec(), "34 bytes with it, and it has 30"),
        ("data too long", [&whole[..], b"x"].concat(), "34 bytes with it, and it has 35"),
        ("floats", [&[0, 0, 13, 3][..], &whole[4..]].concat(), "type 0x0d"),
        ("no axis", vec![0, 0, 8, 0], "0 axes"),
        ("no image", idx_bytes(&[0, 2, 3], &[]), "which is empty"),
        ("header bomb", bomb.clone(), "more than any memory"),
        ("header bomb, gz", gz(&bomb), "more than any memory"),
        ("large header, gz", gz(&idx_bytes(&[60_000, 28, 28], &[])), "compressed bytes can hold"),
        ("gz cut", packed[..packed.len() - 9].to_vec(), "damaged or cut short"),
        ("gz checksum", damaged, "damaged or cut short"),
        ("gz and more", [&packed[..], b"more"].concat(), "damaged or cut short"),
    ];
    let mut failures = Vec::new();
    for (what, bytes, expected) in cases {
        match Idx::parse(bytes) {
            Err(reason) if reason.contains(expected) => {}
            other => failures.push(format!("{what}: {other:?}")),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    let twice = [gz(&whole[..20]), gz(&whole[20..])].concat();
    assert_eq!(Idx::parse(twice), Idx::parse(whole), "gz members follow each other");
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let image = ImageSpec::new(1, 2, 3);
    let folder = tempdir().unwrap();
    put(folder.path(), "train-images-idx3-ubyte", &images());
    put(folder.path(), "train-labels-idx1-ubyte", &idx_bytes(&[2], &[0, 1]));
    let message = refusal(folder.path(), &image);
    assert!(message.contains("holds 3 images") && message.contains("holds 2 labels"), "{message}");

    put(folder.path(), "train-labels-idx1-ubyte", &idx_bytes(&[1, 3], &[0, 1, 2]));
    assert!(refusal(folder.path(), &image).contains("expected [labels]"));

    std::fs::remove_file(folder.path().join("train-labels-idx1-ubyte")).unwrap();
    assert!(refusal(folder.path(), &ImageSpec::new(1, 28, 28)).contains("3x2 pixels"));

    put(folder.path(), "emnist-digits-train-images-idx3-ubyte", &images());
    assert!(refusal(folder.path(), &image).contains("two data sets"));
}

#[test]
fn emnist_is_turned_upright_and_its_letters_count_from_one() {
    let folder = tempdir().unwrap();
    put(folder.path(), "emnist-letters-test-images-idx3-ubyte.gz", &gz(&images()));
    put(
        folder.path(),
        "emnist-letters-test-labels-idx1-ubyte.gz",
        &gz(&idx_bytes(&[3], &[1, 26, 2])),
    );
    let image = ImageSpec::new(1, 3, 2);
    let loaded = load_folder(folder.path(), &image).unwrap();
    let pixels = array(&loaded.train).mapv(|v| (v * 255.0).round() as u8);
    let first: Vec<u8> = pixels.iter().copied().take(6).collect();
    assert_eq!(first, [0, 3, 1, 4, 2, 5]);
    assert_eq!(loaded.train.labels, [0, 25, 1]);
    assert_eq!((loaded.train.classes.len(), loaded.train.classes[25].as_str()), (26, "Z"));
    assert!(loaded.test.is_none());
    assert!(loaded.notes[0].contains("only a test split"), "{:?}", loaded.notes);

    let as_stored = DataConfig { transpose: Some(false), ..DataConfig::default() };
    let loaded = load(&as_stored, Some(folder.path()), &ImageSpec::new(1, 2, 3)).unwrap();
    assert_eq!(array(&loaded.train)[[0, 0, 0, 1]], 1.0 / 255.0);

    put(
        folder.path(),
        "emnist-letters-test-labels-idx1-ubyte.gz",
        &gz(&idx_bytes(&[3], &[1, 0, 2])),
    );
    assert!(refusal(folder.path(), &image).contains("label 1 of"));
}

#[test]
fn a_limit_takes_images_from_the_whole_file() {
    let folder = tempdir().unwrap();
    put(folder.path(), "train-images-idx3-ubyte", &idx_bytes(&[6, 1, 1], &[0, 1, 2, 3, 4, 5]));
    put(folder.path(), "train-labels-idx1-ubyte", &idx_bytes(&[6], &[0, 1, 2, 3, 4, 5]));
    let image = ImageSpec::new(1, 1, 1);
    let limited = |limit| {
        load(
            &DataConfig { limit: Some(limit), ..DataConfig::default() },
            Some(folder.path()),
            &image,
        )
    };
    assert_eq!(limited(3).unwrap().train.labels, [0, 2, 4]);
    assert_eq!(limited(9).unwrap().train.labels.len(), 6);
    assert!(limited(0).unwrap_err().to_string().contains("`limit` is 0"));
}
