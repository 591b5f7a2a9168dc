//! Frames from a pipe.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Output, Stdio};
use std::thread;

use image::{DynamicImage, GrayImage};
use serde_json::Value;

use crate::fixture::{all_well, command, not_refused, ring, rings, run, signal};

fn spawn(arguments: &[&str]) -> Child {
    let piped = |command: &mut std::process::Command| {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    piped(&mut command([&["score"], arguments].concat()))
}

/// Runs the command with these bytes on its standard input.
fn fed(arguments: &[&str], bytes: Vec<u8>) -> Output {
    let mut child = spawn(arguments);
    let mut input = child.stdin.take().unwrap();
    // It may end before it has read everything.
    let feeder = thread::spawn(move || drop(input.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}

fn lines(output: &Output) -> Vec<Value> {
    let stdout = String::from_utf8_lossy(&output.stdout);
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn frames(count: u32) -> Vec<u8> {
    (0..count).flat_map(|k| ring(k % 5).into_raw()).collect()
}

#[test]
fn frames_score_as_files_do() {
    let folder = tempfile::tempdir().unwrap();
    let files = rings(folder.path(), 3);
    let files: Vec<&str> = files.iter().map(|path| path.to_str().unwrap()).collect();
    let expected = lines(&run([&["score"], &files[..]].concat()));
    let grey: Vec<GrayImage> = (0..3).map(ring).collect();
    let deep = |v: &u8| (u16::from(*v) * 257).to_le_bytes();
    let cases: [(&str, Vec<u8>); 5] = [
        ("28x28:gray8", frames(3)),
        ("28x28:gray", frames(3)),
        ("28x28:gray16le", grey.iter().flat_map(|g| g.iter().flat_map(deep)).collect()),
        ("28x28:rgb24", grey.iter().flat_map(|g| g.iter().flat_map(|&v| [v; 3])).collect()),
        (
            "28x28:rgb48le",
            grey.iter().flat_map(|g| g.iter().flat_map(|v| [deep(v); 3].concat())).collect(),
        ),
    ];
    for (format, bytes) in cases {
        let output = fed(&["--raw", format, "-"], bytes);
        assert!(output.status.success() && output.stderr.is_empty(), "{format}: {output:?}");
        let got = lines(&output);
        assert_eq!(got.len(), 3, "{format}");
        for (index, (line, file)) in got.iter().zip(&expected).enumerate() {
            assert_eq!(line["name"], format!("frame[{index}]"));
            let fields = ["score", "mse", "nll", "kl", "elbo"];
            let differ = |field: &str| {
                let [a, b] = [line, file].map(|line| line[field].as_f64().unwrap());
                // Grey by way of RGB and 16 bits may round once more.
                let exact = format.starts_with("28x28:gray") && !format.contains("16");
                if exact { a != b } else { (a - b).abs() > 1e-5 * b.abs() }
            };
            let wrong: Vec<_> = fields.into_iter().filter(|field| differ(field)).collect();
            assert!(wrong.is_empty(), "{format}: {wrong:?} of {line}, not {file}");
        }
    }
    // Every 56x28 frame holds two rings, side by side.
    let pairs: Vec<u8> = [0, 1]
        .into_iter()
        .flat_map(|k| {
            let (left, right) = (ring(k).into_raw(), ring(k + 1).into_raw());
            let rows = left.chunks(28).zip(right.chunks(28));
            rows.flat_map(|(left, right)| [left, right].concat()).collect::<Vec<u8>>()
        })
        .collect();
    let tiled =
        lines(&fed(&["--raw", "56x28:gray8", "--tile", "28", "--stride", "28", "-"], pairs));
    let worst = |k: usize| {
        let [a, b] = [k, k + 1].map(|k| expected[k]["mse"].as_f64().unwrap());
        a.max(b)
    };
    let got: Vec<_> = tiled.iter().map(|line| line["score"].as_f64().unwrap()).collect();
    assert_eq!(got, [worst(0), worst(1)]);
}

#[test]
fn maps_of_frames_appear_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let maps = folder.path().join("maps");
    let mapped =
        ["--raw", "28x28:gray8", "--heatmap", maps.to_str().unwrap(), "--level", "0.2", "-"];
    let mut child = spawn(&mapped);
    let mut input = child.stdin.take().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    for index in 0..3 {
        // One frame, and its line is there although the pipe stays open.
        input.write_all(&ring(index)).unwrap();
        let line: Value = serde_json::from_str(&said.next().unwrap().unwrap()).unwrap();
        let name = line["map"].as_str().unwrap();
        assert_eq!(name, format!("frame-{index:06}"));
        for end in [".png", "-overlay.png", ".npy"] {
            assert!(maps.join(format!("{name}{end}")).is_file(), "{name}{end}");
        }
    }
    drop(input);
    assert!(child.wait().unwrap().success());
    let refused = fed(&mapped, frames(1));
    assert_eq!(not_refused(&refused, &["it exists", "--force"]), None);
    let forced = fed(&[&mapped[..], &["--force"]].concat(), frames(1));
    assert!(forced.status.success(), "{forced:?}");
}

#[test]
fn what_cannot_be_scored_leaves_no_folder_of_maps() {
    let folder = tempfile::tempdir().unwrap();
    let maps = folder.path().join("maps");
    let cannot = ["--engine", "ort", "--ort-lib", "/no/such/library", "-"];
    let mapped = ["--raw", "28x28:gray8", "--heatmap", maps.to_str().unwrap(), "--level", "0.2"];
    let refused = fed(&[&mapped[..], &cannot].concat(), frames(1));
    assert_eq!(not_refused(&refused, &["/no/such/library"]), None);
    assert!(!maps.exists());
    let refused = fed(&[&mapped[..], &["-"]].concat(), vec![]);
    assert_eq!(not_refused(&refused, &["no frame came"]), None);
    assert!(!maps.exists());
}

#[test]
fn a_stream_that_is_no_stream_of_frames_is_refused() {
    let cut = {
        let mut bytes = frames(3);
        bytes.truncate(2 * 784 + 700);
        bytes
    };
    let raw = |format: &'static str| vec!["--raw", format, "-"];
    let cases: Vec<(Vec<&str>, Vec<u8>, &[&str])> = vec![
        (raw("28x28"), vec![], &["28x28", "640x480:gray8"]),
        (raw("28:gray8"), vec![], &["a size is written as 640x480"]),
        (raw("0x28:gray8"), vec![], &["1 to 32768"]),
        (raw("32768x32768:rgb48le"), vec![], &["at most 1073741824 bytes"]),
        (raw("28x28:yuv420p"), vec![], &["yuv420p", "gray16le", "-pix_fmt"]),
        (raw("28x28:gray8"), vec![], &["no frame came"]),
        (raw("14x28:gray8"), frames(1), &["`frame[0]` is 14x28 pixels", "--resize"]),
        (vec!["--raw", "28x28:gray8", "x.png"], vec![], &["from standard input alone"]),
        (vec!["--when-full", "drop", "-"], vec![], &["--raw"]),
    ];
    let failures = cases.into_iter().filter_map(|(arguments, bytes, words)| {
        let refused = not_refused(&fed(&arguments, bytes), words);
        refused.map(|reason| format!("{arguments:?}: {reason}"))
    });
    all_well(failures.collect());

    // What came before is scored, and a stream that is cut is an error whatever becomes of images.
    for on_error in ["fail", "skip"] {
        let output = fed(&["--raw", "28x28:gray8", "-", "--on-error", on_error], cut.clone());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), lines(&output).len()), (Some(2), 2), "{said}");
        assert!(said.contains("within frame[2]: 84 of its 784 bytes are missing"), "{said}");
        assert!(said.starts_with("2 images: 2 scored"), "{said}");
    }
}

/// However many frames there was no time for, the counts add up.
#[test]
fn frames_that_are_dropped_are_counted() {
    let output = fed(&["--raw", "28x28:gray8", "--when-full", "drop", "-"], frames(3000));
    assert!(output.status.success(), "{output:?}");
    let scored = lines(&output);
    let index = |line: &Value| -> usize {
        let name = line["name"].as_str().unwrap();
        name["frame[".len()..name.len() - 1].parse().unwrap()
    };
    assert!(scored.windows(2).all(|pair| index(&pair[0]) < index(&pair[1])), "in their order");
    assert_eq!(index(scored.last().unwrap()), 2999, "the last frame is never the oldest");
    let said = String::from_utf8(output.stderr).unwrap();
    let dropped = 3000 - scored.len();
    let expected = format!("3000 images: {} scored, 0 skipped, {dropped} dropped\n", scored.len());
    assert_eq!(said, expected);
}

#[test]
fn a_reader_that_leaves_ends_a_stream_without_end() {
    let mut child = spawn(&["--raw", "28x28:gray8", "-"]);
    let mut input = child.stdin.take().unwrap();
    let feeder = thread::spawn(move || while input.write_all(&frames(100)).is_ok() {});
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(line.starts_with("{\"name\":\"frame[0]\""), "{line}");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_signal_is_seen_while_no_frame_comes() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let mut child = spawn(&["--raw", "28x28:gray8", "-"]);
        let mut input = child.stdin.take().unwrap();
        input.write_all(&frames(1)).unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), &*said), (Some(code), "1 images: 1 scored, 0 skipped\n"));
    }
}

#[test]
fn a_frame_of_the_wrong_size_is_skipped_where_that_is_asked_for() {
    let picture = DynamicImage::from(ring(0)).crop_imm(0, 0, 14, 28).into_luma8().into_raw();
    let output = fed(&["--raw", "14x28:gray8", "-", "--on-error", "skip"], picture.repeat(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{said}");
    assert!(said.ends_with("2 images: 0 scored, 2 skipped\n"), "{said}");
}
