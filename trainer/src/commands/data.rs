use std::process::ExitCode;

use anyhow::Result;

use crate::cli::Data;
use crate::data::download;

pub(super) fn run(options: Data) -> Result<ExitCode> {
    let remote = options.name.remote(options.mirror.as_deref());
    for file in download::fetch(&remote, &options.folder)? {
        println!("{file}");
    }
    Ok(ExitCode::SUCCESS)
}
