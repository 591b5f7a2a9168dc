//! One file for each subcommand.

mod benchmark;
mod data;
mod evaluate;
pub(crate) mod export;
mod features;
mod figures;
pub(crate) mod fit;
mod import;
mod presets;
mod report;
mod reproduce;

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use vae_infer::{Engine, Manifest};

use crate::cli::Command;
use crate::device::DeviceName;
use crate::say::say;
use crate::signals::Signals;
use crate::trained::Trained;

/// Carries a command out.
///
/// # Errors
///
/// One chain of causes, for `main` to print.
pub fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Fit(options) => fit::run(options),
        Command::Evaluate(options) => evaluate::run(options),
        Command::Figures(options) => figures::run(options),
        Command::Export(options) => interruptible(|| export::run(options)),
        Command::Import(options) => interruptible(|| import::run(*options)),
        Command::Report(options) => report::run(options),
        Command::Reproduce(options) => reproduce::run(options),
        Command::Benchmark(options) => benchmark::run(options),
        Command::Features(options) => interruptible(|| features::run(options)),
        Command::Data(options) => data::run(options),
        Command::Presets { name } => presets::run(name.as_deref()),
    }
}

/// Does what Ctrl-C ends without a trace: its folder gets its name when it is whole.
fn interruptible(work: impl FnOnce() -> Result<ExitCode> + Send + 'static) -> Result<ExitCode> {
    Signals::watch()?.interruptible(work)
}

/// Says what a user should know, which is said when nothing is wrong: an error has its line alone.
fn tell(notes: impl IntoIterator<Item = String>) {
    for note in notes {
        say(format!("note: {note}"));
    }
}

/// Opens a run, and warns where its weights are those of no whole epoch.
fn open(run: &Path, epoch: Option<usize>, device: DeviceName) -> Result<Trained> {
    let chosen = device.open()?;
    let trained = Trained::open(run, epoch, chosen.device.clone())?;
    tell(chosen.note());
    if trained.epoch == 0 {
        say("warning: the run's first epoch has not ended, its weights are half-trained");
    }
    Ok(trained)
}

/// The size of a new bundle, and how near every engine is to the answers of the trainer or the files.
fn agreement(bundle: &Path, manifest: &Manifest, reference: &str) -> String {
    let bytes = manifest.encoder.file.bytes + manifest.decoder.file.bytes;
    let mut text = format!("{}: {} KiB of graphs\n", bundle.display(), bytes / 1024);
    for engine in Engine::BUILT.iter().map(Engine::to_string) {
        let rows = manifest.parity.iter().filter(|row| row.engine == engine);
        if let Some(worst) = rows.map(|row| row.difference).max_by(f64::total_cmp) {
            text +=
                &format!("{engine}: at most {worst:.1e} of an output's range from {reference}\n");
        }
    }
    text
}

/// Writes a text to standard output, where a reader that has left is no error.
fn print(text: &str) -> Result<ExitCode> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
