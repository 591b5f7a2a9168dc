//! ONNX Runtime: the same answers as tract, and one clear line where it is not to be had.
//!
//! The library is the one at `ORT_DYLIB_PATH`, or in `target/onnxruntime/`, where unpacking the
//! PyPI wheel `onnxruntime` puts it. Where there is none, the tests that need it say so on
//! standard error, in lines that begin with `skipped:`.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

#[path = "it/fixture.rs"]
mod fixture;

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::Array4;
use vae_infer::verify::{TOLERANCE, difference};
use vae_infer::{Bundle, Engine, EngineOptions, Error, Model, Provider};

use fixture::{all_well, command, not_refused, rings, run};

/// The library, or a note that the test is skipped.
fn library(test: &str) -> Option<PathBuf> {
    let unpacked =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/onnxruntime/onnxruntime/capi");
    let named = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let found = named.or(Some(unpacked)).filter(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: {test} needs ONNX Runtime's library (ORT_DYLIB_PATH)");
    }
    found
}

#[test]
fn both_engines_agree_at_every_batch_size() {
    let Some(library) = library("both_engines_agree_at_every_batch_size") else { return };
    let bundle = Bundle::embedded();
    let options = EngineOptions { ort_library: Some(library), ..EngineOptions::new(Engine::Ort) };
    let mut ort = Model::load(&bundle, &options).unwrap();
    assert_eq!(ort.encoder.backend().to_string(), "ort/cpu");
    let mut tract = Model::load(&bundle, &EngineOptions::new(Engine::Tract)).unwrap();
    for batch in [1, 3, 64] {
        let images = Array4::from_shape_fn((batch, 1, 28, 28), |(n, _, y, x)| {
            ((n * 7 + x * y) % 11) as f32 / 10.0
        });
        let a = ort.reconstruct(images.view()).unwrap();
        let b = tract.reconstruct(images.view()).unwrap();
        let log_vars = (a.posterior.log_var.unwrap(), b.posterior.log_var.unwrap());
        for (output, worst) in [
            (
                "mean",
                difference(a.posterior.mean.view().into_dyn(), b.posterior.mean.view().into_dyn()),
            ),
            ("log_var", difference(log_vars.0.view().into_dyn(), log_vars.1.view().into_dyn())),
            ("reconstruction", difference(a.images.view().into_dyn(), b.images.view().into_dyn())),
        ] {
            assert!(worst <= TOLERANCE, "{output} at batch {batch}: {worst}");
        }
    }
}

#[test]
fn commands_run_on_it_and_draw_the_same_latents() {
    let Some(library) = library("commands_run_on_it_and_draw_the_same_latents") else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let latents = ["tract", "ort"].map(|engine| {
        let (out, z) = (at(&format!("{engine}.npy")), at(&format!("{engine}.z.npy")));
        let arguments = [
            "sample",
            "-n",
            "66",
            "--seed",
            "7",
            "--engine",
            engine,
            "-o",
            &out,
            "--out-latents",
            &z,
        ];
        let output = command(arguments).arg("--ort-lib").arg(&library).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::read(z).unwrap()
    });
    assert_eq!(latents[0], latents[1]);
    let output =
        command(["verify", "--engine", "ort"]).env("ORT_DYLIB_PATH", &library).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let output = command(["doctor"]).env("ORT_DYLIB_PATH", &library).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.lines().any(|line| line.starts_with("ort    cpu       yes")), "{report}");
}

#[test]
fn a_provider_asked_for_by_name_never_falls_back() {
    let Some(library) = library("a_provider_asked_for_by_name_never_falls_back") else { return };
    let bundle = Bundle::embedded();
    for provider in [Provider::Cuda, Provider::TensorRt, Provider::OpenVino] {
        let ort_library = Some(library.clone());
        let options = EngineOptions { provider, ort_library, ..EngineOptions::new(Engine::Ort) };
        match Model::load(&bundle, &options) {
            Ok(model) => assert_eq!(model.encoder.backend().provider, provider),
            Err(Error::Engine { engine, .. }) => assert!(engine.contains(&provider.to_string())),
            Err(other) => panic!("{other}"),
        }
    }
}

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
