//! Calibration and verdicts, from a set of normal images to an alarm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use image::DynamicImage;
use ndarray::{Axis, Slice};
use serde_json::Value;
use vae_infer::anomaly::{Method, PathStatistics, Scorer, Statistics, Whitening};
use vae_infer::manifest::{AnomalySpec, FileSpec};
use vae_infer::{Bundle, EngineOptions, Model, noise};

use crate::fixture::{Copy, all_well, not_refused, ring as ring_image, rings, run, succeed};

/// A bundle with 250 images that are normal for it, 150 others, and rings, which are not.
struct Line {
    bundle: Copy,
    normal: PathBuf,
    more: PathBuf,
    rings: PathBuf,
}

impl Line {
    fn new() -> Self {
        let bundle = Copy::new();
        let beside = bundle.path().join("images");
        fs::create_dir_all(beside.join("rings")).unwrap();
        let (normal, more) = (beside.join("normal.npy"), beside.join("more.npy"));
        for (file, count, seed) in [(&normal, "250", "1"), (&more, "150", "2")] {
            succeed(["sample", "-n", count, "--seed", seed, "-o", file.to_str().unwrap()]);
        }
        rings(&beside.join("rings"), 3);
        Self { bundle, normal, more, rings: beside.join("rings") }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(["--model", self.bundle.path().to_str().unwrap()].iter().chain(arguments))
    }

    fn calibrate(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["calibrate", "--format", "json"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn calibration(&self) -> PathBuf {
        self.bundle.file("calibration.json")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn normal_images_are_called_so_at_the_promised_rate() {
    let line = Line::new();
    let graphs = |name: &str| fs::read(line.bundle.file(name)).unwrap();
    let before = ["manifest.json", "encoder.onnx", "decoder.onnx"].map(graphs);
    let report = line.calibrate(&[text(&line.normal), "--far", "0.02"]);
    assert_eq!((&report["images"], &report["method"]), (&250.into(), &"mse".into()));
    let interval = report["achieved"]["interval"].as_array().unwrap();
    assert!(interval[0].as_f64() < Some(0.02) && Some(0.02) < interval[1].as_f64(), "{report}");
    assert_eq!(before, ["manifest.json", "encoder.onnx", "decoder.onnx"].map(graphs));

    let output = line.run(&["score", text(&line.more), text(&line.rings)]);
    assert_eq!(output.status.code(), Some(1));
    let scored = lines(&output);
    let label =
        |label: &str, scored: &[Value]| scored.iter().filter(|l| l["label"] == label).count();
    assert_eq!((scored.len(), label("anomaly", &scored[150..])), (153, 3));
    // Of 150 normal images, 3 on average and more than 12 once in ten thousand times.
    let alarms = label("anomaly", &scored[..150]);
    assert!(alarms <= 12, "{alarms} false alarms");
    assert!(scored[152]["p_value"].as_f64().unwrap() * 251.0 >= 1.0, "{}", scored[152]);
    let threshold = report["threshold"].as_f64().unwrap();
    for line in &scored {
        let alarm = line["score"].as_f64().unwrap() > threshold;
        assert_eq!(alarm, line["label"] == "anomaly", "{line}");
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let counts = format!("153 images: {} normal, 0 unsure, {} anomalies", 150 - alarms, alarms + 3);
    assert!(said.starts_with(&counts), "{said}");

    let unsure = line.run(&["score", text(&line.more), "--unsure-band", "0.9"]);
    let labels = lines(&unsure);
    assert!(label("unsure", &labels) > 100, "{}", label("unsure", &labels));
    let strict = lines(&line.run(&["score", text(&line.more), "--far", "0.5"]));
    assert!((50..100).contains(&label("anomaly", &strict)), "{}", label("anomaly", &strict));
}

#[test]
fn a_calibration_grows_and_changes_its_rate() {
    let line = Line::new();
    line.calibrate(&[text(&line.normal)]);
    let report = line.calibrate(&[text(&line.normal), text(&line.more), "--append"]);
    let count = |key: &str| report[key].as_u64().unwrap();
    assert_eq!([count("images"), count("added"), count("known")], [400, 150, 250]);
    let report = line.calibrate(&["--far", "0.1"]);
    assert_eq!((&report["images"], &report["rate"]), (&400.into(), &0.1.into()));
    let file: Value = serde_json::from_slice(&fs::read(line.calibration()).unwrap()).unwrap();
    let audit = file["audit"].as_array().unwrap();
    let counts: Vec<_> = audit.iter().map(|entry| entry["images"].as_u64().unwrap()).collect();
    assert_eq!(counts, [250, 150, 0]);
    let rates: Vec<_> = audit.iter().map(|entry| entry["rate"].as_f64().unwrap()).collect();
    assert_eq!(rates, [0.01, 0.01, 0.1]);
    assert_eq!((&audit[1]["engine"], &audit[2]["engine"]), (&audit[0]["engine"], &"none".into()));
    line.calibrate(&["--far", "0.1"]);
    let again: Value = serde_json::from_slice(&fs::read(line.calibration()).unwrap()).unwrap();
    assert_eq!(again, file, "nothing was changed");
    assert!(audit[0]["date"].as_str().unwrap().ends_with('Z'), "{}", audit[0]);
}

#[test]
fn what_would_break_the_promise_is_refused() {
    let line = Line::new();
    let normal = text(&line.normal);
    line.calibrate(&[normal, "-o", text(&line.bundle.file("other.json"))]);
    line.calibrate(&[normal]);
    let other = Copy::new().with_manifest(|manifest| manifest["name"] = "other".into());
    let other = other.path().to_str().unwrap().to_owned();
    let calibration = line.calibration();
    let empty = line.bundle.path().join("images/none.json");
    let damaged = line.bundle.file("damaged.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&fs::read(&calibration).unwrap()).unwrap();
    json["image"]["channels"] = 4.into();
    fs::write(&damaged, json.to_string()).unwrap();
    let cases: &[(&[&str], &[&str])] = &[
        (&["calibrate", normal, "--far", "0.001", "--force"], &["999 are needed, 749 more"]),
        (&["calibrate", normal, "--far", "0", "--force"], &["a number between 0 and 1"]),
        (&["calibrate", normal, "--unsure-band", "0.001", "--force"], &["at least 0.01"]),
        (&["calibrate", normal], &["it exists", "--append"]),
        (&["calibrate", "-o", text(&empty)], &["no calibration", "none.json", "normal images"]),
        (&["calibrate", normal, "--method", "nap", "--force"], &["nap", "layers"]),
        (&["calibrate", normal, "--method", "path", "--force"], &["path", "statistics"]),
        (&["calibrate", normal, "--append", "--method", "nll"], &["with `--method mse`"]),
        (&["score", normal, "--method", "nll"], &["calibrated with `--method mse`"]),
        (
            &["score", normal, "--contract", "0.1", "--on-broken", "no-such-program"],
            &["no program `no-such-program`", "(hint: ./no-such-program"],
        ),
        (&["score", normal, "--far", "0.001"], &["999 are needed"]),
        (&["score", normal, "--calibration", normal], &["not a usable calibration"]),
        (&["score", normal, "--calibration", text(&damaged)], &["1 or 3 channels, not 4"]),
        (&["score", normal, "--heatmap", text(line.bundle.path())], &["it exists"]),
        (
            &["score", normal, "--model", &other, "--calibration", text(&calibration)],
            &["another bundle than `other`"],
        ),
        (&["score", normal, "--model", &other, "--far", "0.1"], &["takes a calibration"]),
    ];
    let before = fs::read(&calibration).unwrap();
    let failures = cases.iter().filter_map(|(arguments, words)| {
        let output = match arguments.contains(&"--model") {
            true => run(*arguments),
            false => line.run(arguments),
        };
        not_refused(&output, words).map(|reason| format!("{arguments:?}: {reason}"))
    });
    all_well(failures.collect());
    assert_eq!(fs::read(&calibration).unwrap(), before, "a refusal leaves the calibration");
    let inside = run(["calibrate", normal]);
    assert_eq!(not_refused(&inside, &["inside this program", "-o FILE"]), None);
}

#[test]
fn a_bad_image_among_many_is_skipped_and_counted() {
    let line = Line::new();
    let bad = line.rings.join("bad.png");
    fs::write(&bad, "no picture").unwrap();
    let folder = text(&line.rings);
    assert_eq!(not_refused(&line.run(&["score", folder]), &["bad.png"]), None);
    let output = line.run(&["score", folder, "--on-error", "skip"]);
    assert!(output.status.success());
    assert_eq!(lines(&output).len(), 3);
    let said = String::from_utf8_lossy(&output.stderr);
    let [skipped, counts] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert!(skipped.starts_with("skipped: ") && skipped.contains("bad.png"), "{said}");
    assert_eq!(counts, "4 images: 3 scored, 1 skipped");
    let none = line.run(&["score", text(&bad), "--on-error", "skip"]);
    let said = String::from_utf8_lossy(&none.stderr);
    assert!(said.ends_with("error: none of 1 images could be scored\n"), "{said}");
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn maps_say_where() {
    let line = Line::new();
    line.calibrate(&[text(&line.normal), "--far", "0.02"]);
    let maps = line.bundle.path().join("maps");
    // A ring on white, where the model knows black.
    let ring = line.bundle.path().join("negative.png");
    let mut negative = DynamicImage::from(ring_image(2));
    negative.invert();
    negative.save(&ring).unwrap();
    let output = line.run(&["score", text(&ring), "--heatmap", text(&maps)]);
    let found = lines(&output);
    let regions = found[0]["regions"].as_array().unwrap();
    assert!(!regions.is_empty() && regions[0]["peak"].is_number(), "{found:?}");
    let size = |name: &str| image::open(maps.join(name)).unwrap().to_rgb8().dimensions();
    assert_eq!([size("negative.png"), size("negative-overlay.png")], [(28, 28); 2]);
    let map: ndarray::Array2<f32> = ndarray_npy::read_npy(maps.join("negative.npy")).unwrap();
    let peak = map.iter().fold(0.0_f32, |peak, &v| peak.max(v));
    assert_eq!(regions[0]["peak"].as_f64().map(|v| v as f32), Some(peak));

    let specks = line.bundle.path().join("specks");
    let large = ["score", text(&ring), "--heatmap", text(&specks), "--min-area", "785"];
    assert_eq!(lines(&line.run(&large))[0]["regions"], Value::Array(vec![]));
}

/// The same images keep the contract; brighter ones break it, say so once and start the program.
#[test]
fn a_drift_breaks_the_contract() {
    let line = Line::new();
    line.calibrate(&[text(&line.normal), "--far", "0.02"]);
    let contract = ["score", text(&line.more), "--contract", "0.01"];
    let held = line.run(&contract);
    let said = String::from_utf8_lossy(&held.stderr).into_owned();
    assert!(said.contains("contract holds after 150 images"), "{said}");

    let pixels: ndarray::Array4<f32> = ndarray_npy::read_npy(&line.more).unwrap();
    let brighter = line.bundle.path().join("brighter.npy");
    ndarray_npy::write_npy(&brighter, &pixels.mapv(|v| (v + 0.1).min(1.0))).unwrap();
    let started = line.bundle.path().join("started");
    let script = line.bundle.path().join("alarm.sh");
    fs::write(&script, format!("#!/bin/sh\necho \"$1\" >> '{}'\n", started.display())).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut arguments = vec!["score", text(&brighter), "--contract", "0.01"];
    if cfg!(unix) {
        arguments.extend(["--on-broken", text(&script)]);
    }
    let said = String::from_utf8(line.run(&arguments).stderr).unwrap();
    let broken: Vec<_> = said.lines().filter(|line| line.starts_with("contract broken")).collect();
    let [broken] = broken[..] else { panic!("{said}") };
    assert!(broken.contains("scores are higher"), "{broken}");
    let at: usize =
        broken["contract broken at image ".len()..].split(':').next().unwrap().parse().unwrap();
    assert!(at <= 40, "{broken}");
    if cfg!(unix) {
        let json: Value = serde_json::from_slice(&fs::read(&started).unwrap()).unwrap();
        assert_eq!((&json["contract"], &json["at"]), (&"broken".into(), &at.into()));
    }
    let none = run(["score", text(&line.more), "--contract", "0.01"]);
    assert_eq!(not_refused(&none, &["takes a calibration"]), None);
}

/// A bundle that can be scored by every method: a hidden layer, and statistics that are made up.
fn of_all_methods() -> Copy {
    let layer = vae_infer::manifest::TensorSpec::new("encoder.1.relu", &[32, 7, 7]);
    let copy = Copy::new().with_manifest(|manifest| {
        manifest["encoder"]["layers"] = serde_json::json!([layer]);
    });
    let whitening = |seed: u64, axes: usize, values: usize| Whitening {
        mean: noise::standard_normal(seed, 0, 1, values).row(0).to_owned(),
        axes: noise::standard_normal(seed, 1, axes, values),
    };
    let bundle = Bundle::open(copy.path()).unwrap();
    let model = Model::load_with_layers(&bundle, &EngineOptions::default()).unwrap();
    let mut scorer = Scorer::new(&bundle, model, Method::Sap, 1).unwrap();
    let images = samples(&bundle, 1);
    let encoding = scorer.encode(images.view()).unwrap();
    let reconstruction = scorer.decode(&encoding).unwrap();
    let layers = scorer.differences(&encoding, &reconstruction).unwrap().ncols();
    let quantiles = ndarray::Array2::from_shape_fn((3, 9), |(_, i)| (i * i) as f32);
    let statistics = Statistics {
        latent: Some(whitening(1, 7, bundle.manifest.latent)),
        path: Some(PathStatistics { quantiles, whitening: whitening(2, 3, 3) }),
        layers: Some(whitening(3, 300, layers)),
        seen: vec![],
    };
    let bytes = statistics.to_bytes();
    fs::write(copy.file("statistics.safetensors"), &bytes).unwrap();
    let spec = FileSpec::of("statistics.safetensors", &bytes);
    let anomaly = AnomalySpec { method: Method::Nap, statistics: spec };
    copy.with_manifest(|manifest| manifest["anomaly"] = serde_json::to_value(anomaly).unwrap())
}

/// Images that a model makes of draws from the prior.
fn samples(bundle: &Bundle, count: usize) -> ndarray::Array4<f32> {
    let latent = noise::standard_normal(3, 0, count, bundle.manifest.latent);
    let mut model = Model::load(bundle, &EngineOptions::default()).unwrap();
    model.decode(latent.view(), &[]).unwrap()
}

/// One method after the other, and all in one pass; images one by one, and together.
#[test]
fn scores_depend_on_nothing_but_the_image() {
    let copy = of_all_methods();
    let bundle = Bundle::open(copy.path()).unwrap();
    let load = || Model::load_with_layers(&bundle, &EngineOptions::default()).unwrap();
    let images = samples(&bundle, 21);
    let mut scorer = Scorer::new(&bundle, load(), Method::Mse, 3).unwrap();
    let together = scorer.score_by_all(images.view()).unwrap();
    assert_eq!(together.iter().map(|(method, _)| *method).collect::<Vec<_>>(), Method::ALL);
    for place in [0, 8, 20] {
        let alone = images.slice_axis(Axis(0), Slice::from(place..=place));
        for ((method, all), (_, one)) in together.iter().zip(scorer.score_by_all(alone).unwrap()) {
            assert_eq!([all[place]], one[..], "{method}");
        }
    }
    for (method, expected) in together {
        let mut scorer = Scorer::new(&bundle, load(), method, 3).unwrap();
        assert_eq!(scorer.score(images.view()).unwrap().scores, expected, "{method}");
    }
}

/// A method that the bundle lacks something for is left out, and layers that are not shown are missed.
#[test]
fn one_pass_leaves_out_what_a_bundle_cannot_be_scored_by() {
    let bundle = Bundle::embedded();
    let images = samples(&bundle, 2);
    let scorer = |bundle: &Bundle, model| Scorer::new(bundle, model, Method::Mse, 1).unwrap();
    let model = Model::load_with_layers(&bundle, &EngineOptions::default()).unwrap();
    let scores = scorer(&bundle, model).score_by_all(images.view()).unwrap();
    let methods: Vec<Method> = scores.iter().map(|(method, _)| *method).collect();
    let expected = Method::ALL.into_iter().filter(|method| method.check(&bundle).is_ok());
    assert_eq!(methods, expected.collect::<Vec<_>>());
    assert_eq!(methods.len(), 6, "no statistics and no layers");

    let copy = of_all_methods();
    let bundle = Bundle::open(copy.path()).unwrap();
    let model = Model::load(&bundle, &EngineOptions::default()).unwrap();
    let refused = scorer(&bundle, model).score_by_all(images.view()).unwrap_err().to_string();
    assert!(refused.contains("layers"), "{refused}");
}

/// A tensor inside the encoder becomes an output without touching the file.
#[test]
fn hidden_layers_are_shown_to_those_who_ask() {
    let graph = fs::read(Copy::new().file("encoder.onnx")).unwrap();
    let layer = vae_infer::manifest::TensorSpec::new("encoder.1.relu", &[32, 7, 7]);
    let shown = Copy::new().with_manifest(|manifest| {
        manifest["encoder"]["layers"] = serde_json::json!([layer]);
    });
    assert_eq!(fs::read(shown.file("encoder.onnx")).unwrap(), graph);
    let bundle = Bundle::open(shown.path()).unwrap();
    let options = EngineOptions::default();
    let images = ndarray::Array4::from_elem((3, 1, 28, 28), 0.5);
    let plain = Model::load(&bundle, &options).unwrap().encode(images.view()).unwrap();
    let shown = Model::load_with_layers(&bundle, &options).unwrap().encode(images.view()).unwrap();
    assert!(plain.layers.is_empty() && plain.posterior == shown.posterior);
    assert_eq!(shown.layers.iter().map(|layer| layer.shape()).collect::<Vec<_>>(), [[3, 32, 7, 7]]);
    assert!(shown.layers[0].iter().all(|&v| v >= 0.0) && shown.layers[0].iter().any(|&v| v > 0.0));

    // The layer averaged to 5 x 5 cells, and the mean; the same image differs by nothing.
    let model = Model::load_with_layers(&bundle, &options).unwrap();
    let mut scorer = Scorer::new(&bundle, model, Method::Sap, 1).unwrap();
    let encoding = scorer.encode(images.view()).unwrap();
    let itself = scorer.decode(&encoding).unwrap();
    let same = vae_infer::Reconstruction { images: images.clone(), ..itself.clone() };
    let none = scorer.differences(&encoding, &same).unwrap();
    assert_eq!(none, ndarray::Array2::<f32>::zeros((3, 32 * 5 * 5 + 10)));
    let some = scorer.differences(&encoding, &itself).unwrap();
    let score = scorer.score(images.view()).unwrap().scores[0];
    let squares = |values: ndarray::ArrayView1<f32>| -> f64 {
        values.iter().map(|&v| f64::from(v).powi(2)).sum()
    };
    let pixels = ndarray::Array1::from_iter((&images - &itself.images).into_iter().take(784));
    let sum = squares(some.row(0)) + squares(pixels.view());
    assert!((score - sum).abs() < 1e-9 * sum && sum > 0.0, "{score}, not {sum}");
}

#[test]
fn a_bundle_with_statistics_travels_as_one_file() {
    let copy = of_all_methods();
    let folder = tempfile::tempdir().unwrap();
    let [file, again] = ["model.vae", "again"].map(|name| folder.path().join(name));
    succeed(["pack", "--model", text(copy.path()), "-o", text(&file)]);
    succeed(["unpack", "--model", text(&file), "-o", text(&again)]);
    let [before, packed, unpacked] =
        [copy.path(), &*file, &*again].map(|path| Bundle::open(path).unwrap());
    assert_eq!(before.files().len(), 5);
    assert!(packed.files() == before.files() && unpacked.files() == before.files());
}
