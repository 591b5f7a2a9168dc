//! How well anomalies are found on data sets: networks trained on what is normal, and the scores of
//! all methods on images that are not.
//!
//! ```text
//! plan::cases -> measure::measure -> Measured -> table
//!                fit, bundle, scores  scores.json
//! ```
//!
//! Every case is a folder of its own and is measured once. Several processes share the cases of one
//! folder: each is locked by the one that measures it.

mod held_out;
mod measure;
mod measured;
mod plan;
mod scorer;
mod table;
mod text;
mod tiles;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub use plan::Part;
use plan::Set;

use crate::device::DeviceName;
use crate::fit::Outcome;
use crate::reproduce::made;
use crate::run::Run;
use crate::say::say;
use crate::signals::Signals;
use held_out::Tests;
use measure::State;

/// What a benchmark is asked for.
#[derive(Debug)]
pub struct Options<'a> {
    /// The folder with the data sets; a quick run makes its own images.
    pub data: Option<&'a Path>,
    /// The folder for the cases and the table. What is there is not measured again.
    pub out: &'a Path,
    /// Networks for each case, each with a seed of its own, from 0 on.
    pub seeds: u64,
    /// Whether everything is small, to see that it works.
    pub quick: bool,
    /// Whether checkpoints stay after their case is measured.
    pub keep: bool,
    /// Where to train.
    pub device: DeviceName,
}

/// Trains and measures the cases of some parts that were not measured yet, and writes `anomaly.md` and
/// `anomaly.json` on all that are.
///
/// A signal ends it after the step that is under way.
///
/// # Errors
///
/// Where images are missing, before anything is trained; where a step fails, with the case's name.
pub fn anomaly(
    parts: &[Part],
    options: &Options<'_>,
    signals: &Signals,
) -> Result<(Outcome, PathBuf)> {
    if Run::open(options.out).is_ok() {
        bail!("`{}` is a run (hint: another -o)", options.out.display());
    }
    let page = options.out.join("anomaly.md");
    let cases = plan::cases(parts, options.seeds, options.quick);
    for set in plan::sets(parts) {
        prepare(set, options)?;
    }
    let mut tests = Tests::default();
    let mut elsewhere = 0;
    for (place, case) in cases.iter().enumerate() {
        if let Some(signal) = signals.received() {
            return Ok((Outcome::Interrupted(signal), page));
        }
        let name = case.name();
        let state = measure::measure(case, options, &mut tests, signals);
        match state.with_context(|| format!("in {name}"))? {
            State::Interrupted(signal) => return Ok((Outcome::Interrupted(signal), page)),
            State::Elsewhere => elsewhere += 1,
            State::Known => {}
            State::New(best) => say(format!("{name}: {best} ({} of {})", place + 1, cases.len())),
        }
    }
    if elsewhere > 0 {
        say(format!(
            "note: {elsewhere} of the networks are under way in another process, which writes the \
             table with them"
        ));
    }
    table::write(options, &page)?;
    Ok((Outcome::Finished, page))
}

/// Sees that the images of a set are there, or makes them.
fn prepare(set: &Set, options: &Options<'_>) -> Result<()> {
    let folder = folder(set, options)?;
    match set.made {
        _ if !options.quick => {}
        Some(first) => {
            made::write(&folder, [1, 28, 28], first..first + plan::QUICK_CLASSES as i64)?;
        }
        None => tiles::made::write(&folder)?,
    }
    if !folder.is_dir() {
        bail!("{} needs its images, and there is no folder `{}`", set.title, folder.display());
    }
    Ok(())
}

/// The folder of a set's images.
fn folder(set: &Set, options: &Options<'_>) -> Result<PathBuf> {
    match options.data {
        _ if options.quick => Ok(options.out.join("made").join(set.folder)),
        Some(data) => Ok(data.join(set.folder)),
        None => bail!("{} needs its images: --data DIR, with `{}/` in it", set.title, set.folder),
    }
}
