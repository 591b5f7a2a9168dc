use std::process::ExitCode;

use anyhow::{Result, bail};
use vae_infer::images;

use super::print;
use crate::cli::Reproduce;
use crate::fit::Outcome;
use crate::reproduce::{self, Options, SEEDS, Seed};
use crate::say::say;
use crate::signals::Signals;

pub(super) fn run(options: Reproduce) -> Result<ExitCode> {
    let chosen = |seed: &&Seed| options.seeds.iter().any(|s| s == "all" || s == seed.name);
    let known = |name: &&String| *name == "all" || SEEDS.iter().any(|seed| seed.name == **name);
    if let Some(unknown) = options.seeds.iter().find(|name| !known(name)) {
        bail!("there is no seed `{unknown}` (seed0 to seed4, or all)");
    }
    let seeds: Vec<&Seed> = SEEDS.iter().filter(chosen).collect();
    let Reproduce { data, out, quick, device, .. } = &options;
    let (data, quick, device) = (data.as_deref(), *quick, *device);
    let options = Options { data, out, quick, device };
    let (outcome, table) = reproduce::reproduce(&seeds, &options, &Signals::watch()?)?;
    if let Outcome::Interrupted(signal) = outcome {
        say("stopped and saved; the same command goes on");
        return Ok(ExitCode::from(128 + signal as u8));
    }
    print(&String::from_utf8_lossy(&images::read_file(&table)?))
}
