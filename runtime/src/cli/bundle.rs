use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use vae_infer::{Error, write};

use super::options::Options;
use super::output;
use super::signals::Signals;

/// Write a copy of this program with the model inside, as its default
///
/// The copy is one file that runs alone. A model that is inside already makes room for the new one.
/// On macOS it must be signed again: what is put behind a program invalidates its code signature.
#[derive(Args)]
pub(super) struct Bundle {
    /// The program, for example my-inspector
    #[arg(short, long, value_name = "PROGRAM")]
    output: PathBuf,
}

impl Bundle {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let program = std::env::current_exe().map_err(Error::read("this program"))?;
        let bundle = options.bundle()?;
        let inputs = options.read_for(&bundle);
        output::check(&self.output, options.force, inputs.iter().map(PathBuf::as_path))?;
        let content = bundle.append_to(&program)?;
        Signals::abandon()?;
        Ok(write::program(&self.output, &content)?)
    }
}
