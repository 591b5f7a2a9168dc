use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cli::Report;
use crate::report;

pub(super) fn run(options: Report) -> Result<ExitCode> {
    let out = match (&options.out, &options.runs[..]) {
        (Some(out), _) => out.clone(),
        (None, [run]) => run.join("report.html"),
        (None, _) => bail!("a report on several runs needs a name (hint: -o report.html)"),
    };
    report::write(&options.runs, &out)?;
    println!("{}", out.display());
    Ok(ExitCode::SUCCESS)
}
