//! Files as they arrive in a folder.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};

use image::{DynamicImage, ImageFormat};
use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::{
    Copy, all_well, command, encoded, not_refused, ring, rings, run, signal, succeed,
};

/// A command that watches a folder.
struct Watch {
    folder: PathBuf,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Lines<BufReader<ChildStderr>>,
}

impl Watch {
    /// Begins, and waits until the folder is watched.
    fn new(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = command([&["watch", folder.to_str().unwrap()], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut watch = Self { folder: folder.into(), child, lines, said };
        assert_eq!(watch.hear(), format!("watching `{}`", folder.display()));
        watch
    }

    /// The next line of data.
    fn line(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    /// The name in the next line, below the folder.
    fn name(&mut self) -> String {
        let line = self.line();
        let name = Path::new(line["name"].as_str().unwrap());
        name.strip_prefix(&self.folder).unwrap().to_str().unwrap().to_owned()
    }

    /// The next line of talk.
    fn hear(&mut self) -> String {
        self.said.next().unwrap().unwrap()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Waits for the end: the exit code, and what else was said.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        assert!(self.lines.next().is_none(), "one line too many");
        let said = self.said.map(Result::unwrap).collect();
        (self.child.wait().unwrap().code(), said)
    }
}

fn png(k: u32) -> Vec<u8> {
    encoded(&ring(k).into(), ImageFormat::Png)
}

fn folders() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let watched = folder.path().join("in");
    fs::create_dir(&watched).unwrap();
    (folder, watched)
}

#[test]
fn files_are_taken_when_they_are_whole() {
    let (outside, folder) = folders();
    fs::write(folder.join("before.png"), png(0)).unwrap();
    let mut watch = Watch::new(&folder, &[]);

    // Written slowly: another one that is renamed into the folder overtakes it.
    let slow = png(1);
    let mut file = File::create(watch.at("slow.png")).unwrap();
    file.write_all(&slow[..slow.len() / 2]).unwrap();
    file.sync_all().unwrap();
    fs::write(outside.path().join("moved.png"), png(2)).unwrap();
    fs::rename(outside.path().join("moved.png"), watch.at("moved.png")).unwrap();
    assert_eq!(watch.name(), "moved.png");
    file.write_all(&slow[slow.len() / 2..]).unwrap();
    drop(file);
    let line = watch.line();
    assert!(line["name"].as_str().unwrap().ends_with("slow.png"), "{line}");
    let alone = succeed(["score", watch.at("slow.png").to_str().unwrap()]);
    assert_eq!(line, serde_json::from_str::<Value>(&alone).unwrap(), "the line of `score`");

    // Temporary and hidden names are none of ours, and what they become is.
    for name in [".hidden.png", "x.png.part", "x.tmp"] {
        fs::write(watch.at(name), png(3)).unwrap();
    }
    fs::create_dir(watch.at(".cache")).unwrap();
    fs::write(watch.at(".cache/y.png"), png(3)).unwrap();
    fs::rename(watch.at("x.png.part"), watch.at("x.png")).unwrap();
    assert_eq!(watch.name(), "x.png");
    fs::rename(watch.at(".hidden.png"), watch.at("shown.png")).unwrap();
    assert_eq!(watch.name(), "shown.png");

    // What cannot be read does not end it.
    fs::write(watch.at("bad.png"), "no picture").unwrap();
    let said = watch.hear();
    assert!(said.starts_with("skipped: ") && said.contains("bad.png"), "{said}");

    // A file that is written again is another image.
    fs::write(watch.at("x.png"), png(4)).unwrap();
    assert_eq!(watch.name(), "x.png");

    signal(&watch.child, "TERM");
    let (code, said) = watch.end();
    assert_eq!(code, Some(143));
    assert_eq!(said, ["6 images: 5 scored, 1 skipped"]);
}

/// It may even be whole already: it is not known to be until it is closed.
#[test]
fn a_file_that_is_being_written_at_the_start_is_taken_when_it_is_closed() {
    let (_outside, folder) = folders();
    fs::write(folder.join("before.png"), png(0)).unwrap();
    let mut open = File::create(folder.join("open.png")).unwrap();
    open.write_all(&png(1)).unwrap();
    open.sync_all().unwrap();
    let mut watch = Watch::new(&folder, &["--count", "2"]);
    fs::write(watch.at("first.png"), png(2)).unwrap();
    assert_eq!(watch.name(), "first.png");
    drop(open);
    assert_eq!(watch.name(), "open.png");
    assert_eq!(watch.end(), (Some(0), vec![]));
}

#[test]
fn folders_that_come_are_watched_too() {
    let (outside, folder) = folders();
    let mut watch = Watch::new(&folder, &["--count", "6"]);
    fs::create_dir_all(watch.at("a/b")).unwrap();
    fs::write(watch.at("a/b/first.png"), png(0)).unwrap();
    assert_eq!(watch.name(), "a/b/first.png");
    fs::write(watch.at("a/second.png"), png(1)).unwrap();
    assert_eq!(watch.name(), "a/second.png");
    // One with two images in it.
    let moved = outside.path().join("moved");
    fs::create_dir(&moved).unwrap();
    rings(&moved, 2);
    fs::rename(&moved, watch.at("moved")).unwrap();
    assert_eq!([watch.name(), watch.name()], ["moved/ring0.png", "moved/ring1.png"]);
    // And an array of two.
    let array = ndarray::Array3::<u8>::zeros((2, 28, 28));
    vae_infer::npy::write(&watch.at("moved/two.npy"), &array).unwrap();
    assert_eq!([watch.name(), watch.name()], ["moved/two.npy[0]", "moved/two.npy[1]"]);
    assert_eq!(watch.end(), (Some(0), vec![]));
}

/// The command stands still while a file comes and goes.
#[test]
fn a_file_that_is_gone_before_it_is_read_is_named() {
    let (_outside, folder) = folders();
    let mut watch = Watch::new(&folder, &["--count", "2"]);
    fs::write(watch.at("here.png"), png(0)).unwrap();
    assert_eq!(watch.name(), "here.png");
    signal(&watch.child, "STOP");
    fs::write(watch.at("gone.png"), png(1)).unwrap();
    fs::remove_file(watch.at("gone.png")).unwrap();
    signal(&watch.child, "CONT");
    let said = watch.hear();
    assert!(said.starts_with("skipped: cannot read") && said.contains("gone.png"), "{said}");
    assert_eq!(watch.end(), (Some(0), vec!["2 images: 1 scored, 1 skipped".into()]));
}

#[test]
fn an_anomaly_shows_in_the_exit_code_and_maps_of_one_name_follow_each_other() {
    let bundle = Copy::new();
    let normal = bundle.file("normal.npy");
    succeed(["sample", "-n", "60", "--seed", "1", "-o", normal.to_str().unwrap()]);
    let model = ["--model", bundle.path().to_str().unwrap()];
    let calibrate = ["calibrate", normal.to_str().unwrap(), "--far", "0.05"];
    assert!(run([&model[..], &calibrate].concat()).status.success());
    let (outside, folder) = folders();
    let maps = outside.path().join("maps");
    let mapped = ["--heatmap", maps.to_str().unwrap(), "--count", "3"];
    let mut watch = Watch::new(&folder, &[&model[..], &mapped].concat());
    let mut negative = DynamicImage::from(ring(2));
    negative.invert();
    let mut written = vec![];
    for image in [DynamicImage::from(ring(0)), negative] {
        fs::write(watch.at("part.png"), encoded(&image, ImageFormat::Png)).unwrap();
        let line = watch.line();
        assert_eq!(line["map"], "part");
        written.push((fs::read(maps.join("part.npy")).unwrap(), line));
    }
    assert_ne!(written[0].0, written[1].0, "the map is that of the file as it is now");
    assert_eq!(written[1].1["label"], "anomaly");
    fs::create_dir(watch.at("sub")).unwrap();
    fs::write(watch.at("sub/part.png"), png(1)).unwrap();
    assert_eq!(watch.line()["map"], "sub/part");
    assert!(maps.join("sub/part-overlay.png").is_file());
    let (code, said) = watch.end();
    assert_eq!(code, Some(1));
    assert!(said[0].starts_with("3 images: "), "{said:?}");
}

#[test]
fn what_is_there_already_is_scored_where_that_is_asked_for() {
    let (_outside, folder) = folders();
    rings(&folder, 3);
    let mut watch = Watch::new(&folder, &["--existing", "--count", "4"]);
    let names = [watch.name(), watch.name(), watch.name()];
    assert_eq!(names, ["ring0.png", "ring1.png", "ring2.png"]);
    fs::write(watch.at("new.png"), png(3)).unwrap();
    assert_eq!(watch.name(), "new.png");
    assert_eq!(watch.end(), (Some(0), vec![]));
}

#[test]
fn a_folder_that_cannot_be_watched_is_refused_or_ends_it() {
    let (outside, folder) = folders();
    let at = |path: PathBuf| path.to_str().unwrap().to_owned();
    let (missing, file) = (at(outside.path().join("none")), at(outside.path().join("file")));
    fs::write(&file, "").unwrap();
    let (within, folder) = (at(folder.join("maps/new")), at(folder));
    let cases: [(&[&str], &[&str]); 4] = [
        (&["watch", &missing], &["cannot read", "none"]),
        (&["watch", &file], &["cannot read", "file"]),
        (&["watch", &folder, "--heatmap", &within, "--level", "1"], &["watched themselves"]),
        (&["watch", &folder, "--heatmap", &folder, "--level", "1"], &["watched themselves"]),
    ];
    let failures = cases.iter().filter_map(|(arguments, words)| {
        not_refused(&run(*arguments), words).map(|reason| format!("{arguments:?}: {reason}"))
    });
    all_well(failures.collect());

    let mut watch = Watch::new(folder.as_ref(), &["--on-error", "fail"]);
    fs::write(watch.at("bad.png"), "no picture").unwrap();
    let said = watch.hear();
    assert!(said.starts_with("error: ") && said.contains("bad.png"), "{said}");
    assert_eq!(watch.end(), (Some(2), vec![]));

    let watch = Watch::new(folder.as_ref(), &[]);
    fs::remove_dir_all(&folder).unwrap();
    let (code, said) = watch.end();
    assert_eq!(code, Some(2));
    let last = said.last().unwrap();
    assert!(last.starts_with("error: ") && last.contains("not there any more"), "{said:?}");
}
