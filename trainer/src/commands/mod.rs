//! One file for each subcommand.

mod data;
mod export;
mod features;
mod fit;
mod presets;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::Command;

/// Carries a command out.
///
/// # Errors
///
/// One chain of causes, for `main` to print.
pub fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Fit(options) => fit::run(options),
        Command::Export(options) => export::run(options),
        Command::Features(options) => features::run(options),
        Command::Data(options) => data::run(options),
        Command::Presets { name } => presets::run(name.as_deref()),
    }
}
