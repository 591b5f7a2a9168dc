use std::io::{Cursor, Write};
use std::net::TcpListener;
use std::path::Path;

use tempfile::tempdir;
use vae_train::data::Known;
use vae_train::data::download::{Remote, RemoteFile, fetch};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::server::{Answer, Server};
use crate::{gz, idx_bytes, put};

const IMAGES: &str = "train-images-idx3-ubyte.gz";
const LABELS: &str = "train-labels-idx1-ubyte.gz";

/// Content that does not compress, so that a file in transit has a middle.
fn images() -> Vec<u8> {
    let noise = vae_infer::noise::standard_normal(0, 0, 10, 900);
    idx_bytes(&[10, 30, 30], &noise.iter().map(|v| v.to_bits() as u8).collect::<Vec<u8>>())
}

fn labels() -> Vec<u8> {
    idx_bytes(&[10], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
}

/// A set of two files, of which the hash of one is known.
fn remote(mirrors: &[&str]) -> Remote {
    let file = |name: &str, shape: &[usize], sha256| RemoteFile {
        name: name.into(),
        shape: shape.into(),
        sha256,
    };
    Remote {
        files: vec![
            file(IMAGES, &[10, 30, 30], Some(vae_infer::sha256(&images()))),
            file(LABELS, &[10], None),
        ],
        mirrors: mirrors.iter().map(|m| (*m).into()).collect(),
        archive: None,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_are_downloaded_once_and_then_checked_and_kept() {
    let server = Server::start([
        (IMAGES, Answer::File(gz(&images()))),
        (LABELS, Answer::File(gz(&labels()))),
    ]);
    let folder = tempdir().unwrap();
    let folder = folder.path().join("new/mnist");
    let fetched = fetch(&remote(&[&server.url]), &folder).unwrap();
    assert_eq!(names(&folder), [IMAGES, LABELS]);
    assert_eq!(
        fetched.iter().map(|f| (f.known, f.kept)).collect::<Vec<_>>(),
        [(true, false), (false, false)]
    );
    assert_eq!(fetched[1].sha256, vae_infer::sha256(&labels()));
    assert!(fetched[1].to_string().contains("content hash not known"), "{}", fetched[1]);

    let again = fetch(&remote(&[&server.url]), &folder).unwrap();
    assert!(again.iter().all(|f| f.kept));
    assert_eq!(server.requests(), [IMAGES, LABELS]);

    put(&folder, LABELS, &gz(&idx_bytes(&[3], &[0, 1, 2])));
    let message = fetch(&remote(&[&server.url]), &folder).unwrap_err().to_string();
    assert!(message.contains(LABELS) && message.contains("expected [10]"), "{message}");
    assert_eq!(names(&folder), [IMAGES, LABELS]);
}

#[test]
fn a_cut_transfer_goes_on_where_it_was() {
    let file = gz(&images());
    let server = Server::start([
        (IMAGES, Answer::CutOnce(1_000, file.clone())),
        (LABELS, Answer::File(gz(&labels()))),
    ]);
    let folder = tempdir().unwrap();
    fetch(&remote(&[&server.url]), folder.path()).unwrap();
    assert_eq!(server.requests(), [IMAGES, &format!("{IMAGES} from 1000"), LABELS]);
    assert_eq!(std::fs::read(folder.path().join(IMAGES)).unwrap(), file);
}

#[test]
fn what_an_earlier_call_left_is_used_where_it_fits() {
    let file = gz(&images());
    let part = format!("{IMAGES}.part");
    let labels = || (LABELS, Answer::File(gz(&labels())));
    let cases = [
        ("a beginning", file[..2_000].to_vec(), Answer::File(file.clone())),
        ("all of it", file.clone(), Answer::File(file.clone())),
        ("more than it", [&file[..], b"more"].concat(), Answer::File(file.clone())),
        ("another file's beginning", vec![7; 2_000], Answer::File(file.clone())),
        ("a server without ranges", file[..2_000].to_vec(), Answer::NoRange(file.clone())),
    ];
    for (what, left, answer) in cases {
        let server = Server::start([(IMAGES, answer), labels()]);
        let folder = tempdir().unwrap();
        put(folder.path(), &part, &left);
        fetch(&remote(&[&server.url]), folder.path()).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(names(folder.path()), [IMAGES, LABELS], "{what}");
        assert_eq!(std::fs::read(folder.path().join(IMAGES)).unwrap(), file, "{what}");
        assert_eq!(server.requests()[0], format!("{IMAGES} from {}", left.len()), "{what}");
    }
}

#[test]
fn wrong_content_never_gets_the_name() {
    let mut other = images();
    *other.last_mut().unwrap() ^= 1;
    let cases = [
        ("other pixels", gz(&other), "SHA-256"),
        ("other shape", gz(&labels()), "its shape is [10]"),
        ("a page", b"<html>log in</html>".to_vec(), "does not begin as an IDX file"),
    ];
    for (what, content, expected) in cases {
        let server = Server::start([(IMAGES, Answer::File(content))]);
        let folder = tempdir().unwrap();
        let message = fetch(&remote(&[&server.url]), folder.path()).unwrap_err().to_string();
        assert!(message.contains(expected), "{what}: {message}");
        assert!(names(folder.path()).is_empty(), "{what}: {:?}", names(folder.path()));
    }
}

#[test]
fn every_mirror_is_tried_and_named() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let empty = Server::start([]);
    let whole = Server::start([
        (IMAGES, Answer::File(gz(&images()))),
        (LABELS, Answer::File(gz(&labels()))),
    ]);
    let folder = tempdir().unwrap();
    let message = fetch(&remote(&[&nobody, &empty.url]), folder.path()).unwrap_err().to_string();
    let parts = [
        &format!("{nobody}/{IMAGES} ("),
        "404",
        "no network",
        LABELS,
        &folder.path().display().to_string(),
    ];
    assert!(parts.iter().all(|part| message.contains(*part)), "{message}");
    assert!(!message.contains('\n') && names(folder.path()).is_empty());

    fetch(&remote(&[&nobody, &empty.url, &whole.url]), folder.path()).unwrap();
    assert_eq!(names(folder.path()), [IMAGES, LABELS]);
}

#[test]
fn the_files_of_an_archive_are_taken_out_and_the_archive_goes() {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in
        [(IMAGES, gz(&images())), (LABELS, gz(&labels())), ("other.gz", gz(b"other"))]
    {
        archive.start_file(format!("gzip/{name}"), SimpleFileOptions::default()).unwrap();
        archive.write_all(&content).unwrap();
    }
    let archive = archive.finish().unwrap().into_inner();
    let server = Server::start([("gzip.zip", Answer::CutOnce(3_000, archive.clone()))]);
    let remote = Remote { archive: Some("gzip.zip".into()), ..remote(&[&server.url]) };
    let folder = tempdir().unwrap();
    assert_eq!(fetch(&remote, folder.path()).unwrap().len(), 2);
    assert_eq!(names(folder.path()), [IMAGES, LABELS]);
    assert_eq!(server.requests(), ["gzip.zip", "gzip.zip from 3000"]);

    std::fs::remove_file(folder.path().join(LABELS)).unwrap();
    let server =
        Server::start([("gzip.zip", Answer::File(archive[..archive.len() - 40].to_vec()))]);
    let remote = Remote { mirrors: vec![server.url], ..remote };
    let message = fetch(&remote, folder.path()).unwrap_err().to_string();
    assert!(message.contains("not a whole zip archive") && message.contains(LABELS), "{message}");
    assert_eq!(names(folder.path()), [IMAGES]);
}

#[test]
fn the_known_sets_name_their_files_and_mirrors() {
    for known in [Known::Mnist, Known::FashionMnist, Known::EmnistLetters, Known::Kmnist] {
        let remote = known.remote(None);
        assert_eq!(remote.files.len(), 4);
        assert!(remote.mirrors.iter().all(|m| m.starts_with("http") && m.ends_with('/')));
        assert_eq!(known.remote(Some("http://here")).mirrors, ["http://here"]);
    }
}
