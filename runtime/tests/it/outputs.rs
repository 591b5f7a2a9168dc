//! Files that are written: whole, under their own name, and never over another without being told.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use image::ImageFormat;

use crate::fixture::{all_well, command, encoded, not_refused, ring, rings, run, succeed};

#[test]
fn outputs_that_would_harm_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let images = rings(folder.path(), 2);
    let [a, b] = [0, 1].map(|i| images[i].to_str().unwrap());
    let existing = folder.path().join("existing.png");
    fs::write(&existing, "precious").unwrap();
    let existing = existing.to_str().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (other, missing, one) = (at("x.jpg"), at("no/such/x.png"), at("one.png"));
    let directory = folder.path().to_str().unwrap();
    let npy = at("same.npy");
    let (device, arrays) = (at("device.npy"), at("arrays.npy"));
    vae_infer::npy::write(arrays.as_ref(), &ndarray::Array3::<u8>::zeros((3, 28, 28))).unwrap();
    std::os::unix::fs::symlink("/dev/null", &device).unwrap();

    let cases: Vec<(&str, &str, Vec<&str>)> = vec![
        ("O2 no folder", "there is no folder", vec!["reconstruct", a, "-o", &missing]),
        ("O3 exists", "--force", vec!["reconstruct", a, "-o", existing]),
        ("O3 sample", "--force", vec!["sample", "-n", "1", "-o", existing]),
        ("O4 input", "it is an input", vec!["reconstruct", a, "-o", a]),
        ("O4 input by force", "it is an input", vec!["reconstruct", a, "-o", a, "--force"]),
        ("O4 in its folder", "it is an input", vec!["reconstruct", a, "-o", directory, "--force"]),
        ("O5 folder", "end in", vec!["sample", "-n", "1", "-o", directory]),
        ("O5 device", "regular file", vec!["encode", a, "-o", &device, "--force"]),
        ("other format", "end in", vec!["reconstruct", a, "-o", &other]),
        ("O4 calibration", "it is an input", vec!["calibrate", &arrays, "-o", &arrays, "--force"]),
        ("O2 calibration", "no folder", vec!["calibrate", &arrays, "-o", &missing]),
        ("two in one", "holds one image", vec!["reconstruct", a, b, "-o", &one]),
        ("one name", "two outputs", vec!["sample", "-n", "1", "-o", &npy, "--out-latents", &npy]),
        ("one bad of many", "/no/such.png", vec!["reconstruct", a, "/no/such.png", "-o", &npy]),
    ];
    let before = listing(folder.path());
    let mut failures = Vec::new();
    for (case, word, arguments) in cases {
        let output = run(&arguments);
        failures.extend(not_refused(&output, &[word]).map(|f| format!("{case}: {f}")));
    }
    if listing(folder.path()) != before || fs::read_to_string(existing).unwrap() != "precious" {
        failures.push("something was written".into());
    }
    all_well(failures);
}

fn listing(folder: &std::path::Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn a_folder_keeps_its_structure_and_loses_no_name() {
    let folder = tempfile::tempdir().unwrap();
    for sub in ["in/a", "in/b", "other"] {
        fs::create_dir_all(folder.path().join(sub)).unwrap();
        rings(&folder.path().join(sub), 2);
    }
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    succeed([
        "reconstruct",
        &at("in"),
        &at("other/ring0.png"),
        &at("in/a/ring0.png"),
        "-o",
        &at("out"),
    ]);
    let out = folder.path().join("out");
    for name in
        ["a/ring0.png", "a/ring1.png", "b/ring0.png", "b/ring1.png", "ring0.png", "ring0-2.png"]
    {
        assert!(image::open(out.join(name)).is_ok(), "{name} is missing");
    }
    assert_eq!(listing(&out), ["a", "b", "ring0-2.png", "ring0.png"]);
    assert_eq!(listing(folder.path()), ["in", "other", "out"]);
    assert_eq!(run(["reconstruct", &at("in"), "-o", &at("out")]).status.code(), Some(2));
    succeed(["reconstruct", &at("in"), "-o", &at("out"), "--force"]);
}

/// Another program writes under the name while the results are made.
#[test]
fn a_file_that_appears_meanwhile_is_kept() {
    let mut failures = Vec::new();
    for (case, target, file) in
        [("encode", "results.npy", "results.npy"), ("reconstruct", "there", "there/stdin.png")]
    {
        for force in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let there = folder.join("there");
            fs::create_dir(&there).unwrap();
            let mut arguments = vec![case, "-", "-o", target];
            arguments.extend(force.then_some("--force"));
            let mut child = command(arguments)
                .current_dir(folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let begun = |place| {
                listing(place).iter().any(|name| name.to_string_lossy().starts_with(".vae-"))
            };
            while ![folder, &there].into_iter().any(begun) {
                assert!(child.try_wait().unwrap().is_none(), "{case} has ended");
            }
            fs::write(folder.join(file), "precious").unwrap();
            let picture = encoded(&ring(0).into(), ImageFormat::Png);
            child.stdin.take().unwrap().write_all(&picture).unwrap();
            let output = child.wait_with_output().unwrap();
            let kept = fs::read(folder.join(file)).unwrap() == b"precious";
            let left = [folder, &there].into_iter().any(begun);
            if force {
                assert!(output.status.success() && !kept, "{case}: {output:?}");
            } else {
                failures.extend(
                    not_refused(&output, &[file, "it exists (hint: --force"])
                        .map(|f| format!("{case}: {f}")),
                );
                assert!(kept && !left, "{case}");
            }
        }
    }
    all_well(failures);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("many.npy");
    vae_infer::npy::write(&images, &ndarray::Array3::<u8>::zeros((2000, 28, 28))).unwrap();
    let mut child = command(["score", images.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(line.starts_with("{\"name\":"));
}

/// As a volume that is mounted for the results: a name cannot be moved there from beside it.
#[test]
#[cfg(target_os = "linux")]
fn results_go_into_a_folder_on_another_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let image = rings(folder.path(), 1)[0].to_str().unwrap().to_owned();
    let out = folder.path().join("out");
    std::os::unix::fs::symlink(disk.path(), &out).unwrap();
    succeed(["reconstruct", &image, "-o", out.to_str().unwrap()]);
    assert_eq!(listing(disk.path()), ["ring0.png"]);
    assert_eq!(listing(folder.path()), ["out", "ring0.png"]);
}

#[test]
fn two_maps_under_one_name_are_refused_whoever_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let (images, maps) = (folder.path().join("images"), folder.path().join("maps"));
    fs::create_dir(&images).unwrap();
    for (from, to) in rings(&images, 2).iter().zip(["a.png", "a-overlay.png"]) {
        fs::rename(from, images.join(to)).unwrap();
    }
    let [images, maps] = [&images, &maps].map(|path| path.to_str().unwrap());
    let output = run(["score", images, "--heatmap", maps, "--level", "0.1"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("two images would be written as") && said.lines().count() == 1, "{said}");
    assert_eq!(listing(folder.path()), ["images"]);
}
