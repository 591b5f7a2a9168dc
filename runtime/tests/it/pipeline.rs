//! Folders through the pipeline: order, errors, signals, whatever the threads.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use image::{DynamicImage, ImageFormat};
use ndarray::Array3;
use serde_json::Value;
use tempfile::TempDir;
use vae_infer::npy;

use crate::fixture::{command, encoded, not_refused, ring, run, signal, succeed};

/// More images than wait anywhere: files of every kind that are quick to read, and some that are not.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(folder.images().join("sub")).unwrap();
        for k in 0..300 {
            let image = DynamicImage::from(ring(k % 11));
            let (image, format, end) = match k {
                0 | 100 => (image.resize_exact(1500, 1500, FILTER), ImageFormat::Png, "png"),
                _ if k % 7 == 3 => (image.resize_exact(20, 31, FILTER), ImageFormat::Bmp, "bmp"),
                _ => (image, ImageFormat::Png, "png"),
            };
            let sub = if k % 2 == 0 { "sub/" } else { "" };
            let name = format!("{sub}{k:03}.{end}");
            fs::write(folder.images().join(name), encoded(&image, format)).unwrap();
        }
        let array = Array3::from_shape_fn((70, 28, 28), |(n, y, x)| (n * y + x) as f32 / 2000.0);
        fs::write(folder.images().join("200.npy"), npy::encode(&array)).unwrap();
        folder
    }

    fn images(&self) -> PathBuf {
        self.0.path().join("images")
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// What lies beside the images.
    fn beside(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "images").collect()
    }
}

const FILTER: image::imageops::FilterType = image::imageops::FilterType::Nearest;

fn names(lines: &[u8]) -> Vec<String> {
    let lines = std::str::from_utf8(lines).unwrap().lines();
    let name = |line: &str| serde_json::from_str::<Value>(line).unwrap()["name"].clone();
    lines.map(|line| name(line).as_str().unwrap().to_owned()).collect()
}

/// All files below a folder, sorted, with their content.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(contents(&path)),
            false => found.push((path.clone(), fs::read(path).unwrap())),
        }
    }
    found.sort();
    found
}

#[test]
fn every_command_gives_the_same_for_any_number_of_threads_and_in_order() {
    let folder = Folder::new();
    let images = folder.images();
    let input = images.to_str().unwrap();
    let sub = format!("{input}/sub");
    let runs = ["1", "2", "7"].map(|threads| {
        let shared = ["--threads", threads, "--resize", "stretch", "--force"];
        let run = |arguments: &[&str]| succeed([arguments, &shared].concat());
        let line = folder.at("line.json");
        let (maps, out) = (folder.at("maps"), folder.at("out"));
        let (array, many) = (folder.at("x.npy"), folder.at("many.npy"));
        let said = [
            run(&["score", input]),
            run(&["score", &sub, "--heatmap", &maps, "--level", "0.1"]),
            run(&["score", &sub, "--tile", "20"]),
            run(&["encode", input]),
            run(&["reconstruct", input, "-o", &out]),
            run(&["calibrate", input, "-o", &line, "--far", "0.1"]),
        ];
        run(&["perturb", input, "--copies", "2", "-o", &array]);
        run(&["perturb", input, "--copies", "70", "--ids", "7,200-201", "-o", &many]);
        let mut calibrated: Value = serde_json::from_slice(&fs::read(line).unwrap()).unwrap();
        calibrated["audit"].take();
        let written = (contents(Path::new(&maps)), contents(Path::new(&out)));
        fs::remove_dir_all(maps).unwrap();
        fs::remove_dir_all(out).unwrap();
        (said, calibrated, written, [array, many].map(|path| fs::read(path).unwrap()))
    });
    assert!(runs.iter().all(|run| *run == runs[0]));

    let ([scored, mapped, _, encoded, reconstructed, _], _, (maps, pictures), _) = &runs[0];
    let in_order = names(scored.as_bytes());
    let mut files = contents(&images);
    files.sort();
    let expected = files.iter().flat_map(|(path, _)| {
        let name = path.to_str().unwrap();
        match name.ends_with(".npy") {
            true => (0..70).map(|n| format!("{name}[{n}]")).collect(),
            false => vec![name.to_owned()],
        }
    });
    assert_eq!(in_order, expected.collect::<Vec<_>>());
    for other in [encoded, reconstructed] {
        assert_eq!(names(other.as_bytes()), in_order);
    }
    assert!(in_order.ends_with(&names(mapped.as_bytes())), "`sub` comes after digits");
    assert_eq!((maps.len(), pictures.len()), (3 * 150, in_order.len()));
}

#[test]
fn a_broken_file_in_the_middle_is_named_and_what_follows_is_as_asked_for() {
    let folder = Folder::new();
    let images = folder.images();
    let input = images.to_str().unwrap();
    let shared = ["--resize", "stretch"];
    let run = |arguments: &[&str]| run([arguments, &shared].concat());
    let all = names(&run(&["score", input]).stdout);
    let (broken, later) = (images.join("201.png"), images.join("299.png"));
    fs::write(&broken, "no image").unwrap();
    fs::write(&later, "nor this").unwrap();
    let broken = broken.to_str().unwrap();
    let place = all.iter().position(|name| name == broken).unwrap();
    let fails = |output: &Output| {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("error: ") && said.contains(broken), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    };
    for threads in ["1", "5"] {
        let (maps, out, array) = (folder.at("maps"), folder.at("out"), folder.at("x.npy"));
        let score = ["score", input, "--threads", threads];
        let mapped = ["--heatmap", &maps, "--level", "0.1"];
        for printing in [&score[..], &["encode", input, "--threads", threads]] {
            let failed = run(printing);
            fails(&failed);
            assert_eq!(names(&failed.stdout), all[..place], "those before it have their lines");
        }
        let writing = [
            [&score[..], &mapped].concat(),
            vec!["reconstruct", input, "-o", &out, "--threads", threads],
            vec!["reconstruct", input, "-o", &array, "--threads", threads],
            vec!["encode", input, "-o", &array, "--threads", threads],
            vec!["perturb", input, "-o", &array, "--threads", threads],
            vec!["calibrate", input, "-o", &array, "--threads", threads],
        ];
        for arguments in writing {
            fails(&run(&arguments));
            assert_eq!(folder.beside(), [""; 0], "{arguments:?}");
        }

        let skipped = run(&[&score[..], &["--on-error", "skip"]].concat());
        let said = String::from_utf8(skipped.stderr).unwrap();
        assert_eq!(skipped.status.code(), Some(0), "{said}");
        let expected = all.iter().filter(|name| *name != broken && !name.ends_with("/299.png"));
        assert_eq!(names(&skipped.stdout), expected.cloned().collect::<Vec<_>>());
        let said: Vec<_> = said.lines().collect();
        assert!(said[0].starts_with("skipped: ") && said[0].contains(broken), "{said:?}");
        assert!(said[1].contains("299.png"), "{said:?}");
        let count = all.len();
        assert_eq!(said[2..], [format!("{count} images: {} scored, 2 skipped", count - 2)]);
    }
}

/// Standard input, which never comes, holds the pipeline after a batch and its maps.
#[test]
fn a_signal_ends_the_wait_for_a_file_and_leaves_what_is_finished() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = tempfile::tempdir().unwrap();
        let (images, maps) = (folder.path().join("images"), folder.path().join("maps"));
        fs::create_dir(&images).unwrap();
        for k in 0..64 {
            let content = encoded(&ring(k % 11).into(), ImageFormat::Png);
            fs::write(images.join(format!("{k:02}.png")), content).unwrap();
        }
        let mut command = command(["score", images.to_str().unwrap(), "-"]);
        command.args(["--heatmap", maps.to_str().unwrap(), "--level", "0.1"]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let _open = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Vec<_> = lines.by_ref().take(64).map(Result::unwrap).collect();
        assert_eq!(names(first.join("\n").as_bytes()).len(), 64);
        signal(&child, name);
        assert_eq!(lines.count(), 0);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), &*said),
            (Some(code), "64 images: 64 scored, 0 skipped\n")
        );
        assert_eq!(contents(&maps).len(), 3 * 64);
        let beside: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(beside.len(), 2, "nothing half-finished is left");
    }
}

/// Standard output, which nobody reads and is full, holds the program that has noted the first.
#[test]
fn a_second_signal_ends_a_command_and_leaves_nothing_half_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (images, maps) = (path("images.npy"), path("maps"));
    npy::write(Path::new(&images), &Array3::<u8>::zeros((64, 28, 28))).unwrap();
    let (_unread, mut full) = std::io::pipe().unwrap();
    full.write_all(&[0; 64 << 10]).unwrap();
    let mut command = command(["score", &images, "--heatmap", &maps, "--level", "0.1"]);
    let mut child = command.stdout(full).stderr(Stdio::null()).spawn().unwrap();
    let below = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let began = Instant::now();
    let in_time = || assert!(began.elapsed() < Duration::from_secs(60), "it goes on");
    while !below(folder.path()).any(|path| path.is_dir() && below(&path).next().is_some()) {
        thread::yield_now();
        in_time();
    }
    for _ in 0..2 {
        signal(&child, "INT");
        thread::sleep(Duration::from_millis(500));
    }
    let ended = loop {
        match child.try_wait().unwrap() {
            Some(ended) => break ended,
            None => in_time(),
        }
        thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(ended.signal(), Some(2));
    assert_eq!(below(folder.path()).collect::<Vec<_>>(), [Path::new(&images)]);
}

#[test]
fn standard_input_is_read_once() {
    let refused = run(["score", "-", "-"]);
    assert_eq!(not_refused(&refused, &["standard input is named twice"]), None);
}
