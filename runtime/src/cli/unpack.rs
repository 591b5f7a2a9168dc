use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use vae_infer::Bundle;
use vae_infer::write::Staged;

use super::options::Options;
use super::signals::Signals;

/// Write the model as a folder of files, each as it was before it was packed
///
/// With --force, a folder is replaced that holds a bundle and nothing else.
#[derive(Args)]
pub(super) struct Unpack {
    /// The folder
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
}

impl Unpack {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let folder = &self.output;
        let replace = options.force && Bundle::fills(folder);
        if folder.symlink_metadata().is_ok() && !replace {
            let reason = match options.force {
                true => {
                    "it exists and is no bundle, or holds more, such as a calibration (hint: another -o)"
                }
                false => "it exists (hint: --force replaces a bundle)",
            };
            bail!("cannot write `{}`: {reason}", folder.display());
        }
        let bundle = options.bundle()?;
        Signals::abandon()?;
        let made = Staged::new(folder)?;
        for (name, content) in bundle.files() {
            made.write(name, content)?;
        }
        Ok(made.publish(replace)?)
    }
}
