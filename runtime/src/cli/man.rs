use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, CommandFactory};
use vae_infer::Error;

use super::Cli;
use super::options::Options;
use super::output;
use super::results::Results;

/// Print the manual page, or write those of all commands into a folder
#[derive(Args)]
pub(super) struct Man {
    /// The folder
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let mut command = Cli::command();
        command.build();
        let Some(folder) = &self.output else {
            return Ok(io::stdout().lock().write_all(&page(command)?)?);
        };
        std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
        let mut results = Results::new(options.force)?;
        let commands = command.get_subcommands().filter(|c| c.get_name() != "help").cloned();
        for command in commands.chain([command.clone()]) {
            let name = command.get_display_name().unwrap_or(command.get_name());
            let path = folder.join(format!("{name}.1"));
            output::check(&path, options.force, [] as [&Path; 0])?;
            results.add_file(&path, &page(command)?)?;
        }
        results.write()
    }
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}
