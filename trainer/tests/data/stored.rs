use image::ImageFormat;
use tempfile::tempdir;
use vae_infer::{ImageSpec, npy};
use vae_train::data::{DataConfig, Dataset, Images, load};

use crate::folders::{grey, picture};
use crate::{array, idx_bytes, put};

fn config(memory_mib: usize) -> DataConfig {
    DataConfig { memory_mib, ..DataConfig::default() }
}

#[test]
fn files_are_the_same_images_in_memory_and_decoded_when_they_are_asked_for() {
    let folder = tempdir().unwrap();
    for number in 0..20_u8 {
        let class = ["a", "b", "c"][usize::from(number) % 3];
        let name = format!("train/{class}/{number:02}.png");
        picture(folder.path(), &name, grey(number * 12), ImageFormat::Png);
    }
    picture(folder.path(), "test/b/x.png", grey(9), ImageFormat::Png);
    let image = ImageSpec { binarize: Some(0.4), ..ImageSpec::new(1, 2, 3) };
    let some = |config| DataConfig { without: Some(vec!["c".into()]), limit: Some(7), ..config };
    for choose in [|config| config, some as fn(DataConfig) -> DataConfig] {
        let [memory, stored] =
            [1, 0].map(|mib| load(&choose(config(mib)), Some(folder.path()), &image).unwrap());
        let pairs = [(memory.train, stored.train), (memory.test.unwrap(), stored.test.unwrap())];
        for (memory, stored) in pairs {
            assert!(matches!(memory.images, Images::Decoded(_)));
            assert!(matches!(stored.images, Images::Stored(_)));
            assert_eq!((&memory.hash, &memory.labels), (&stored.hash, &stored.labels));
            assert_eq!(
                (memory.images.dim(), array(&memory)),
                (stored.images.dim(), array(&stored))
            );
            let places = [memory.images.len() - 1, 0];
            let chosen = stored.images.select(&places).read(&[0, 1]).unwrap();
            assert_eq!(chosen, memory.images.read(&places).unwrap());
            for size in [1, 3, 100] {
                let chunks = |dataset: &Dataset| -> Vec<_> {
                    dataset.images.chunks(size).map(Result::unwrap).collect()
                };
                assert_eq!(chunks(&stored), chunks(&memory));
                assert_eq!(chunks(&stored).len(), stored.images.len().div_ceil(size));
            }
        }
    }
}

#[test]
fn a_file_that_breaks_later_is_named_and_one_that_is_broken_is_not_loaded() {
    let folder = tempdir().unwrap();
    for name in ["a.png", "b.png", "c.png"] {
        picture(folder.path(), name, grey(7), ImageFormat::Png);
    }
    let image = ImageSpec::new(1, 2, 3);
    let images = load(&config(0), Some(folder.path()), &image).unwrap().train.images;
    std::fs::remove_file(folder.path().join("b.png")).unwrap();
    assert!(images.read(&[0, 2]).is_ok());
    assert!(images.read(&[2, 1]).unwrap_err().to_string().contains("b.png"));
    picture(folder.path(), "b.png", image::GrayImage::new(5, 5), ImageFormat::Png);
    assert!(images.read(&[1]).unwrap_err().to_string().contains("b.png"));
    put(folder.path(), "b.png", b"\x89PNG\r\n\x1a\ncut");
    for error in
        [images.read(&[1]).unwrap_err(), load(&config(0), Some(folder.path()), &image).unwrap_err()]
    {
        assert!(error.to_string().contains("b.png"), "{error}");
    }
}

#[test]
fn a_file_that_becomes_another_image_is_named() {
    let folder = tempdir().unwrap();
    for name in ["a.png", "b.png", "c.png"] {
        picture(folder.path(), name, grey(7), ImageFormat::Png);
    }
    let image = ImageSpec { binarize: Some(0.9), ..ImageSpec::new(1, 2, 3) };
    let images = load(&config(0), Some(folder.path()), &image).unwrap().train.images;
    let before = images.read(&[1]).unwrap();
    // The threshold makes the same tensor of both.
    picture(folder.path(), "b.png", grey(8), ImageFormat::Png);
    for error in [images.read(&[2, 1]).unwrap_err(), images.select(&[1]).read(&[0]).unwrap_err()] {
        let error = error.to_string();
        assert!(["b.png", "no longer the image"].iter().all(|w| error.contains(w)), "{error}");
    }
    assert!(images.read(&[0, 2]).is_ok());
    // The same pixels in another format are the same image.
    picture(folder.path(), "b.png", grey(7), ImageFormat::Pnm);
    assert_eq!(images.read(&[1]).unwrap(), before);
}

#[test]
fn what_takes_as_much_as_it_may_is_in_memory() {
    // A grey image of 32x32 is 4 KiB of f32, and 1 KiB as it is stored, behind a header of 16 bytes.
    let load = |count: u32| {
        let folder = tempdir().unwrap();
        let pixels = vec![3_u8; count as usize * 32 * 32];
        put(folder.path(), "train-images-idx3-ubyte", &idx_bytes(&[count, 32, 32], &pixels));
        load(&config(1), Some(folder.path()), &ImageSpec::new(1, 32, 32))
    };
    assert!(matches!(load(256).unwrap().train.images, Images::Decoded(_)));
    assert!(matches!(load(257).unwrap().train.images, Images::Stored(_)));
    assert!(matches!(load(1023).unwrap().train.images, Images::Stored(_)));
    assert!(load(1024).unwrap_err().to_string().contains("the images take 2 MiB"));
}

#[test]
fn images_of_one_file_are_decoded_later_where_the_file_fits_and_refused_where_it_does_not() {
    let pixels = vec![3_u8; 600 * 32 * 32];
    let idx = tempdir().unwrap();
    put(idx.path(), "train-images-idx3-ubyte", &idx_bytes(&[600, 32, 32], &pixels));
    let arrays = tempdir().unwrap();
    let pixels = ndarray::Array3::from_shape_vec((600, 32, 32), pixels).unwrap();
    npy::write(&arrays.path().join("data.npy"), &pixels).unwrap();
    for folder in [idx, arrays] {
        let load = |mib| load(&config(mib), Some(folder.path()), &ImageSpec::new(1, 32, 32));
        let [memory, stored] = [3, 1].map(|mib| load(mib).unwrap().train);
        assert!(matches!(memory.images, Images::Decoded(_)));
        assert!(matches!(stored.images, Images::Stored(_)));
        assert_eq!(stored.hash, memory.hash);
        assert_eq!(array(&stored), array(&memory));
        let error = load(0).unwrap_err().to_string();
        assert!(["`memory_mib` is 0", "1 MiB", "image files"].iter().all(|w| error.contains(w)));
    }
}
