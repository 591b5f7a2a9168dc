use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::options::Options;
use super::output;
use super::results::Results;

/// Write the model as one file, which --model takes like its folder
///
/// The file is a ZIP archive of which no byte is compressed, so that other programs can map it into
/// memory. One model gives the same bytes, always.
#[derive(Args)]
pub(super) struct Pack {
    /// The file, for example model.vae
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

impl Pack {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let bundle = options.bundle()?;
        let inputs = options.read_for(&bundle);
        output::check(&self.output, options.force, inputs.iter().map(PathBuf::as_path))?;
        let mut results = Results::new(options.force)?;
        results.add_file(&self.output, &bundle.pack()?)?;
        results.write()
    }
}
