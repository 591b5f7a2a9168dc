//! `vae-train`: the offline trainer of `vae-infer`.

use std::process::ExitCode;

use clap::Parser;
use vae_train::cli::Cli;

fn main() -> ExitCode {
    match vae_train::commands::run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            let chain = format!("{error:#}");
            let line: Vec<_> = chain.lines().map(str::trim).collect();
            eprintln!("error: {}", line.join(" "));
            ExitCode::from(2)
        }
    }
}
