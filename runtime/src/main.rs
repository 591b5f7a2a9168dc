//! `vae-infer`: variational autoencoders on the command line.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => cli::failure(&error),
    }
}
