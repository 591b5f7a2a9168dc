//! ONNX Runtime behind the embedded model: tract's answers, and providers that never fall back.

use std::path::{Path, PathBuf};

use ndarray::{Array4, ArrayViewD};
use vae_infer::verify::{TOLERANCE, difference};
use vae_infer::{Bundle, Engine, EngineOptions, Error, Model, Provider};
use vae_tests::programs::{expect, program, refused};

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("onnx_runtime::agrees_with_tract_at_every_batch", Needs::OnnxRuntime, agrees_with_tract),
    ("onnx_runtime::is_found_by_its_variable", Needs::OnnxRuntime, is_found_by_its_variable),
    #[cfg(target_os = "linux")]
    ("onnx_runtime::a_foreign_library_is_refused", Needs::OnnxRuntime, foreign_library),
    ("onnx_runtime::a_named_provider_never_falls_back", Needs::OnnxRuntime, never_falls_back),
];

fn load(library: &Path, provider: Provider) -> Result<Model, Error> {
    let options = EngineOptions {
        ort_library: Some(library.into()),
        provider,
        ..EngineOptions::new(Engine::Ort)
    };
    Model::load(&Bundle::embedded(), &options)
}

fn agrees_with_tract(library: PathBuf) -> Result<(), String> {
    let mut ort = load(&library, Provider::Auto).map_err(|e| e.to_string())?;
    if ort.encoder.backend().to_string() != "ort/cpu" {
        return Err(format!("it runs on {}", ort.encoder.backend()));
    }
    let tract = Model::load(&Bundle::embedded(), &EngineOptions::new(Engine::Tract));
    let mut tract = tract.map_err(|e| e.to_string())?;
    for batch in [1, 3, 64] {
        let images = Array4::from_shape_fn((batch, 1, 28, 28), |(n, _, y, x)| {
            ((n * 7 + x * y) % 11) as f32 / 10.0
        });
        let [a, b] = [&mut ort, &mut tract].map(|model| model.reconstruct(images.view()));
        let (a, b) = (a.map_err(|e| e.to_string())?, b.map_err(|e| e.to_string())?);
        let compare = |output: &str, a: ArrayViewD<f32>, b: ArrayViewD<f32>| {
            let worst = difference(a, b);
            if worst <= TOLERANCE { Ok(()) } else { Err(format!("{output}, {batch}: {worst:e}")) }
        };
        let means = [&a, &b].map(|side| side.posterior.mean.view().into_dyn());
        let [left, right] = means;
        compare("mean", left, right)?;
        compare("reconstruction", a.images.view().into_dyn(), b.images.view().into_dyn())?;
        let (left, right) = (a.posterior.log_var, b.posterior.log_var);
        let (left, right) = left.zip(right).ok_or("the embedded model has a posterior")?;
        compare("log_var", left.view().into_dyn(), right.view().into_dyn())?;
    }
    Ok(())
}

fn is_found_by_its_variable(library: PathBuf) -> Result<(), String> {
    let with_variable = |arguments: &[&str]| {
        expect(program("vae-infer")?.args(arguments).env("ORT_DYLIB_PATH", &library), 0)
    };
    with_variable(&["verify", "--engine", "ort"])?;
    let report = String::from_utf8_lossy(&with_variable(&["doctor"])?.stdout).into_owned();
    let works = report.lines().any(|line| line.starts_with("ort     cpu       yes"));
    if works { Ok(()) } else { Err(report) }
}

/// The library with another machine's number in its ELF header.
#[cfg(target_os = "linux")]
fn foreign_library(library: PathBuf) -> Result<(), String> {
    const MACHINE: std::ops::Range<usize> = 18..20;
    const NONE: [u8; 2] = [0xff, 0x7f];
    let folder = tempfile::TempDir::new().map_err(|e| e.to_string())?;
    let foreign = folder.path().join("libonnxruntime.so");
    let mut content = std::fs::read(library).map_err(|e| e.to_string())?;
    content[MACHINE].copy_from_slice(&NONE);
    std::fs::write(&foreign, content).map_err(|e| e.to_string())?;
    let mut verify = program("vae-infer")?;
    verify.args(["verify", "--engine", "ort", "--ort-lib"]).arg(&foreign);
    refused(&mut verify, &["ONNX Runtime", &foreign.to_string_lossy()])
}

fn never_falls_back(library: PathBuf) -> Result<(), String> {
    for provider in [Provider::Cuda, Provider::TensorRt, Provider::OpenVino] {
        match load(&library, provider) {
            Ok(model) if model.encoder.backend().provider == provider => {}
            Ok(model) => return Err(format!("{provider} became {}", model.encoder.backend())),
            Err(Error::Engine { engine, .. }) if engine.contains(&provider.to_string()) => {}
            Err(other) => return Err(format!("{provider}: {other}")),
        }
    }
    Ok(())
}
