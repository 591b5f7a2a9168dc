use anyhow::Result;
use clap::Args;
use ndarray::Array4;
use serde::Serialize;
use vae_infer::{Bundle, Engine, EngineOptions, Error, Model, Provider};

use super::lines::Lines;
use super::options::{Format, Options};

/// Say which engines and providers work on this machine, and why the others do not
///
/// Each is tried with the model on one image.
#[derive(Args)]
pub(super) struct Doctor;

#[derive(Serialize)]
struct Line {
    engine: String,
    provider: String,
    works: bool,
    detail: String,
}

impl Doctor {
    pub(super) fn run(self, options: &Options) -> Result<()> {
        let bundle = options.bundle()?;
        let options_of = |engine, provider| EngineOptions { engine, provider, ..options.engine() };
        let mut lines = Lines::new(options.format(Format::Text));
        let mut report = |engine: Engine, provider: &str, outcome: Result<String, Error>| {
            let (works, detail) = match outcome {
                Ok(detail) => (true, detail),
                Err(error) => (false, reason(error)),
            };
            let (engine, provider) = (engine.to_string(), provider.to_owned());
            lines.print(&Line { engine, provider, works, detail }, |line| {
                let works = if line.works { "yes" } else { "no" };
                format!("{:<6}  {:<8}  {works:<3}  {}", line.engine, line.provider, line.detail)
            })
        };

        for engine in Engine::BUILT {
            if *engine != Engine::Ort {
                let outcome = attempt(&bundle, &options_of(*engine, Provider::Cpu));
                report(*engine, "cpu", outcome)?;
                continue;
            }
            let library = options.engine().version(*engine);
            let found = library.is_ok();
            report(*engine, "library", library)?;
            for provider in Provider::NAMED.iter().filter(|_| found) {
                let outcome = attempt(&bundle, &options_of(*engine, *provider));
                report(*engine, &provider.to_string(), outcome)?;
            }
        }
        lines.flush()
    }
}

/// Runs one black image through a model.
fn attempt(bundle: &Bundle, options: &EngineOptions) -> Result<String, Error> {
    let image = &bundle.manifest.image;
    let black = Array4::from_elem((1, image.channels, image.height, image.width), image.range[0]);
    Model::load(bundle, options)?.reconstruct(black.view())?;
    Ok(String::new())
}

fn reason(error: Error) -> String {
    match error {
        Error::Engine { reason, .. } => reason,
        other => other.to_string(),
    }
}
