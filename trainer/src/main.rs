//! `vae-train`: the offline trainer of `vae-infer`.

use std::process::ExitCode;

use clap::Parser;
use vae_train::cli::Cli;

// A step on the CPU frees and asks for hundreds of tensors, which this one does not give back to the
// system in between.
#[cfg(feature = "flex")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match vae_train::commands::run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            let chain = format!("{error:#}");
            let line: Vec<_> = chain.lines().map(str::trim).collect();
            let another_size = |cause: &(dyn std::error::Error + 'static)| {
                matches!(cause.downcast_ref(), Some(vae_infer::Error::ImageSize { .. }))
            };
            let hint = match error.chain().any(another_size) {
                true => {
                    " (hint: image.resize = \"stretch\" or \"crop\" in the configuration, or --set)"
                }
                false => "",
            };
            eprintln!("error: {}{hint}", line.join(" "));
            ExitCode::from(2)
        }
    }
}
