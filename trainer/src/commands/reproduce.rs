use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cli::Reproduce;
use crate::reproduce::{self, Options, SEEDS, Seed};

pub(super) fn run(options: Reproduce) -> Result<ExitCode> {
    let chosen = |seed: &&Seed| options.seeds.iter().any(|s| s == "all" || s == seed.name);
    let known = |name: &&String| *name == "all" || SEEDS.iter().any(|seed| seed.name == **name);
    if let Some(unknown) = options.seeds.iter().find(|name| !known(name)) {
        bail!("there is no seed `{unknown}` (seed0 to seed4, or all)");
    }
    let seeds: Vec<&Seed> = SEEDS.iter().filter(chosen).collect();
    let Reproduce { data, out, quick, device, .. } = &options;
    let (data, quick, device) = (data.as_deref(), *quick, *device);
    reproduce::reproduce(&seeds, &Options { data, out, quick, device })?;
    print!("{}", std::fs::read_to_string(out.join("seeds.md"))?);
    Ok(ExitCode::SUCCESS)
}
