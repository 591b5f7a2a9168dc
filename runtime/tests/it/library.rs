//! ONNX Runtime's library where it is not to be had: one clear line.

use std::fs;
use std::path::Path;

use crate::fixture::{all_well, command, not_refused, rings, run};

#[test]
fn an_unusable_library_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let image = rings(folder.path(), 1).remove(0);
    let image = image.to_str().unwrap();
    let text = folder.path().join("libonnxruntime.so");
    fs::write(&text, "not a library").unwrap();
    let text = text.to_str().unwrap();
    let arguments = ["score", image, "--engine", "ort"];
    let mut failures = Vec::new();
    let mut refuse = |case: &str, output: std::process::Output, word: &str| {
        failures
            .extend(not_refused(&output, &["ONNX Runtime", word]).map(|f| format!("{case}: {f}")));
    };
    let with = |library: &str| run(arguments.iter().chain(&["--ort-lib", library]));
    refuse("B1 no such file", with("/no/such/libonnxruntime.so"), "/no/such");
    refuse("B1 empty folder", with("/proc/self/task"), "holds no");
    refuse("B3 text file", with(text), text);
    for other in ["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/libm.so.6", "/usr/lib/libm.so.6"] {
        if Path::new(other).exists() {
            refuse("B2 another library", with(other), "OrtGetApiBase");
        }
    }
    let variable = |value: &str| command(arguments).env("ORT_DYLIB_PATH", value).output().unwrap();
    refuse("B7 empty variable", variable(""), "ORT_DYLIB_PATH");
    refuse("B7 relative variable", variable("no/such.so"), "no/such.so");
    refuse("B7 garbage variable", variable("\u{1}?"), "ORT_DYLIB_PATH");
    refuse("B3 variable", variable(text), text);
    all_well(failures);

    let output = run(["score", image, "--engine", "tract", "--ep", "cuda"]);
    assert_eq!(not_refused(&output, &["tract", "cuda"]), None);
}
