use std::process::ExitCode;

use anyhow::{Result, bail};

use super::print;
use crate::cli::Report;
use crate::report;

pub(super) fn run(options: Report) -> Result<ExitCode> {
    let out = match (&options.out, &options.runs[..]) {
        (Some(out), _) => out.clone(),
        (None, [run]) => run.join("report.html"),
        (None, _) => bail!("a report on several runs needs a name (hint: -o report.html)"),
    };
    if out.extension().is_none_or(|extension| extension != "html") {
        bail!("cannot write `{}`: a report ends in .html", out.display());
    }
    if options.out.is_some() && out.symlink_metadata().is_ok() && !options.force {
        bail!("cannot write `{}`: it exists (hint: --force writes over it)", out.display());
    }
    report::write(&options.runs, &out)?;
    print(&format!("{}\n", out.display()))
}
