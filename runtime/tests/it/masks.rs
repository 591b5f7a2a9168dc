//! What a mask hides neither sounds an alarm nor is a region.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use image::{DynamicImage, GrayImage, Luma};
use ndarray::{Array3, Array4};
use serde_json::Value;
use vae_infer::anomaly::{Method, Scorer};
use vae_infer::{Bundle, EngineOptions, Model, noise};

use crate::fixture::{Copy, all_well, not_refused, run, succeed};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A bundle with images that are normal for it.
struct Line {
    bundle: Copy,
    normal: PathBuf,
}

impl Line {
    fn new() -> Self {
        let bundle = Copy::new();
        let normal = bundle.file("normal.npy");
        succeed(["sample", "-n", "120", "--seed", "1", "-o", text(&normal)]);
        Self { bundle, normal }
    }

    /// A picture of white rows, under a name.
    fn rows(&self, name: &str, size: [u32; 2], white: std::ops::Range<u32>) -> PathBuf {
        let lit = |_, y| Luma([if white.contains(&y) { 255 } else { 0 }]);
        let path = self.bundle.file(name);
        GrayImage::from_fn(size[0], size[1], lit).save(&path).unwrap();
        path
    }

    /// A sample, with white in its last three rows or as it is.
    fn marked(&self, name: &str, white: bool) -> PathBuf {
        let pixels: Array4<f32> = ndarray_npy::read_npy(&self.normal).unwrap();
        let path = self.bundle.file(name);
        let marked = GrayImage::from_fn(28, 28, |x, y| {
            let value = pixels[[3, y as usize, x as usize, 0]];
            Luma([if white && y >= 25 { 255 } else { (255.0 * value).round() as u8 }])
        });
        marked.save(&path).unwrap();
        path
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(["--model", text(self.bundle.path())].iter().chain(arguments))
    }

    fn line(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_some_and(|code| code < 2), "{said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn what_is_hidden_is_no_anomaly() {
    let line = Line::new();
    let (normal, marked) = (text(&line.normal), line.marked("marked.png", true));
    let mask = line.rows("mask.png", [28, 28], 0..24);
    let masked = line.bundle.file("masked.json");
    let calibrate = ["calibrate", normal, "--far", "0.05", "--format", "json"];
    line.line(&calibrate);
    line.line(&[&calibrate[..], &["--mask", text(&mask), "-o", text(&masked)]].concat());

    let maps = ["a", "b"].map(|name| line.bundle.file(name));
    let score = |maps: &Path, more: &[&str]| {
        let mapped = ["score", text(&marked), "--level", "0.05", "--heatmap", text(maps)];
        line.line(&[&mapped[..], more].concat())
    };
    let whole = score(&maps[0], &[]);
    assert_eq!(whole["label"], "anomaly");
    let below = |region: &Value| region["y"].as_u64().unwrap() + region["height"].as_u64().unwrap();
    assert!(whole["regions"].as_array().unwrap().iter().any(|region| below(region) == 28));
    // The mask is in the calibration, and may be named too.
    let hidden = score(&maps[1], &["--calibration", text(&masked)]);
    assert_ne!(hidden["label"], "anomaly", "{hidden}");
    assert!(hidden["regions"].as_array().unwrap().iter().all(|region| below(region) <= 24));
    let plain = line.marked("plain.png", false);
    for image in [&marked, &plain] {
        let masked = ["--calibration", text(&masked), "--mask", text(&mask)];
        let named = line.line(&[&["score", text(image)], &masked[..]].concat());
        for field in ["score", "p_value", "label", "mse", "nll", "kl", "elbo"] {
            assert_eq!(named[field], hidden[field], "{field}");
        }
    }
}

#[test]
fn a_mask_that_hides_nothing_or_all_or_something_else_is_refused() {
    let line = Line::new();
    let normal = text(&line.normal);
    let mask = line.rows("mask.png", [28, 28], 0..24);
    let [other, small, dark] = [
        ("other.png", [28, 28], 3..24),
        ("small.png", [28, 27], 0..24),
        ("dark.png", [28, 28], 0..0),
    ]
    .map(|(name, size, white)| line.rows(name, size, white));
    let calibration = line.bundle.file("masked.json");
    line.line(&[
        "calibrate",
        normal,
        "--far",
        "0.05",
        "--format",
        "json",
        "--mask",
        text(&mask),
        "-o",
        text(&calibration),
    ]);
    let without = line.bundle.file("calibration.json");
    line.line(&["calibrate", normal, "--far", "0.05", "--format", "json"]);
    let with = ["score", normal, "--calibration", text(&calibration), "--mask"];
    let cases: &[(&[&str], &[&str])] = &[
        (&[&with[..], &[text(&other)]].concat(), &["with another `--mask`", "other.png"]),
        (&["score", normal, "--mask", text(&mask)], &["without `--mask`", "mask.png"]),
        (&["calibrate", normal, "--append", "--mask", text(&mask)], &["without `--mask`"]),
        (
            &["calibrate", normal, "--force", "--mask", text(&dark)],
            &["dark.png", "dark everywhere"],
        ),
        (
            &["calibrate", normal, "--force", "--mask", text(&small)],
            &["28x27", "the model's 28x28"],
        ),
        (&["calibrate", normal, "--force", "--mask", normal], &["normal.npy"]),
    ];
    let before = fs::read(&without).unwrap();
    let failures = cases.iter().filter_map(|(arguments, words)| {
        not_refused(&line.run(arguments), words).map(|reason| format!("{arguments:?}: {reason}"))
    });
    all_well(failures.collect());
    assert_eq!(fs::read(&without).unwrap(), before);

    // A mask of tiles has the size of every image.
    let tiled = ["score", normal, "--calibration", text(&calibration)];
    let tiles = line.run(&[&tiled[..], &["--tile", "28"]].concat());
    assert_eq!(not_refused(&tiles, &["without `--tile`"]), None);
    fs::remove_file(&without).unwrap();
    let other = line.run(&["score", normal, "--tile", "28", "--mask", text(&small)]);
    assert_eq!(not_refused(&other, &["normal.npy[0]", "the mask has shape [27, 28]"]), None);
    let mixed =
        line.run(&["score", normal, "--tile", "14", "--resize", "stretch", "--mask", text(&small)]);
    assert_eq!(not_refused(&mixed, &["a mask takes tiles of the model's 28x28", "14"]), None);
}

/// A tile that is hidden has no part in the score.
#[test]
fn hidden_tiles_do_not_count() {
    let line = Line::new();
    let mut negative = DynamicImage::from(crate::fixture::ring(2));
    negative.invert();
    let pixels: Array4<f32> = ndarray_npy::read_npy(&line.normal).unwrap();
    let mut mosaic = GrayImage::new(28, 84);
    for (k, sample) in pixels.outer_iter().take(2).enumerate() {
        let bytes = sample.iter().map(|v| (255.0 * v).round() as u8).collect();
        let tile = GrayImage::from_raw(28, 28, bytes).unwrap();
        image::imageops::replace(&mut mosaic, &tile, 0, 28 * k as i64);
    }
    image::imageops::replace(&mut mosaic, &negative.into_luma8(), 0, 56);
    let path = line.bundle.file("mosaic.png");
    mosaic.save(&path).unwrap();
    let mask = line.rows("mask.png", [28, 84], 0..56);
    let tiled = ["score", text(&path), "--tile", "28", "--stride", "28"];
    let [all, seen] =
        [&tiled[..], &[&tiled[..], &["--mask", text(&mask)]].concat()].map(|a| line.line(a));
    assert_eq!((&all["tiles"], &all["tile"]["y"]), (&3.into(), &56.into()));
    assert_eq!(seen["tiles"], 2);
    assert!(seen["score"].as_f64() < all["score"].as_f64(), "{seen}");
    let y = seen["tile"]["y"].as_u64().unwrap() as u32;
    let tile = line.bundle.file("tile.png");
    image::imageops::crop_imm(&mosaic, 0, y, 28, 28).to_image().save(&tile).unwrap();
    assert_eq!(
        line.line(&["score", text(&tile)])["mse"],
        seen["mse"],
        "its neighbour hides nothing"
    );
}

/// In the library, for every method that the embedded model has.
#[test]
fn nothing_depends_on_what_is_hidden() {
    let bundle = Bundle::embedded();
    let load = || Model::load(&bundle, &EngineOptions::default()).unwrap();
    let latent = noise::standard_normal(3, 0, 3, bundle.manifest.latent);
    let images = load().decode(latent.view(), &[]).unwrap();
    let seen = Array3::from_shape_fn((3, 28, 28), |(n, y, x)| n == 0 || (y + n < 20 && x > 3));
    let mut others = images.clone();
    let places = others.indexed_iter_mut();
    let hidden = places.filter(|&((n, _, y, x), _)| !seen[[n, y, x]]);
    hidden.for_each(|(_, value)| *value = 1.0 - *value);
    assert_ne!(images, others);
    for method in Method::ALL {
        let Ok(mut scorer) = Scorer::new(&bundle, load(), method, 2) else { continue };
        let whole = scorer.score(images.view()).unwrap();
        let [one, other] =
            [&images, &others].map(|v| scorer.score_seen(v.view(), seen.view()).unwrap());
        assert_eq!((&one.scores, &one.parts), (&other.scores, &other.parts), "{method}");
        // All of the first is seen.
        assert_eq!((one.scores[0], one.parts[0]), (whole.scores[0], whole.parts[0]), "{method}");
        assert_ne!(one.scores[1], whole.scores[1], "{method}");
        for ((n, c, y, x), &value) in other.reconstruction.images.indexed_iter() {
            let (own, same) = (others[[n, c, y, x]], one.reconstruction.images[[n, c, y, x]]);
            let expected = if seen[[n, y, x]] { same } else { own };
            assert_eq!(value, expected, "{method} {y},{x}");
        }
        // The errors of what is seen, over all pixels.
        let errors = (&others - &other.reconstruction.images).mapv(|v| f64::from(v).powi(2));
        for (part, errors) in other.parts.iter().zip(errors.outer_iter()) {
            assert!((part.mse - errors.sum() / 784.0).abs() < 1e-9, "{method}: {part:?}");
        }
    }
    let wrong = Array3::from_elem((3, 28, 27), true);
    let mut scorer = Scorer::new(&bundle, load(), Method::Mse, 1).unwrap();
    assert!(scorer.score_seen(images.view(), wrong.view()).is_err());
}
