use std::process::ExitCode;

use anyhow::{Result, bail};

use super::print;
use crate::config::PRESETS;

pub(super) fn run(name: Option<&str>) -> Result<ExitCode> {
    let text = match name {
        None => {
            let about = |text: &str| text.lines().next().unwrap_or_default()[1..].to_owned();
            PRESETS.iter().map(|(name, text)| format!("{name:18}{}\n", about(text))).collect()
        }
        Some(wanted) => match PRESETS.iter().find(|(name, _)| *name == wanted) {
            Some((_, text)) => (*text).to_owned(),
            None => bail!("there is no preset `{wanted}` (`vae-train presets` lists them)"),
        },
    };
    print(&text)
}
