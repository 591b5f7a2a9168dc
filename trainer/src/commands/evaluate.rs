use std::num::NonZeroUsize;
use std::process::ExitCode;

use anyhow::Result;

use super::{open, print};
use crate::cli::{Evaluate, Format};
use crate::evaluation::{self, Options};

pub(super) fn run(options: Evaluate) -> Result<ExitCode> {
    let trained = open(&options.run, options.epoch, options.device)?;
    let split = trained.data(options.data.as_deref())?;
    let Evaluate { part, samples, limit, .. } = options;
    let asked = Options { part, samples, limit: limit.map(NonZeroUsize::get) };
    let evaluation = evaluation::evaluate(&trained, &split, &asked)?;
    trained.run.write_evaluation(&evaluation)?;
    let text = match options.format {
        Format::Text => evaluation.to_string(),
        Format::Json => serde_json::to_string(&evaluation)? + "\n",
    };
    print(&text)
}
