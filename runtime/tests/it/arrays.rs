//! `.npy` files and numbers on the command line.

use std::ffi::OsStr;
use std::fs;

use ndarray::{Array1, Array2, Array3, Array4, ShapeBuilder};
use ndarray_npy::WriteNpyExt;
use vae_infer::npy;

use crate::fixture::{all_well, not_refused, run, succeed};

/// A `.npy` file with this header and content.
fn raw(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x93, b'N', b'U', b'M', b'P', b'Y', version, 0];
    let header = format!("{header}\n");
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn header(element: &str, shape: &str) -> String {
    format!("{{'descr': '{element}', 'fortran_order': False, 'shape': {shape}, }}")
}

#[test]
fn unusable_arrays_are_refused() {
    let with = |value| npy::encode(&Array4::from_elem((1, 28, 28, 1), value));
    let mut long = npy::encode(&Array3::<u8>::zeros((1, 28, 28)));
    long.push(0);
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        (
            "N1 header bomb",
            "bytes follow",
            raw(1, &header("<f4", "(1099511627776, 28, 28)"), &[0; 4]),
        ),
        (
            "N1 overflow",
            "declares the shape",
            raw(1, &header("<f8", "(4611686018427387904, 8)"), &[0; 4]),
        ),
        ("N1 long header", "cut short", b"\x93NUMPY\x02\0\xff\xff\xff\xff{".to_vec()),
        ("N4 objects", "not supported", raw(1, &header("|O", "(1,)"), &[0; 8])),
        ("N4 strings", "not supported", raw(1, &header("<U3", "(1,)"), &[0; 12])),
        ("N4 complex", "not supported", raw(1, &header("<c8", "(1,)"), &[0; 8])),
        ("N4 no type", "not supported", raw(1, &header("", "(1, 28, 28)"), &[0; 784])),
        ("N5 version 9", "version", raw(9, &header("<f4", "(1, 28, 28)"), &[0; 3136])),
        ("N6 rank 1", "shape", npy::encode(&Array1::<f32>::zeros(784))),
        ("N6 channels last", "shape", npy::encode(&Array4::<f32>::zeros((1, 1, 28, 28)))),
        ("N7 trailing bytes", "bytes follow", long),
        ("N8 NaN", "not finite", with(f32::NAN)),
        ("N8 infinity", "not finite", with(f32::NEG_INFINITY)),
        ("out of range", "holds 1.5", with(1.5)),
        ("no image", "shape", npy::encode(&Array3::<u8>::zeros((0, 28, 28)))),
        ("only magic", "header", b"\x93NUMPY".to_vec()),
        ("no header", "not a usable", raw(1, "nonsense", &[])),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let name = path.to_str().unwrap();
    let mut failures = Vec::new();
    for (case, word, content) in cases {
        fs::write(&path, content).unwrap();
        let output = run(["score", name]);
        failures.extend(not_refused(&output, &[name, word]).map(|f| format!("{case}: {f}")));
    }
    fs::write(&path, npy::encode(&Array2::<f32>::zeros((2, 3)))).unwrap();
    let output = run(["decode", name, "-o", "-"]);
    failures.extend(not_refused(&output, &[name, "[2, 3]"]));
    all_well(failures);
}

#[test]
fn every_kind_of_array_scores_the_same() {
    let pixels: Vec<u8> = crate::fixture::ring(2).into_raw();
    let shape = (1, 28, 28);
    let whole = Array3::from_shape_vec(shape, pixels.clone()).unwrap();
    let float = whole.mapv(|v| f32::from(v) / 255.0);
    let mut fortran = Array3::zeros(shape.f());
    fortran.assign(&float);
    let mut fortran_file = vec![];
    fortran.write_npy(&mut fortran_file).unwrap();
    let big_endian: Vec<u8> = float.iter().flat_map(|v| v.to_be_bytes()).collect();
    let with = |version| raw(version, &header("|u1", "(1, 28, 28)"), &pixels);
    let cases = [
        ("u1", npy::encode(&whole)),
        ("u2", npy::encode(&whole.mapv(|v| u16::from(v) * 257))),
        ("f4", npy::encode(&float)),
        ("f8", npy::encode(&float.mapv(f64::from))),
        ("N2 Fortran order", fortran_file),
        ("N3 big-endian", raw(1, &header(">f4", "(1, 28, 28)"), &big_endian)),
        ("N5 version 1", with(1)),
        ("N5 version 2", with(2)),
        ("N5 version 3", with(3)),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let scores: Vec<_> = cases
        .into_iter()
        .map(|(case, content)| {
            fs::write(&path, content).unwrap();
            let line = succeed(["score", path.to_str().unwrap()]);
            (
                case,
                serde_json::from_str::<serde_json::Value>(&line).unwrap()["mse"].as_f64().unwrap(),
            )
        })
        .collect();
    let off: Vec<_> = scores.iter().filter(|(_, mse)| (mse - scores[0].1).abs() > 1e-7).collect();
    assert!(off.is_empty(), "{scores:?}");
}

#[test]
fn senseless_numbers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("x.npy");
    npy::write(&images, &Array3::<u8>::zeros((3, 28, 28))).unwrap();
    let labels = folder.path().join("labels.npy");
    npy::write(&labels, &Array1::<i64>::zeros(2)).unwrap();
    let more = folder.path().join("more.npy");
    npy::write(&more, &Array1::<i64>::zeros(4)).unwrap();
    let [images, labels, more] = [&images, &labels, &more].map(|path| path.to_str().unwrap());
    let out = folder.path().join("out.npy");
    let out = out.to_str().unwrap();
    fn perturb<'a>(images: &'a str, out: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
        [&["perturb", images, "-o", out], rest].concat()
    }
    let perturb = |rest| perturb(images, out, rest);
    let mut failures = Vec::new();
    let sample = |n| vec!["sample", "-n", n, "-o", out];
    let label_out = folder.path().join("out_labels.npy");
    let label_out = label_out.to_str().unwrap();
    let with_labels = |labels| ["--labels", labels, "--out-labels", label_out];
    let refused = [
        (sample("0"), "0 is not in"),
        (sample("-1"), "-1"),
        (sample("99999999999999999999"), "too large"),
        (vec!["sample", "-n", "1", "-o", out, "--temperature", "nan"], "not a finite number"),
        (vec!["score", images, "--threads", "0"], "0 is not in"),
        (vec!["score", images, "--threads", "2147483648"], "not in 1..=1024"),
        (vec!["score", images, "--engine", "magic"], "magic"),
        (vec!["score", images, "--ep", "abacus"], "abacus"),
        (vec!["verify", "--tolerance", "nan"], "finite"),
        (perturb(&["--sigma", "-1"]), "-1 is not a finite number of at least 0"),
        (perturb(&["--sigma=-1"]), "-1 is not a finite number of at least 0"),
        (perturb(&["--sigma", "inf"]), "inf is not a finite number"),
        (perturb(&["--copies", "0"]), "0 is not in"),
        (perturb(&["--ids", "2-1"]), "2-1"),
        (perturb(&["--labels", "x.npy"]), "--out-labels"),
        (vec!["sample", "-n", "1400000", "-o", "png:-"], "pixels is too large (hint: -o FILE.npy"),
        (vec!["perturb", "-", "--labels", "-", "--out-labels", out, "-o", "-"], "named twice"),
        (vec!["interpolate", "-", "-", "-o", out], "named twice"),
        (sample("9223372036854775807"), "no file is that long (hint: fewer images)"),
        (sample("99999999999"), "it would take 299072266 MiB"),
        (vec!["sample", "-n", "1000000000", "-o", "-"], "GiB (hint: -o FILE.npy"),
        (perturb(&["--ids", "0,3"]), "--ids names 3"),
        (perturb(&["--ids", "1-18446744073709551615"]), "--ids names 3"),
        (vec!["perturb", images, "-o", "png:-", "--copies", "4294967295"], "is too large (hint"),
        (perturb(&with_labels(labels)), "holds 2 labels for 3 images"),
        (perturb(&with_labels(more)), "holds 4 labels for 3 images"),
    ];
    for (arguments, word) in refused {
        let output = run(&arguments);
        failures.extend(not_refused(&output, &[word]).map(|f| format!("{arguments:?}: {f}")));
    }
    if fs::read_dir(&folder).unwrap().count() != 3 {
        failures.push("something was written".into());
    }
    all_well(failures);
}

/// An array without elements whose other axes are larger than any memory.
#[test]
fn a_shape_that_no_memory_holds_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut failures = vec![];
    for (element, arguments) in [
        ("<f4", vec!["decode", "HUGE", "-o", "OUT"]),
        ("<i8", vec!["perturb", "HUGE", "--labels", "HUGE", "--out-labels", "OUT", "-o", "-"]),
        ("|u1", vec!["score", "HUGE"]),
    ] {
        let header = format!(
            "{{'descr': '{element}', 'fortran_order': False, 'shape': (0, 4294967296, 4294967296), }}\n"
        );
        let length = (header.len() as u16).to_le_bytes();
        let array = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes()].concat();
        fs::write(at("huge.npy"), array).unwrap();
        let named = arguments.iter().map(|word| match *word {
            "HUGE" => at("huge.npy"),
            "OUT" => at("out.npy"),
            word => word.to_owned(),
        });
        let refused = not_refused(&run(named), &["huge.npy", "declares the shape [0, 4294967296"]);
        failures.extend(refused.map(|f| format!("{arguments:?}: {f}")));
    }
    all_well(failures);
}

#[test]
#[cfg(target_os = "linux")]
fn an_array_may_have_any_name_that_the_system_allows() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("X.NPY");
    npy::write(&images, &Array3::<u8>::zeros((3, 28, 28))).unwrap();
    let out = folder.path().join(OsStr::from_bytes(b"caf\xe9.npy"));
    succeed([OsStr::new("encode"), images.as_os_str(), OsStr::new("-o"), out.as_os_str()]);
    assert!(out.exists());
}
