//! The journeys, each a test of its own, by the programs that `cargo test --workspace` has built
//! (`cargo test --workspace --test journeys -- NAME` runs those whose name holds the word). What this machine cannot run is counted as ignored, with the reason on stderr.

mod anomaly;
mod benchmark;
mod bundled;
mod devices;
mod embedded;
mod evaluate;
mod export;
mod figures;
mod house;
mod import;
mod onnx_runtime;
mod perceptual;
mod precision;
mod proposal;
mod read_back;
mod readme;
mod reproduce;
mod resume;
mod strangers;
mod streamed;
mod train;

use std::path::PathBuf;

use libtest_mimic::{Arguments, Failed, Trial};
use vae_tests::fetch;

/// What a journey needs from outside.
#[derive(Clone, Copy)]
pub(crate) enum Needs {
    /// Nothing.
    Nothing,
    /// ONNX Runtime's shared library.
    OnnxRuntime,
    /// Python.
    Python,
    /// Python with the package `onnx`.
    PythonOnnx,
    /// Python with the packages `onnx`, `onnxruntime` and `openvino`.
    Strangers,
}

/// A journey and what it needs; it gets the path of the latter.
pub(crate) type Journey = (&'static str, Needs, fn(PathBuf) -> Result<(), String>);

fn main() {
    let arguments = Arguments::from_args();
    let journeys: Vec<&[Journey]> = vec![
        house::JOURNEYS,
        anomaly::JOURNEYS,
        benchmark::JOURNEYS,
        embedded::JOURNEYS,
        bundled::JOURNEYS,
        onnx_runtime::JOURNEYS,
        train::JOURNEYS,
        resume::JOURNEYS,
        devices::JOURNEYS,
        evaluate::JOURNEYS,
        export::JOURNEYS,
        import::JOURNEYS,
        figures::JOURNEYS,
        perceptual::JOURNEYS,
        precision::JOURNEYS,
        proposal::JOURNEYS,
        read_back::JOURNEYS,
        readme::JOURNEYS,
        reproduce::JOURNEYS,
        strangers::JOURNEYS,
        streamed::JOURNEYS,
    ];
    let trials = journeys.concat().into_iter().map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial((name, needs, journey): Journey) -> Trial {
    let found = match needs {
        Needs::Nothing => Ok(PathBuf::new()),
        Needs::OnnxRuntime => fetch::onnx_runtime(),
        Needs::Python => fetch::python(),
        Needs::PythonOnnx => fetch::python_onnx(),
        Needs::Strangers => fetch::strangers(),
    };
    if let Err(reason) = &found {
        eprintln!("ignored: {name}: {reason}");
    }
    let ignored = found.is_err();
    let run = move || journey(found.unwrap_or_default()).map_err(Failed::from);
    Trial::test(name, run).with_ignored_flag(ignored)
}
