//! Memory that does not grow with the number of images.
//!
//! Each command is looked at while it runs, early and late: one that holds its results takes 24 MB more by then.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::fixture::{command, rings, signal};

/// The images after which the memory of a command is looked at.
const EARLY: u64 = 512;
const LATE: u64 = 8192;
/// The bytes of an image, and of those between the two looks.
const IMAGE: u64 = 4 * 28 * 28;
const HELD: u64 = (LATE - EARLY) * IMAGE;
/// What the allocator may need from one look to the other.
const SLACK: u64 = HELD / 4;
/// More than any of these commands takes.
const MOST: u64 = 256 << 20;
/// Lines that a pipe does not hold, so that a command waits before it has printed them.
const UNREAD: u64 = 2048;

/// The most memory that a command has had, in bytes.
fn peak(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    1024 * line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap()
}

/// So many images in a folder that take no room.
fn many(folder: &Path, count: u64) -> String {
    let ring = &rings(folder, 1)[0];
    let images = folder.join("images");
    fs::create_dir(&images).unwrap();
    for k in 0..count {
        fs::hard_link(ring, images.join(format!("{k:05}.png"))).unwrap();
    }
    images.to_str().unwrap().to_owned()
}

fn spawned(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_folder_takes_no_more_memory_than_its_first_images() {
    let folder = tempfile::tempdir().unwrap();
    let images = many(folder.path(), LATE + UNREAD);
    let array = folder.path().join("x.npy");
    let reconstruct = ["reconstruct", &images, "-o", array.to_str().unwrap()];
    for arguments in [&reconstruct[..], &["score", &images], &["encode", &images]] {
        let mut child = spawned(command(arguments));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut after = |count: u64| {
            let read = lines.by_ref().take(count as usize).map(Result::unwrap);
            assert_eq!(read.count() as u64, count, "{arguments:?}");
            peak(&child)
        };
        let early = after(EARLY);
        let late = after(LATE - EARLY);
        assert!(late < early + SLACK, "{early} became {late} bytes: {arguments:?}");
        assert_eq!(lines.count() as u64, UNREAD);
        assert!(child.wait().unwrap().success());
    }
    let bytes = fs::metadata(&array).unwrap().len();
    assert_eq!(bytes, 128 + IMAGE * (LATE + UNREAD));
}

/// Arrays that are far from their end when they are looked at for the last time, and what a signal leaves of them.
#[test]
fn an_array_takes_no_more_memory_than_its_first_images() {
    let inputs = tempfile::tempdir().unwrap();
    let image = rings(inputs.path(), 1)[0].to_str().unwrap().to_owned();
    for arguments in [&["sample", "-n", "200000"][..], &["perturb", &image, "--copies", "200000"]] {
        let folder = tempfile::tempdir().unwrap();
        let written = || {
            let mut entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
            entries.next().map_or(0, |entry| entry.metadata().map_or(0, |file| file.len()))
        };
        let out = folder.path().join("x.npy");
        let mut child = spawned(command([arguments, &["-o", out.to_str().unwrap()]].concat()));
        let mut early = None;
        loop {
            let (bytes, now) = (written(), peak(&child));
            let ended = out.exists() || child.try_wait().unwrap().is_some();
            assert!(!ended, "it ended: {arguments:?}");
            if bytes >= EARLY * IMAGE {
                early = early.or(Some(now));
            }
            let most = early.map_or(MOST, |early| early + SLACK);
            assert!(now < most, "{early:?} became {now} bytes: {arguments:?}");
            if bytes >= LATE * IMAGE {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        signal(&child, "TERM");
        assert!(!child.wait().unwrap().success());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{arguments:?}");
    }
}
