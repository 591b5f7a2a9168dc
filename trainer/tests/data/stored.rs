use image::ImageFormat;
use tempfile::tempdir;
use vae_infer::{ImageSpec, npy};
use vae_train::data::{DataConfig, Images, load};

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
            let chosen = stored.images.select(&places).all().unwrap().into_owned();
            assert_eq!(chosen, memory.images.read(&places).unwrap());
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
fn images_of_one_file_are_decoded_later_where_the_file_fits_and_refused_where_it_does_not() {
    let pixels = vec![3_u8; 600 * 32 * 32];
    let idx = tempdir().unwrap();
    put(idx.path(), "train-images-idx3-ubyte", &idx_bytes(&[600, 32, 32], &pixels));
    let arrays = tempdir().unwrap();
    let array = ndarray::Array3::from_shape_vec((600, 32, 32), pixels).unwrap();
    npy::write(&arrays.path().join("data.npy"), &array).unwrap();
    for folder in [idx, arrays] {
        let load = |mib| load(&config(mib), Some(folder.path()), &ImageSpec::new(1, 32, 32));
        let [memory, stored] = [3, 1].map(|mib| load(mib).unwrap().train);
        assert!(matches!(memory.images, Images::Decoded(_)));
        assert!(matches!(stored.images, Images::Stored(_)));
        assert_eq!(stored.hash, memory.hash);
        assert_eq!(stored.images.all().unwrap(), memory.images.all().unwrap());
        let error = load(0).unwrap_err().to_string();
        assert!(["`memory_mib` is 0", "1 MiB", "image files"].iter().all(|w| error.contains(w)));
    }
}
