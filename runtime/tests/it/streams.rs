//! Arrays that are written as they are made: the same bytes as all at once, and nothing of what breaks off.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use ndarray::{Array, Array1, Array3, Array4, ArrayD, Axis, IxDyn};
use vae_infer::write::publish;
use vae_infer::{Error, npy};

use crate::fixture::{all_well, command, encoded, not_refused, ring, rings, run, signal, succeed};

/// Images, more than a batch.
const COUNT: usize = 150;

fn images(folder: &Path) -> String {
    let path = folder.join("images.npy");
    let images = Array3::from_shape_fn((COUNT, 28, 28), |(n, y, x)| ((n * y + 3 * x) % 251) as u8);
    npy::write(&path, &images).unwrap();
    path.to_str().unwrap().to_owned()
}

fn array(path: &str) -> ArrayD<f32> {
    npy::floats(path, &fs::read(path).unwrap()).unwrap()
}

fn listing(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// An array's file, written in parts of so many rows.
fn written(array: &ArrayD<f32>, part: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let mut rows = npy::Rows::create(&path, &array.shape()[1..]).unwrap();
    for part in array.axis_chunks_iter(Axis(0), part) {
        rows.add(part).unwrap();
    }
    publish([rows.finish().unwrap()], false).unwrap();
    fs::read(path).unwrap()
}

#[test]
fn a_file_has_the_same_bytes_whatever_it_is_written_in() {
    let many = [2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    let shapes = [&[7][..], &[0, 3], &[70, 3], &[9, 5, 4], &[100, 28, 28, 1], &[1, 2, 3, 4], &many];
    for shape in shapes {
        let mut values = (0..).map(|value| value as f32);
        let array = Array::from_shape_simple_fn(IxDyn(shape), || values.next().unwrap());
        for part in [1, 4, 64] {
            assert_eq!(written(&array, part), npy::encode(&array), "{shape:?} by {part}");
        }
        assert_eq!(npy::floats("x.npy", &npy::encode(&array)).unwrap(), array);
    }
}

#[test]
fn rows_of_another_shape_are_refused_and_what_is_dropped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let mut rows = npy::Rows::create(&path, &[2, 3, 1]).unwrap();
    rows.add(Array4::<f32>::zeros((5, 2, 3, 1)).view()).unwrap();
    for wrong in [vec![], vec![5], vec![5, 2, 3], vec![5, 3, 2, 1]] {
        let refused = rows.add(ArrayD::<f32>::zeros(wrong).view());
        assert!(matches!(refused, Err(Error::Shape { .. })), "{refused:?}");
    }
    let file = rows.finish().unwrap();
    let there = || fs::read_dir(&folder).unwrap().count();
    assert_eq!((there(), path.exists()), (1, false));
    drop(file);
    assert_eq!(there(), 0);
    assert!(npy::Rows::<f32>::create(&path, &[1; 100_000]).is_err());
}

/// Standard output has all at once.
#[test]
fn a_file_has_the_bytes_that_standard_output_has() {
    let folder = tempfile::tempdir().unwrap();
    let images = images(folder.path());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (x, means) = (at("x.npy"), at("means.npy"));
    succeed(["encode", &images, "-o", &means]);
    let rings = rings(folder.path(), 2);
    let [first, second] = [0, 1].map(|k| rings[k].to_str().unwrap());
    let cases = [
        (COUNT, vec!["reconstruct", &images]),
        (COUNT, vec!["decode", &means]),
        (COUNT, vec!["sample", "-n", "150", "--seed", "3"]),
        (3 * COUNT, vec!["perturb", &images, "--copies", "3"]),
        (2 * 70, vec!["perturb", &images, "--copies", "70", "--ids", "3,149"]),
        (131, vec!["interpolate", first, second, "--steps", "131"]),
    ];
    for (count, arguments) in cases {
        succeed([&arguments[..], &["-o", &x, "--force"]].concat());
        let held = run([&arguments[..], &["-o", "-"]].concat());
        assert!(fs::read(&x).unwrap() == held.stdout, "{arguments:?}");
        assert_eq!(array(&x).shape(), [count, 28, 28, 1], "{arguments:?}");
    }
}

#[test]
fn every_row_is_the_result_of_its_image_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let inputs = folder.path().join("in");
    fs::create_dir(&inputs).unwrap();
    for k in 0..130 {
        let picture = encoded(&ring(k % 11).into(), image::ImageFormat::Png);
        fs::write(inputs.join(format!("{k:03}.png")), picture).unwrap();
    }
    let (all, one) = (at("all.npy"), at("one.npy"));
    let inputs = inputs.to_str().unwrap();
    succeed(["reconstruct", inputs, "-o", &all]);
    let (labels, varied) = (at("labels.npy"), at("varied.npy"));
    npy::write(at("given.npy").as_ref(), &Array1::from_iter(0..130_u8)).unwrap();
    let labelled = ["--labels", &at("given.npy"), "--out-labels", &labels];
    succeed([&["perturb", inputs, "--copies", "2", "-o", &varied], &labelled[..]].concat());
    let (reconstructed, varied) = (array(&all), array(&varied));
    for k in [0, 63, 64, 129] {
        let image = format!("{inputs}/{k:03}.png");
        succeed(["reconstruct", &image, "-o", &one, "--force"]);
        assert_eq!(array(&one).index_axis(Axis(0), 0), reconstructed.index_axis(Axis(0), k));
        let ids = k.to_string();
        let alone = ["perturb", inputs, "--copies", "2", "--ids", &ids, "-o", &one, "--force"];
        succeed(alone);
        for copy in 0..2 {
            let row = varied.index_axis(Axis(0), 2 * k + copy);
            assert_eq!(array(&one).index_axis(Axis(0), copy), row, "{copy} of {k}");
        }
    }
    let labels = npy::labels("", &fs::read(labels).unwrap()).unwrap();
    assert_eq!(labels, (0..260).map(|variant| variant / 2).collect::<Vec<_>>());
}

#[test]
fn what_is_found_wrong_at_the_end_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let images = images(folder.path());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (name, labels) in [("few.npy", COUNT - 1), ("many.npy", COUNT + 1)] {
        npy::write(at(name).as_ref(), &Array1::<u8>::zeros(labels)).unwrap();
    }
    let (x, labels, few, many) = (at("x.npy"), at("l.npy"), at("few.npy"), at("many.npy"));
    // Nothing but what is read tells that there are more than one.
    fs::rename(&images, at("images.png")).unwrap();
    let images = at("images.png");
    let perturb = |rest: &[&str]| run([&["perturb", &images, "-o", &x], rest].concat());
    let before = listing(folder.path());
    let cases = [
        (perturb(&["--ids", "0-149,150"]), "--ids names 150"),
        (perturb(&["--ids", "500"]), "--ids names 500"),
        (
            perturb(&["--labels", &few, "--out-labels", &labels]),
            "149 labels, and there are more images",
        ),
        (perturb(&["--labels", &many, "--out-labels", &labels]), "151 labels for 150 images"),
    ];
    let failures = cases.iter().filter_map(|(output, words)| not_refused(output, &[words]));
    all_well(failures.collect());
    assert_eq!(listing(folder.path()), before);
}

#[test]
fn what_a_header_tells_is_refused_before_an_image_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (images, x, y) = (at("images.npy"), at("x.npy"), at("y.npy"));
    // No image of it is one that the model takes.
    npy::write(images.as_ref(), &Array3::<f32>::from_elem((3, 28, 28), 7.0)).unwrap();
    for (name, labels) in [("few.npy", 2), ("many.npy", 4)] {
        npy::write(at(name).as_ref(), &Array1::<u8>::zeros(labels)).unwrap();
    }
    let (latents, none) = (at("latents.npy"), at("none.npy"));
    npy::write(latents.as_ref(), &Array::<f32, _>::zeros((10, 8))).unwrap();
    npy::write(none.as_ref(), &Array3::<u8>::zeros((1_000_000_000_000, 0, 28))).unwrap();
    // Bytes that take no room on a disk, named so often that none has room for what is made of them.
    let huge = at("huge.npy");
    npy::write(huge.as_ref(), &Array3::<u8>::zeros((0, 28, 28))).unwrap();
    let header = fs::read(&huge).unwrap();
    let declared = String::from_utf8_lossy(&header[6..])
        .replace("(0, 28, 28), }       ", "(4000000, 28, 28), } ");
    fs::write(&huge, [&header[..6], declared.as_bytes()].concat()).unwrap();
    let file = fs::File::options().write(true).open(&huge).unwrap();
    file.set_len((header.len() + 4_000_000 * 28 * 28) as u64).unwrap();
    let every = |command, rest: &[&str]| run([&[command], &vec![&*huge; 8000][..], rest].concat());

    let before = listing(folder.path());
    let labels =
        |given: &str| run(["perturb", &images, "-o", &x, "--labels", given, "--out-labels", &y]);
    let cases = [
        (labels(&at("few.npy")), "holds 2 labels for 3 images"),
        (labels(&at("many.npy")), "holds 4 labels for 3 images"),
        (run(["perturb", &images, "-o", &x, "--ids", "1,3"]), "--ids names 3, and the 3 images"),
        (run(["reconstruct", &images, "-o", &at("x.png")]), "a .png holds one image"),
        (run(["reconstruct", &latents, "-o", &at("x.png")]), "its shape is [10, 8]"),
        (run(["perturb", &none, "-o", &x, "--ids", "0"]), "it holds no picture"),
        (every("reconstruct", &["-o", &x]), "it would take"),
        (every("perturb", &["-o", &x]), "it would take"),
        (every("encode", &["-o", &x]), "it would take"),
        (every("reconstruct", &["-o", "-"]), "the result would take more than"),
    ];
    let failures = cases.iter().filter_map(|(output, words)| not_refused(output, &[words]));
    all_well(failures.collect());
    assert_eq!(listing(folder.path()), before);
}

/// What a file holds is told from its content.
#[test]
fn an_array_under_a_pictures_name_has_all_its_images() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (images, x, y) = (images(folder.path()), at("x.npy"), at("y.npy"));
    fs::copy(&images, at("images.png")).unwrap();
    let ids = (COUNT - 1).to_string();
    succeed(["perturb", &images, "--ids", &ids, "-o", &x]);
    succeed(["perturb", &at("images.png"), "--ids", &ids, "-o", &y]);
    assert_eq!(fs::read(x).unwrap(), fs::read(y).unwrap());
}

/// Standard input, which never comes, holds a command that has begun to write.
#[test]
fn a_signal_leaves_nothing_of_what_was_begun() {
    for (name, number, out) in [("INT", 2, "x.npy"), ("TERM", 15, "x.npy"), ("TERM", 15, "x")] {
        let folder = tempfile::tempdir().unwrap();
        rings(folder.path(), 1);
        let out = folder.path().join(out);
        let image = folder.path().join("ring0.png");
        let arguments = ["reconstruct", image.to_str().unwrap(), "-", "-o", out.to_str().unwrap()];
        let mut command = command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let _open = child.stdin.take();
        while listing(folder.path()).len() < 2 {
            assert!(child.try_wait().unwrap().is_none(), "it has ended");
        }
        signal(&child, name);
        assert_eq!(child.wait().unwrap().signal(), Some(number));
        assert_eq!(listing(folder.path()), ["ring0.png"]);
    }
}
