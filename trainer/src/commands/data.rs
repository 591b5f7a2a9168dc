use std::process::ExitCode;

use anyhow::Result;

use super::print;
use crate::cli::Data;
use crate::data::download;

pub(super) fn run(options: Data) -> Result<ExitCode> {
    let remote = options.name.remote(options.mirror.as_deref());
    let files = download::fetch(&remote, &options.folder)?;
    print(&files.iter().map(|file| format!("{file}\n")).collect::<String>())
}
