//! A bundle as one file: there and back, and archives that must be refused (letters as in the
//! catalogue of bad inputs).

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use vae_infer::Bundle;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::fixture::{Copy, all_well, digits, not_refused, rings, run, succeed};

fn packed() -> Vec<u8> {
    Bundle::open(digits()).unwrap().pack().unwrap()
}

fn folder() -> (tempfile::TempDir, impl Fn(&str) -> String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_path_buf();
    (folder, move |name: &str| path.join(name).to_str().unwrap().to_owned())
}

#[test]
fn pack_and_unpack_give_back_every_byte() {
    let (_folder, at) = folder();
    let digits = digits();
    succeed(["pack", "--model", digits.to_str().unwrap(), "-o", &at("model.vae")]);
    succeed(["unpack", "--model", &at("model.vae"), "-o", &at("unpacked")]);
    assert_eq!(fs::read_dir(at("unpacked")).unwrap().count(), 4);
    for file in fs::read_dir(at("unpacked")).unwrap() {
        let file = file.unwrap();
        let original = fs::read(digits.join(file.file_name())).unwrap();
        assert!(fs::read(file.path()).unwrap() == original, "{:?}", file.file_name());
    }

    succeed(["pack", "--model", &at("unpacked"), "-o", &at("again")]);
    succeed(["pack", "--model", &at("again"), "-o", &at("third.zip")]);
    succeed(["pack", "-o", &at("embedded.vae")]);
    let packed = packed();
    for name in ["model.vae", "again", "third.zip", "embedded.vae"] {
        assert!(fs::read(at(name)).unwrap() == packed, "{name} has other bytes");
    }
}

#[test]
fn a_packed_bundle_is_a_plain_archive_that_can_be_mapped() {
    let packed = packed();
    let mut archive = ZipArchive::new(Cursor::new(&packed)).unwrap();
    let names: Vec<_> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    assert_eq!(names, ["manifest.json", "encoder.onnx", "decoder.onnx", "golden.safetensors"]);
    for (i, name) in names.iter().enumerate() {
        let member = archive.by_index(i).unwrap();
        assert_eq!(member.compression(), CompressionMethod::Stored, "{name}");
        assert_eq!(member.last_modified(), Some(DateTime::DEFAULT), "{name}");
        let start = member.data_start().unwrap() as usize;
        assert_eq!(start % 64, 0, "{name}");
        let original = fs::read(digits().join(name)).unwrap();
        assert!(packed[start..].starts_with(&original), "{name}");
    }
}

#[test]
fn a_packed_bundle_goes_wherever_a_folder_goes() {
    let (folder, at) = folder();
    fs::write(at("model"), packed()).unwrap();
    let image = rings(folder.path(), 1)[0].to_str().unwrap().to_owned();
    for (model, out) in [(digits().to_str().unwrap(), "a.npy"), (&at("model"), "b.npy")] {
        succeed(["reconstruct", &image, "--model", model, "-o", &at(out)]);
    }
    assert_eq!(fs::read(at("a.npy")).unwrap(), fs::read(at("b.npy")).unwrap());
    assert!(succeed(["info", "--model", &at("model")]).contains(&at("model")));
    assert_eq!(succeed(["verify", "--model", &at("model")]), succeed(["verify"]));
}

#[test]
fn the_model_that_is_read_is_no_output() {
    let (_folder, at) = folder();
    let copy = Copy::new();
    let model = copy.path().to_str().unwrap();
    fs::write(at("model.vae"), packed()).unwrap();
    succeed(["bundle", "-o", &at("program")]);
    let [encoder, manifest] =
        ["encoder.onnx", "manifest.json"].map(|name| copy.file(name).to_str().unwrap().to_owned());
    let images = rings(copy.path(), 1)[0].to_str().unwrap().to_owned();
    let mut failures = vec![];
    for arguments in [
        vec!["pack", "--model", model, "-o", &manifest, "--force"],
        vec!["bundle", "--model", model, "-o", &encoder, "--force"],
        vec!["calibrate", &images, "--model", model, "-o", &encoder, "--force"],
        vec!["calibrate", &images, "--model", &at("model.vae"), "-o", &at("model.vae"), "--force"],
    ] {
        let refused = not_refused(&run(&arguments), &["it is an input"]);
        failures.extend(refused.map(|f| format!("{arguments:?}: {f}")));
    }
    let own = std::process::Command::new(at("program"))
        .args(["pack", "-o", &at("program"), "--force"])
        .output()
        .unwrap();
    failures.extend(not_refused(&own, &["it is an input"]));
    all_well(failures);
}

#[test]
fn nothing_is_written_over() {
    let (_folder, at) = folder();
    let keep = |name: &str| {
        fs::write(at(name), "mine").unwrap();
        at(name)
    };
    let (file, copy) = (keep("model.vae"), keep("program"));
    let model = at("own.vae");
    fs::write(&model, packed()).unwrap();
    fs::create_dir(at("folder")).unwrap();
    let mine = keep("folder/mine");
    let cases: [(&str, &[&str], &str); 7] = [
        ("pack", &["-o", &file], "--force"),
        ("bundle", &["-o", &copy], "--force"),
        ("unpack", &["-o", &at("folder")], "--force"),
        ("unpack", &["--force", "-o", &at("folder")], "another -o"),
        ("pack", &["--force", "--model", &model, "-o", &model], "it is an input"),
        ("bundle", &["--force", "--model", &model, "-o", &model], "it is an input"),
        ("pack", &["-o", &at("none/model.vae")], "there is no folder"),
    ];
    let failures = cases.iter().filter_map(|(command, arguments, word)| {
        let output = run([&[*command], *arguments].concat());
        not_refused(&output, &["cannot write", word])
            .map(|f| format!("{command} {arguments:?}: {f}"))
    });
    all_well(failures.collect());
    for path in [file, copy, mine] {
        assert_eq!(fs::read(path).unwrap(), b"mine");
    }
    assert!(fs::read(&model).unwrap() == packed());

    succeed(["unpack", "-o", &at("bundle")]);
    succeed(["unpack", "--force", "-o", &at("bundle")]);
    assert!(Bundle::open(at("bundle")).is_ok());
}

/// An archive with these members, stored.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::DEFAULT.compression_method(CompressionMethod::Stored);
    for (name, content) in members {
        zip.start_file(*name, stored).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The bundle's archive with other members, by a change of the true ones.
fn members(change: impl FnOnce(&mut Vec<(&str, &[u8])>)) -> Vec<u8> {
    let bundle = Bundle::open(digits()).unwrap();
    let mut members = bundle.files();
    change(&mut members);
    archive(&members)
}

/// Where a member's header in the archive's directory is.
fn header(archive: &[u8], name: &str) -> usize {
    let is_it = |at: &usize| {
        archive[*at..].starts_with(b"PK\x01\x02") && archive[at + 46..].starts_with(name.as_bytes())
    };
    (0..archive.len() - 46).rev().find(is_it).unwrap()
}

/// The bundle's archive with bytes changed in the header of its encoder, or of its end.
fn patched(from: &str, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut archive = packed();
    let header = match from {
        "end" => archive.len() - 22,
        name => header(&archive, name),
    };
    archive[header + offset..][..bytes.len()].copy_from_slice(bytes);
    archive
}

fn renamed(name: &str) -> Vec<u8> {
    assert_eq!(name.len(), "encoder.onnx".len());
    let mut archive = packed();
    let at = header(&archive, "encoder.onnx");
    archive[at + 46..][..name.len()].copy_from_slice(name.as_bytes());
    archive
}

#[test]
fn archives_that_are_no_bundle_are_refused() {
    let whole = packed();
    let huge = [0xff, 0xff, 0xff, 0x7f];
    let edited = Copy::new().with_manifest(|m| m["encoder"]["bytes"] = 100.into());
    let other = Copy::new().with_manifest(|m| m["encoder"]["sha256"] = "0".into());
    let of = |copy: &Copy| {
        let json = fs::read(copy.file("manifest.json")).unwrap();
        members(|members| members[0].1 = json.leak())
    };
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("M1 empty", "neither", Vec::new()),
        ("M4 PNG", "neither", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR of some length".to_vec()),
        ("M4 ONNX", "neither", fs::read(digits().join("encoder.onnx")).unwrap()),
        ("M4 empty archive", "manifest.json", archive(&[])),
        ("M4 another archive", "manifest.json", archive(&[("a.txt", b"a")])),
        ("trailing byte", "neither", [&whole[..], b"\0"].concat()),
        ("trailing end", "put together", [&whole[..], &whole[whole.len() - 22..]].concat()),
        ("leading byte", "put together", [b"\0", &whole[..]].concat()),
        ("comment", "neither", [&patched("end", 20, &[2, 0])[..], b"PK"].concat()),
        ("comment's length", "comment", patched("end", 20, &[2, 0])),
        ("two disks", "in parts", patched("end", 4, &[1])),
        ("too many", "65535 files", patched("end", 8, &[0xff; 4])),
        ("one more", "does not name", members(|m| m.push(("x", b"")))),
        ("six", "6 files", members(|m| m.extend([("x", &b""[..]), ("y", b"")]))),
        ("large directory", "files", patched("end", 12, &huge)),
        ("directory elsewhere", "put together", patched("end", 16, &huge)),
        ("stranger", "`x`", members(|m| m[2].0 = "x")),
        ("none", "holds no golden", members(|m| m.truncate(3))),
        ("twice", "of one name", renamed("decoder.onnx")),
        ("absolute", "`/ncoder.onnx`", renamed("/ncoder.onnx")),
        ("climbing", "`../oder.onnx`", renamed("../oder.onnx")),
        ("line break", "`en\\noder.onnx`", renamed("en\noder.onnx")),
        ("encrypted", "encrypted", patched("encoder.onnx", 8, &[1])),
        ("deflated", "compressed", patched("encoder.onnx", 10, &[8])),
        ("smaller inside", "compressed", patched("encoder.onnx", 20, &[1, 0, 0, 0])),
        ("huge", "its manifest says", patched("encoder.onnx", 20, &[huge, huge].concat())),
        ("huge manifest", "limit", patched("manifest.json", 20, &[huge, huge].concat())),
        ("past the end", "damaged", patched("encoder.onnx", 42, &huge)),
        ("M30 size", "its manifest says 100", of(&edited)),
        ("M30 hash", "SHA-256", of(&other)),
        ("M30 no manifest", "manifest", members(|m| m[0].1 = b"[1, 2]")),
    ];
    let (_folder, at) = folder();
    let mut failures = Vec::new();
    for (name, word, content) in &cases {
        let model = at("model.vae");
        fs::write(&model, content).unwrap();
        let output = run(["info", "--model", &model]);
        failures.extend(not_refused(&output, &[&model, word]).map(|f| format!("{name}: {f}")));
    }
    for sixteenth in 0..16 {
        fs::write(at("cut.vae"), &whole[..whole.len() * sixteenth / 16]).unwrap();
        let output = run(["unpack", "--model", &at("cut.vae"), "-o", &at("out")]);
        failures.extend(not_refused(&output, &["cut.vae", "whole"]));
    }
    assert!(!Path::new(&at("out")).exists());
    all_well(failures);
}

#[test]
fn a_manifest_names_four_files() {
    let copy = Copy::new().with_manifest(|m| m["golden"]["file"] = "manifest.json".into());
    let model = copy.path().to_str().unwrap();
    let output = run(["pack", "--model", model, "-o", copy.file("x.vae").to_str().unwrap()]);
    assert_eq!(not_refused(&output, &[model, "names `manifest.json` for two files"]), None);
}

#[test]
fn flipped_bytes_of_an_archive_never_panic() {
    let (_folder, at) = folder();
    let whole = packed();
    let directory = header(&whole, "manifest.json");
    let mut generator = ChaCha8Rng::seed_from_u64(5);
    let mut draw =
        |from: usize, to: usize| from + (generator.next_u64() % (to - from) as u64) as usize;
    let mut opened = 0;
    for case in 0..1000 {
        let mut bytes = whole.clone();
        // Most of the bytes are the members', which hashes guard: half of the flips go elsewhere.
        let position = draw(if case % 2 == 0 { 0 } else { directory }, whole.len());
        bytes[position] ^= 1 << draw(0, 8);
        fs::write(at("model.vae"), &bytes).unwrap();
        if let Ok(bundle) = Bundle::open(at("model.vae")) {
            opened += 1;
            assert!(bundle.pack().unwrap() == whole, "byte {position} is another bundle");
        }
    }
    assert!(opened < 500, "{opened} of 1000 damaged archives were taken");
}

/// What `bundle` wrote, and where its archive begins.
fn program_with(model: &str, from: &Path, to: &Path) -> Vec<u8> {
    let mut command = std::process::Command::new(from);
    let output = command.args(["bundle", "--model", model, "-o"]).arg(to).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(to).unwrap()
}

#[test]
fn a_damaged_archive_behind_the_program_is_an_error() {
    let (folder, at) = folder();
    let program = PathBuf::from(at("inspector"));
    let original = Path::new(env!("CARGO_BIN_EXE_vae-infer"));
    let mut content = program_with(digits().to_str().unwrap(), original, &program);
    let place = header(&content, "encoder.onnx");
    content[place + 46] ^= 1;
    fs::write(&program, content).unwrap();
    let image = rings(folder.path(), 1)[0].to_str().unwrap().to_owned();
    for arguments in [&["reconstruct", &image][..], &["bundle", "-o", &at("x")]] {
        let output = std::process::Command::new(&program).args(arguments).output().unwrap();
        assert_eq!(not_refused(&output, &["inspector", "inside this program"]), None);
    }
}

/// A program that may be run and not be read, by a user whom permissions bind: root becomes nobody.
#[test]
fn a_program_that_cannot_look_at_itself_does_not_guess() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let copy = Copy::new();
    let program = copy.file("vae-infer");
    fs::copy(env!("CARGO_BIN_EXE_vae-infer"), &program).unwrap();
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(copy.path(), 0o755);
    mode(&program, 0o111);
    let as_nobody = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&program);
        if fs::metadata(copy.path()).unwrap().uid() == 0 {
            command.uid(65534).gid(65534);
        }
        command.args(arguments).output().unwrap()
    };
    assert_eq!(not_refused(&as_nobody(&["info"]), &["cannot read", "--model BUNDLE"]), None);
    assert!(as_nobody(&["info", "--model", copy.path().to_str().unwrap()]).status.success());
}

#[test]
fn an_archive_of_another_program_is_taken_when_it_is_a_bundles() {
    let (folder, at) = folder();
    let mut zip = std::process::Command::new("zip");
    zip.current_dir(digits()).args(["-q", "-0", "-X", "-D", &at("model.zip")]);
    zip.args(["manifest.json", "encoder.onnx", "decoder.onnx", "golden.safetensors"]);
    if zip.status().is_ok_and(|status| status.success()) {
        assert!(Bundle::open(folder.path().join("model.zip")).unwrap().pack().unwrap() == packed());
    }
}
