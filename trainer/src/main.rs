//! `vae-train`: the offline trainer of `vae-infer`.

use std::process::ExitCode;

use clap::Parser;
use vae_train::cli::Cli;

fn main() -> ExitCode {
    match vae_train::commands::run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
