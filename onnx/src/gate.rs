//! The gate: every engine gives the trainer's answers, or nothing is written.

use std::path::Path;

use burn::tensor::Device;
use ndarray::{Axis, Slice};
use vae_infer::engine::ort_version;
use vae_infer::manifest::{Parity, Precision, Verdicts};
use vae_infer::verdicts::replay;
use vae_infer::{Bundle, Engine, EngineOptions, Model, Provider};

use crate::error::Error;
use crate::export::Export;
use crate::graph::{decoder, encoder};
use crate::parity::{self, Trainer};
use crate::precision::Limits;
use crate::timing::{self, Timing};
use crate::verdicts::{self, HeldOut};

/// A bundle that was written under a temporary name, and what it is held against.
pub(crate) struct Gate<'a> {
    pub(crate) model: &'a Export<'a>,
    pub(crate) bundle: &'a Bundle,
    pub(crate) held_out: &'a HeldOut<'a>,
    pub(crate) device: &'a Device,
}

/// What an engine has shown.
pub(crate) struct Passed {
    pub(crate) parity: Vec<Parity>,
    pub(crate) verdicts: Verdicts,
    pub(crate) timing: Option<Timing>,
}

impl Gate<'_> {
    /// The engines that the bundle must pass: all that can run its graphs. Of those in half precision
    /// that is ONNX Runtime alone.
    ///
    /// # Errors
    ///
    /// [`Error::NeedsOnnxRuntime`] where it is needed and not here.
    pub(crate) fn engines(
        &self,
        onnx_runtime: &Result<EngineOptions, String>,
    ) -> Result<Vec<EngineOptions>, Error> {
        let precision = self.model.precision;
        if let (Precision::F16Gpu, Err(reason)) = (precision, onnx_runtime) {
            return Err(Error::NeedsOnnxRuntime { precision, reason: reason.clone() });
        }
        let built: &[Engine] = match precision {
            Precision::F16Gpu => &[],
            _ => &[Engine::Native, Engine::Tract],
        };
        let built = built.iter().map(|&engine| EngineOptions::new(engine));
        Ok(built.chain(onnx_runtime.as_ref().ok().cloned()).collect())
    }

    /// Compares an engine with the trainer and with the golden vectors: tensors, then verdicts, then
    /// speed.
    ///
    /// # Errors
    ///
    /// The first that fails, and the errors of loading and running the engine.
    pub(crate) fn pass(&self, options: &EngineOptions) -> Result<Passed, Error> {
        let Self { model: exported, bundle, held_out, device } = *self;
        let Export { vae, probe, precision, .. } = *exported;
        let mut model = Model::load(bundle, options)?;
        let mut trainer = Trainer { vae, device };
        let parity = parity::compare(&mut trainer, bundle, Some(probe), &mut model)?;
        let golden = bundle.golden()?;
        parity::replays(bundle, &golden, &mut model)?;
        let mut verdicts = held_out.compare(&mut model)?;
        let replayed = replay(&mut model, bundle, &golden)?;
        verdicts.golden_flips = replayed.map_or(0, |replayed| replayed.flips);
        let engine = options.engine.to_string();
        verdicts::accept(&engine, &verdicts, Limits::of(precision))?;

        let timing = match precision {
            Precision::F32 => None,
            _ => Some(self.time(options)?),
        };
        if let Some(timing) = timing
            && !exported.allow_slower
            && is_slower(precision, options.engine, timing)
        {
            let Timing { full, reduced } = timing;
            return Err(Error::Slower { engine, full, reduced });
        }
        Ok(Passed { parity, verdicts, timing })
    }

    fn time(&self, options: &EngineOptions) -> Result<Timing, Error> {
        let Export { vae, config, image, probe, .. } = *self.model;
        let files = |graph: &crate::Graph| (graph.to_bytes(), graph.spec());
        let full = [encoder(vae, config, image.shape())?, decoder(vae, config, image.shape())?];
        let full = full.each_ref().map(files);
        let manifest = &self.bundle.manifest;
        let reduced = [
            (&self.bundle.encoder()[..], &manifest.encoder),
            (&self.bundle.decoder()[..], &manifest.decoder),
        ];
        let full = full.each_ref().map(|(bytes, spec)| (&bytes[..], spec));
        Ok(timing::measure(full, reduced, probe.slice_axis(Axis(0), Slice::from(..1)), options)?)
    }
}

/// Whether a precision is there for its speed, and has none on the engine that `auto` takes for it.
fn is_slower(precision: Precision, engine: Engine, Timing { full, reduced }: Timing) -> bool {
    precision == Precision::Int8 && engine == Engine::Native && reduced >= full
}

/// ONNX Runtime on the processor, or why it cannot be compared here.
///
/// # Errors
///
/// Where its library is named by the caller or by `ORT_DYLIB_PATH` and cannot be used.
pub(crate) fn onnx_runtime(library: Option<&Path>) -> Result<Result<EngineOptions, String>, Error> {
    let options = EngineOptions {
        ort_library: library.map(Into::into),
        provider: Provider::Cpu,
        ..EngineOptions::new(Engine::Ort)
    };
    match ort_version(&options) {
        Ok(_) => Ok(Ok(options)),
        Err(error) if library.is_some() || std::env::var_os("ORT_DYLIB_PATH").is_some() => {
            Err(error.into())
        }
        Err(error) => Ok(Err(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn eight_bits_are_to_be_faster_on_the_native_engine() {
        let timing = |reduced| Timing {
            full: Duration::from_micros(70),
            reduced: Duration::from_micros(reduced),
        };
        let slower = |precision, engine, reduced| is_slower(precision, engine, timing(reduced));
        assert!(slower(Precision::Int8, Engine::Native, 71));
        assert!(slower(Precision::Int8, Engine::Native, 70));
        assert!(!slower(Precision::Int8, Engine::Native, 69));
        assert!(!slower(Precision::Int8, Engine::Tract, 71));
        assert!(!slower(Precision::Int8, Engine::Ort, 71));
        assert!(!slower(Precision::F16, Engine::Native, 71));
    }
}
