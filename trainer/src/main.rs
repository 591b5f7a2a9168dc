//! `vae-train`: the offline trainer of `vae-infer`.

#[cfg(feature = "flex")]
mod memory;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use vae_infer::usage;
use vae_train::cli::Cli;
use vae_train::data;
use vae_train::say::say;

fn main() -> ExitCode {
    #[cfg(feature = "flex")]
    memory::keep();
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return refusal(&error),
    };
    match vae_train::commands::run(command) {
        Ok(code) => code,
        Err(error) => {
            let another_size = |cause: &(dyn std::error::Error + 'static)| {
                // What a data set passes on is not a cause of its own.
                let passed_on = match cause.downcast_ref() {
                    Some(data::Error::Infer(error)) => Some(error),
                    _ => None,
                };
                let error = cause.downcast_ref().or(passed_on);
                matches!(error, Some(vae_infer::Error::ImageSize { .. }))
            };
            let hint = match error.chain().any(another_size) {
                true => {
                    " (hint: image.resize = \"stretch\" or \"crop\" in the configuration, or --set)"
                }
                false => "",
            };
            say(format!("error: {}{hint}", usage::joined(&format!("{error:#}"))));
            ExitCode::from(2)
        }
    }
}

/// Prints the help or the version that a command line asks for, or why it is refused as one line on
/// standard error.
fn refusal(error: &clap::Error) -> ExitCode {
    let help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if help || !error.use_stderr() {
        let _ = error.print();
    } else {
        say(usage::one_line(&error.render().to_string()));
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}
