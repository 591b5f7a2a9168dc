//! Every command on its plain way.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use ndarray::{Array1, Array3, Axis};
use ndarray_npy::ReadNpyExt;
use vae_infer::npy;

use crate::fixture::{all_well, command, digits, not_refused, rings, run, succeed};

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap()
}

fn array(path: &str) -> ndarray::ArrayD<f32> {
    npy::floats(path, &fs::read(path).unwrap()).unwrap()
}

#[test]
fn reconstruct_writes_pictures_and_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let images = rings(folder.path(), 3);
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let image = images[0].to_str().unwrap();

    let text = succeed(["reconstruct", image, "-o", &at("one.png"), "--format", "text"]);
    assert!(text.starts_with("mse ") && text.trim_end().ends_with(image), "{text}");
    let one = image::open(at("one.png")).unwrap();
    assert_eq!((one.width(), one.height()), (28, 28));

    succeed(["reconstruct", image, "-o", &at("pair.png"), "--side-by-side"]);
    let pair = image::open(at("pair.png")).unwrap();
    assert_eq!((pair.width(), pair.height()), (56, 28));
    assert_eq!(pair.crop_imm(0, 0, 28, 28), image::open(image).unwrap());
    assert_eq!(pair.crop_imm(28, 0, 28, 28), one);

    let all = ["reconstruct", images[0].to_str().unwrap(), images[1].to_str().unwrap()];
    let lines = succeed(all.iter().copied().chain(["-o", &at("all.npy"), "--format", "json"]));
    assert_eq!(lines.lines().count(), 2);
    let line = json(lines.lines().next().unwrap());
    assert_eq!(line["engine"], "native/cpu");
    let elbo = -(line["nll"].as_f64().unwrap() + line["kl"].as_f64().unwrap());
    let off = (line["elbo"].as_f64().unwrap() - elbo).abs();
    assert!(off <= 1e-14 * elbo.abs(), "{line}"); // what reading numbers rounds
    assert_eq!(array(&at("all.npy")).shape(), [2, 28, 28, 1]);
    let again = succeed(["score", &at("all.npy")]);
    assert_eq!(again.lines().count(), 2);
}

#[test]
fn standard_input_and_output_are_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let image = fs::read(&rings(folder.path(), 1)[0]).unwrap();
    for (target, magic) in [("png:-", &b"\x89PNG"[..]), ("-", b"\x93NUM")] {
        let mut child = command(["reconstruct", "-", "-o", target])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&image).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stdout.starts_with(magic), "{target}");
    }
}

#[test]
fn encode_then_decode_is_reconstruct() {
    let folder = tempfile::tempdir().unwrap();
    let image = rings(folder.path(), 1)[0].to_str().unwrap().to_owned();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    succeed(["encode", &image, "-o", &at("mean.npy"), "--out-log-var", &at("log_var.npy")]);
    let line = json(&succeed(["encode", &image]));
    let mean: Vec<f32> = serde_json::from_value(line["mean"].clone()).unwrap();
    let log_var: Vec<f32> = serde_json::from_value(line["log_var"].clone()).unwrap();
    assert_eq!(array(&at("mean.npy")).into_iter().collect::<Vec<_>>(), mean);
    assert_eq!(array(&at("log_var.npy")).into_iter().collect::<Vec<_>>(), log_var);

    succeed(["decode", &at("mean.npy"), "-o", &at("decoded.npy")]);
    succeed(["reconstruct", &image, "-o", &at("reconstructed.npy")]);
    assert_eq!(fs::read(at("decoded.npy")).unwrap(), fs::read(at("reconstructed.npy")).unwrap());
}

#[test]
fn sample_draws_a_grid_that_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    succeed([
        "sample",
        "-n",
        "5",
        "--seed",
        "7",
        "-o",
        &at("a.png"),
        "--out-latents",
        &at("z.npy"),
    ]);
    let grid = image::open(at("a.png")).unwrap();
    assert_eq!((grid.width(), grid.height()), (84, 56));
    let latents = array(&at("z.npy"));
    let drawn = vae_infer::noise::standard_normal(7, 0, 5, latents.shape()[1]);
    assert_eq!(latents, drawn.into_dyn());
    succeed(["sample", "-n", "5", "--seed", "8", "-o", &at("b.png")]);
    assert_ne!(fs::read(at("a.png")).unwrap(), fs::read(at("b.png")).unwrap());
}

#[test]
fn perturb_makes_labelled_copies_of_the_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut images = Array3::<u8>::zeros((6, 28, 28));
    for (k, mut image) in images.axis_iter_mut(Axis(0)).enumerate() {
        let ring = crate::fixture::ring(k as u32).into_raw();
        image.iter_mut().zip(ring).for_each(|(to, from)| *to = from);
    }
    npy::write(at("x.npy").as_ref(), &images).unwrap();
    npy::write(at("l.npy").as_ref(), &Array1::from_iter([10_u8, 11, 12, 13, 14, 15])).unwrap();
    let perturb = |ids: &str, copies: &str, sigma: &str, noise: &str, out: &str| {
        let labels = format!("{out}.labels.npy");
        succeed([
            "perturb",
            &at("x.npy"),
            "--ids",
            ids,
            "--copies",
            copies,
            "--sigma",
            sigma,
            "--noise",
            noise,
            "--labels",
            &at("l.npy"),
            "-o",
            &at(out),
            "--out-labels",
            &at(&labels),
        ]);
        let labels = Array1::<i64>::read_npy(fs::File::open(at(&labels)).unwrap()).unwrap();
        (array(&at(out)), labels.to_vec())
    };
    let (many, labels) = perturb("1-2,5", "3", "1.0", "posterior", "many.npy");
    assert_eq!(many.shape(), [9, 28, 28, 1]);
    assert_eq!(labels, [11, 11, 11, 12, 12, 12, 15, 15, 15]);
    let (few, _) = perturb("5", "2", "1.0", "posterior", "few.npy");
    assert_eq!(
        few.index_axis(Axis(0), 1),
        many.index_axis(Axis(0), 7),
        "only seed, id and copy count"
    );
    assert_ne!(few.index_axis(Axis(0), 0), few.index_axis(Axis(0), 1));
    let (latent, _) = perturb("5", "2", "1.0", "latent", "latent.npy");
    assert_ne!(latent, few);
    let (still, _) = perturb("5", "2", "0", "latent", "still.npy");
    assert_eq!(still.index_axis(Axis(0), 0), still.index_axis(Axis(0), 1));
}

#[test]
fn interpolate_begins_and_ends_at_the_reconstructions() {
    let folder = tempfile::tempdir().unwrap();
    let images = rings(folder.path(), 2);
    let [a, b] = [0, 1].map(|i| images[i].to_str().unwrap());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    succeed(["interpolate", a, b, "--steps", "4", "-o", &at("way.npy")]);
    succeed(["reconstruct", a, b, "-o", &at("ends.npy")]);
    let (way, ends) = (array(&at("way.npy")), array(&at("ends.npy")));
    assert_eq!(way.shape(), [4, 28, 28, 1]);
    assert_eq!(way.index_axis(Axis(0), 0), ends.index_axis(Axis(0), 0));
    assert_eq!(way.index_axis(Axis(0), 3), ends.index_axis(Axis(0), 1));
    succeed(["interpolate", a, b, "-o", &at("way.png")]);
    assert_eq!(image::open(at("way.png")).unwrap().width(), 8 * 28);
}

#[test]
fn info_verify_and_doctor_speak_text_and_json() {
    let digits = digits();
    let digits = digits.to_str().unwrap();
    let info = json(&succeed(["info", "--format", "json", "--model", digits]));
    assert_eq!(info["engine"], "native/cpu");
    assert!(info["parameters"].as_u64().unwrap() > 10_000);
    assert_eq!(info["manifest"]["name"], "digits");
    assert!(succeed(["info"]).contains("latent"));

    for line in succeed(["verify", "--format", "json"]).lines().map(json) {
        assert_eq!(line["ok"], true, "{line}");
    }
    assert_eq!(succeed(["verify"]).lines().count(), 4, "three outputs and the verdicts");

    let doctor = succeed(["doctor", "--format", "json"]);
    let lines: Vec<_> = doctor.lines().map(json).collect();
    for engine in vae_infer::Engine::BUILT {
        let line = lines.iter().find(|line| line["engine"] == engine.to_string());
        assert!(line.is_some(), "{engine}: {doctor}");
    }
    let tract = lines.iter().find(|line| line["engine"] == "tract").unwrap();
    assert_eq!((&tract["provider"], &tract["works"]), (&"cpu".into(), &true.into()));
}

#[test]
fn completions_and_manual_pages_are_generated() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(succeed(["completions", shell]).contains("vae-infer"), "{shell}");
    }
    assert!(succeed(["man"]).starts_with(".ie"));
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man");
    succeed(["man", "-o", pages.to_str().unwrap()]);
    assert!(pages.join("vae-infer.1").is_file() && pages.join("vae-infer-perturb.1").is_file());
}

#[test]
fn a_wrong_command_line_is_refused_in_one_line() {
    let cases: [(&[&str], &[&str]); 5] = [
        (&["calibrate", "x", "--fra", "1"], &["'--fra'", "hint"]),
        (&["score", "x", "--engine", "fast"], &["'fast'", "native, tract, ort"]),
        (&["decode"], &["required", "--help"]),
        (&["inspect"], &["'inspect'"]),
        (&["perturb", "x", "--copies", "many"], &["'many'"]),
    ];
    let wrong = |(arguments, words): (&[&str], &[&str])| {
        let reason = not_refused(&run(arguments), words)?;
        Some(format!("{arguments:?}: {reason}"))
    };
    all_well(cases.into_iter().filter_map(wrong).collect());
    assert!(succeed(["score", "--help"]).contains("Usage: "));
}
