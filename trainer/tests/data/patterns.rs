use ndarray::Axis;
use vae_infer::{ImageSpec, Resize};
use vae_train::data::{DataConfig, Error, Loaded, Patterns, Source, load};

use crate::array;

fn make(patterns: Patterns, image: &ImageSpec) -> Result<Loaded, Error> {
    let config =
        DataConfig { source: Source::Patterns, patterns: Some(patterns), ..DataConfig::default() };
    load(&config, None, image)
}

#[test]
fn the_same_seed_gives_the_same_images_on_every_platform() {
    let image = ImageSpec::new(1, 4, 4);
    let loaded = make(Patterns::default(), &image).unwrap();
    let test = loaded.test.unwrap();
    assert_eq!(array(&loaded.train).shape(), [2_000, 1, 4, 4]);
    assert_eq!(array(&test).shape(), [500, 1, 4, 4]);
    assert_eq!(
        loaded.train.hash,
        "4480044acefab951bde7577005f0ec8c93c92f9074f42b33d8495edfa6ffd94f"
    );

    let longer = Patterns { count: 2_500, test_count: 0, ..Patterns::default() };
    let longer = make(longer, &image).unwrap();
    assert!(longer.test.is_none());
    assert_eq!(array(&longer.train).view().split_at(Axis(0), 2_000).1, array(&test));
    let other = make(Patterns { seed: 1, ..Patterns::default() }, &image).unwrap();
    assert_ne!(other.train.hash, loaded.train.hash);
}

#[test]
fn every_shape_comes_at_every_place() {
    let clean = Patterns { count: 1_000, test_count: 0, noise: 0.0, seed: 3 };
    let train = make(clean, &ImageSpec::new(1, 4, 4)).unwrap().train;
    assert_eq!(train.classes, ["horizontal", "vertical", "diagonal", "corner"]);
    let mut shapes = std::collections::BTreeMap::new();
    for (image, &label) in array(&train).outer_iter().zip(&train.labels) {
        assert_eq!(image.sum(), 4.0, "every shape is four white pixels on black");
        let shape: Vec<u8> = image.iter().map(|&v| v as u8).collect();
        *shapes.entry((label, shape)).or_insert(0) += 1;
    }
    let places = |class| shapes.keys().filter(|(label, _)| *label == class).count();
    assert_eq!([0, 1, 2, 3].map(places), [4, 4, 2, 4]);
    // 62.5 of each are expected (twice that of a diagonal): five standard deviations below.
    assert!(shapes.values().all(|&count| count > 24), "{shapes:?}");
}

#[test]
fn noise_has_its_standard_deviation_and_stays_in_the_range() {
    let patterns = Patterns { count: 4_000, ..Patterns::default() };
    let mut image = ImageSpec::new(1, 4, 4);
    let train = make(patterns.clone(), &image).unwrap().train;
    assert!(array(&train).iter().all(|v| (0.0..=1.0).contains(v)));
    // Clamping folds half of the noise away; what is left has a mean square of sigma^2 / 2.
    let squares: f32 =
        array(&train).iter().map(|v| if *v < 0.5 { v * v } else { (1.0 - v) * (1.0 - v) }).sum();
    let mean_square = squares / array(&train).len() as f32;
    assert!((mean_square / 0.05_f32.powi(2) - 0.5).abs() < 0.02, "{mean_square}");

    image = ImageSpec { range: [-1.0, 1.0], resize: Resize::Stretch, ..ImageSpec::new(3, 8, 8) };
    let stretched = make(patterns, &image).unwrap().train;
    assert_eq!(array(&stretched).shape(), [4_000, 3, 8, 8]);
    assert_eq!(stretched.hash, train.hash);
}

#[test]
fn settings_come_from_toml_and_wrong_ones_are_refused() {
    let config: DataConfig = toml::from_str("source = \"patterns\"\npatterns.count = 10").unwrap();
    let patterns = Patterns { count: 10, ..Patterns::default() };
    assert_eq!((config.source, config.patterns), (Source::Patterns, Some(patterns)));
    assert_eq!(toml::from_str::<DataConfig>("").unwrap(), DataConfig::default());
    assert!(toml::from_str::<DataConfig>("sauce = \"patterns\"").is_err());
    assert!(toml::from_str::<DataConfig>("patterns.sigma = 1.0").is_err());

    let image = ImageSpec::new(1, 4, 4);
    let wrong = [
        (Patterns { count: 0, ..Patterns::default() }, "`count` is 0"),
        (Patterns { count: usize::MAX, ..Patterns::default() }, "`count` is"),
        (Patterns { noise: f32::NAN, ..Patterns::default() }, "`noise` is NaN"),
        (Patterns { noise: -0.1, ..Patterns::default() }, "`noise` is -0.1"),
    ];
    for (patterns, expected) in wrong {
        let message = make(patterns, &image).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let ignored = DataConfig { patterns: Some(Patterns::default()), ..DataConfig::default() };
    assert!(matches!(load(&ignored, None, &image), Err(Error::Config { .. })));
    let image = ImageSpec::new(1, 28, 28);
    assert!(make(Patterns::default(), &image).unwrap_err().to_string().contains("4x4"));
}
