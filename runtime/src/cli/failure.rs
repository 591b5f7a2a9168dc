//! The one place where errors are printed.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::error::ErrorKind as Refusal;
use vae_infer::{Error, usage};

/// Prints an error as one line on standard error and gives the exit code: 2, or 0 where whoever
/// reads standard output has had enough.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    let closed = |cause: &io::Error| cause.kind() == ErrorKind::BrokenPipe;
    if error.chain().any(|cause| cause.downcast_ref().is_some_and(closed)) {
        return ExitCode::SUCCESS;
    }
    let mut line = format!("error: {error:#}");
    if let Some(hint) = error.chain().find_map(|cause| hint(cause.downcast_ref()?))
        && !line.contains("(hint: ")
    {
        line.push_str(&format!(" (hint: {hint})"));
    }
    let _ = writeln!(io::stderr(), "{}", usage::joined(&line));
    ExitCode::from(2)
}

/// Prints the help or the version that a command line asks for, or why it is refused as one line on
/// standard error.
pub(crate) fn refusal(error: &clap::Error) -> ExitCode {
    let help = error.kind() == Refusal::DisplayHelpOnMissingArgumentOrSubcommand;
    if help || !error.use_stderr() {
        let _ = error.print();
    } else {
        let _ = writeln!(io::stderr(), "{}", usage::one_line(&error.render().to_string()));
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::ImageSize { .. } => Some("--resize stretch or --resize crop"),
        Error::Engine { .. } => Some("`vae-infer doctor` says what works here"),
        Error::Bundle { .. } => Some("export it again, or copy the whole of it again"),
        Error::SelfTest { .. } | Error::SelfTestVerdicts { .. } => {
            Some("`vae-infer verify` shows every output, --selftest off runs it all the same")
        }
        _ => None,
    }
}
