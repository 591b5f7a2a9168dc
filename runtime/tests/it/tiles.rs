//! Large images by tiles, from a calibration to boxes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use image::{DynamicImage, GrayImage};
use ndarray::{Axis, Slice};
use serde_json::Value;

use crate::fixture::{Copy, all_well, not_refused, ring, run, succeed};

/// A bundle with mosaics of images that are normal for it.
struct Mosaics {
    bundle: Copy,
    samples: Vec<GrayImage>,
}

impl Mosaics {
    fn new() -> Self {
        let bundle = Copy::new();
        fs::create_dir(bundle.file("images")).unwrap();
        let file = bundle.file("samples.npy");
        succeed(["sample", "-n", "160", "--seed", "1", "-o", file.to_str().unwrap()]);
        let pixels: ndarray::Array4<f32> = ndarray_npy::read_npy(file).unwrap();
        let picture = |sample: ndarray::ArrayView3<f32>| {
            let bytes = sample.iter().map(|v| (255.0 * v).round() as u8).collect();
            GrayImage::from_raw(28, 28, bytes).unwrap()
        };
        Self { bundle, samples: pixels.outer_iter().map(picture).collect() }
    }

    /// Writes a mosaic of the samples from `first` on, with the last tile replaced where one is given.
    fn write(
        &self,
        name: &str,
        [columns, rows]: [u32; 2],
        first: usize,
        last: Option<&GrayImage>,
    ) -> PathBuf {
        let mut mosaic = GrayImage::new(28 * columns, 28 * rows);
        for place in 0..columns * rows {
            let sample = &self.samples[(first + place as usize) % self.samples.len()];
            let tile = last.filter(|_| place + 1 == columns * rows).unwrap_or(sample);
            let (x, y) = (i64::from(place % columns * 28), i64::from(place / columns * 28));
            image::imageops::replace(&mut mosaic, tile, x, y);
        }
        let path = self.bundle.file("images").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        mosaic.save(&path).unwrap();
        path
    }

    /// A folder of normal mosaics of three sizes.
    fn normal(&self) -> PathBuf {
        for k in 0..39 {
            let size = [[2, 2], [3, 2], [4, 1]][k % 3];
            self.write(&format!("normal/{k:02}.png"), size, 4 * k, None);
        }
        self.bundle.file("images/normal")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(["--model", self.bundle.path().to_str().unwrap()].iter().chain(arguments))
    }

    fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_some_and(|code| code < 2), "{stderr}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn negative() -> GrayImage {
    let mut negative = DynamicImage::from(ring(2));
    negative.invert();
    negative.into_luma8()
}

#[test]
fn a_large_image_is_scored_by_its_worst_tile() {
    let mosaics = Mosaics::new();
    let large = mosaics.write("large.png", [3, 2], 0, Some(&negative()));
    let tiles: Vec<PathBuf> = (0..5)
        .map(|k| mosaics.write(&format!("tile{k}.png"), [1, 1], k, None))
        .chain([mosaics.write("tile5.png", [1, 1], 0, Some(&negative()))])
        .collect();
    let tiles: Vec<&str> = tiles.iter().map(|path| text(path)).collect();
    for method in ["mse", "probability", "gradient"] {
        let scoring = ["score", "--method", method, "--draws", "2"];
        let whole = [&scoring[..], &["--tile", "28", "--stride", "28", text(&large)]].concat();
        let [line] = &mosaics.lines(&whole)[..] else { panic!("one line") };
        let alone = mosaics.lines(&[&scoring[..], &tiles].concat());
        let worst = alone.last().unwrap();
        for field in ["score", "mse", "nll", "kl", "elbo"] {
            assert_eq!(line[field], worst[field], "{method} {field}");
        }
        let highest = alone.iter().map(|line| line["score"].as_f64().unwrap());
        assert_eq!(line["score"].as_f64(), highest.reduce(f64::max), "{method}");
        assert_eq!(line["tiles"], 6);
        let place = serde_json::json!({"x": 56, "y": 28, "width": 28, "height": 28});
        assert_eq!(line["tile"], place);
    }
    // Half of the side is the stride where none is named: 5 columns and 3 rows.
    assert_eq!(mosaics.lines(&["score", "--tile", "28", text(&large)])[0]["tiles"], 15);
    // An image that is one tile has the scores of the whole, and a whole has no tile.
    let [one] = &mosaics.lines(&["score", "--tile", "28", tiles[0]])[..] else { panic!("one") };
    let [whole] = &mosaics.lines(&["score", tiles[0]])[..] else { panic!("one") };
    assert_eq!((&one["tiles"], &one["mse"]), (&1.into(), &whole["mse"]));
    assert!(whole.get("tile").is_none() && whole.get("tiles").is_none());
}

#[test]
fn a_calibration_by_tiles_finds_the_one_that_is_wrong() {
    let mosaics = Mosaics::new();
    let normal = mosaics.normal();
    let tiled = ["--tile", "28", "--stride", "14", "--far", "0.05"];
    let report =
        mosaics.lines(&[&["calibrate", text(&normal), "--format", "json"], &tiled[..]].concat());
    assert_eq!(report[0]["images"], 39);
    let calibration = fs::read(mosaics.bundle.file("calibration.json")).unwrap();
    let calibration: Value = serde_json::from_slice(&calibration).unwrap();
    assert_eq!(calibration["tiling"], serde_json::json!({"side": 28, "stride": 14}));
    let again = mosaics.lines(&["calibrate", text(&normal), "--append", "--format", "json"]);
    assert_eq!((&again[0]["added"], &again[0]["known"]), (&0.into(), &39.into()));
    assert_eq!(again[0]["rate"], 0.05, "as it was");

    mosaics.write("parts/good.png", [3, 3], 120, None);
    mosaics.write("parts/wrong.png", [5, 2], 130, Some(&negative()));
    let maps = mosaics.bundle.file("maps");
    let parts = mosaics.bundle.file("images/parts");
    let scored = mosaics.lines(&["score", text(&parts), "--heatmap", text(&maps)]);
    let [good, wrong] = &scored[..] else { panic!("{scored:?}") };
    assert_eq!((&wrong["label"], &wrong["tiles"]), (&"anomaly".into(), &27.into()));
    assert_eq!((&wrong["tile"]["x"], &wrong["tile"]["y"]), (&112.into(), &28.into()));
    assert!(good["p_value"].as_f64() > wrong["p_value"].as_f64(), "{good}");
    for (line, size) in [(good, (84, 84)), (wrong, (140, 56))] {
        let file = |end: &str| maps.join(format!("{}{end}", line["map"].as_str().unwrap()));
        for end in [".png", "-overlay.png"] {
            assert_eq!(image::image_dimensions(file(end)).unwrap(), size, "{end}");
        }
        let map: ndarray::Array2<f32> = ndarray_npy::read_npy(file(".npy")).unwrap();
        assert_eq!(map.dim(), (size.1 as usize, size.0 as usize));
        let peak = map.iter().fold(0.0_f32, |peak, &v| peak.max(v));
        let first = line["regions"].as_array().unwrap().first();
        let first = first.map(|region| region["peak"].as_f64().unwrap() as f32);
        assert!(first.is_none_or(|first| first == peak), "{line}");
    }
    // In the picture's pixels; smoothing reaches beyond the tile by a few of them.
    let region = &wrong["regions"][0];
    assert!(region["x"].as_u64() >= Some(104) && region["y"].as_u64() >= Some(20), "{region}");
}

#[test]
fn what_cannot_be_cut_or_compared_is_refused() {
    let mosaics = Mosaics::new();
    let normal = mosaics.normal();
    let (normal, small) = (text(&normal), mosaics.bundle.file("images/small.png"));
    GrayImage::new(27, 40).save(&small).unwrap();
    let whole = mosaics.write("whole.png", [1, 1], 3, None);
    let other = mosaics.bundle.file("other.json");
    let tiled = ["--tile", "28", "--far", "0.05"];
    mosaics.lines(&[&["calibrate", normal, "--format", "json"], &tiled[..]].concat());
    let elsewhere = mosaics.bundle.file("none.json");
    let cases: &[(&[&str], &[&str])] = &[
        (&["score", normal, "--tile", "14"], &["with `--tile 28`", "`--tile 14`"]),
        (&["score", normal, "--tile", "28", "--stride", "28"], &["with `--stride 14`"]),
        (&["score", normal, "--resize", "crop"], &["with `--resize refuse`"]),
        (&["calibrate", normal, "--append", "--tile", "14"], &["with `--tile 28`"]),
        (&["score", text(&small)], &["small.png", "[40, 27]", "at least [28, 28]"]),
        (&["score", normal, "--stride", "9"], &["--tile"]),
        (&["score", normal, "--tile", "0"], &["--tile"]),
        (
            &["calibrate", normal, "--tile", "56", "-o", text(&elsewhere)],
            &["the side of tiles is 56", "28x28", "--resize"],
        ),
        (
            &["calibrate", normal, "--tile", "28", "--stride", "29", "-o", text(&elsewhere)],
            &["the stride of tiles is 29"],
        ),
    ];
    let failures = cases.iter().filter_map(|(arguments, words)| {
        let refused = not_refused(&mosaics.run(arguments), words);
        refused.map(|reason| format!("{arguments:?}: {reason}"))
    });
    all_well(failures.collect());
    assert!(!elsewhere.exists());

    let alone = ["calibrate", text(&whole), "--far", "0.5", "--format", "json", "-o", text(&other)];
    mosaics.lines(&alone);
    let without = ["score", normal, "--calibration", text(&other), "--tile", "28"];
    assert_eq!(not_refused(&mosaics.run(&without), &["without `--tile`"]), None);
}

/// A tile of another size than the model's is resized, and its map is brought back.
#[test]
fn tiles_may_be_larger_than_the_model() {
    let mosaics = Mosaics::new();
    let picture = mosaics.write("half.png", [2, 2], 0, None);
    let larger = image::imageops::resize(
        &image::open(&picture).unwrap().into_luma8(),
        112,
        112,
        image::imageops::FilterType::Nearest,
    );
    let large = mosaics.bundle.file("images/large.png");
    larger.save(&large).unwrap();
    let maps = mosaics.bundle.file("maps");
    let line = mosaics.lines(&[
        "score",
        text(&large),
        "--tile",
        "56",
        "--stride",
        "56",
        "--resize",
        "stretch",
        "--heatmap",
        text(&maps),
        "--level",
        "0.5",
    ]);
    assert_eq!(line[0]["tiles"], 4);
    let map: ndarray::Array2<f32> = ndarray_npy::read_npy(maps.join("large.npy")).unwrap();
    assert_eq!(map.dim(), (112, 112));
    // The tile with the highest error has, over its pixels, about that error.
    let [x, y] = ["x", "y"].map(|side| line[0]["tile"][side].as_u64().unwrap() as usize);
    let rows = map.slice_axis(Axis(0), Slice::from(y..y + 56));
    let tile = rows.slice_axis(Axis(1), Slice::from(x..x + 56));
    let (mean, mse) = (f64::from(tile.mean().unwrap()), line[0]["mse"].as_f64().unwrap());
    assert!((mean - mse).abs() < 0.1 * mse, "{mean}, not {mse}");
}
