mod candidates;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use vae_infer::tuning::{Choice, Choices, Goal};
use vae_infer::{Bundle, EngineOptions, Error};

use super::bench::seconds;
use super::lines::Lines;
use super::options::{Format, Options};
use super::say::say;
use candidates::{Measured, Table};
use report::Report;

/// Find out what runs a model fastest on this machine, and keep it for `--engine auto`
///
/// Measured are the engines of this program with the providers that work, 1, 2, 4 … threads up to one
/// on every core, and 1, 8 and 64 images in a call, over the inputs that are recorded in the bundle. An
/// engine that does not give the recorded results is out. --engine, --ep and --threads leave only
/// those in.
///
/// What is best for latency and what is best for throughput are kept in the user's cache, for this
/// bundle, this processor and this build of the program. Commands take the one where they are given one
/// image, or images one by one (`watch`, `score --raw`), and the other where there are many, in batches
/// of the number of images that was best; but neither where an engine, a provider or a number of threads
/// is named.
#[derive(Args)]
pub(super) struct Tune {
    /// The bundle [default: that of --model]
    #[arg(value_name = "MODEL")]
    place: Option<PathBuf>,
    /// Choose for this alone [default: for both]
    #[arg(long, value_enum)]
    goal: Option<Goal>,
    /// Measure every candidate for so long
    #[arg(long, value_name = "S", default_value = "0.5", value_parser = seconds)]
    seconds: Duration,
    /// Bundles of the same model in other precisions, which are measured too and never chosen
    #[arg(long, value_name = "BUNDLE", num_args = 1..)]
    precisions: Vec<PathBuf>,
    /// Forget what was chosen for the model
    #[arg(long, conflicts_with_all = ["goal", "seconds", "precisions"])]
    forget: bool,
}

#[derive(Serialize)]
struct Forgotten {
    forgotten: bool,
}

impl Tune {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let bundle = options.bundle_at(self.place.as_deref())?;
        let mut lines = Lines::new(options.format(Format::Text));
        if self.forget {
            let forgotten = Choices::of_user().forget(&bundle)?;
            lines.print(&Forgotten { forgotten }, |line| {
                if line.forgotten { "forgotten" } else { "nothing was chosen" }.into()
            })?;
            return lines.flush();
        }
        let others = self.precisions.iter().map(|path| same_model(&bundle, Bundle::open(path)?));
        let others = others.collect::<Result<Vec<_>>>()?;

        let mut table = Table::default();
        table.measure(&bundle, options.engine(), self.seconds)?;
        let mut report = Report::new(&bundle, self.goal, table);
        for other in &others {
            report.table().measure(other, options.engine(), self.seconds)?;
        }
        lines.print(&report, Report::text)?;
        lines.flush()?;

        let source = bundle.source().display();
        let none = || {
            format!("no engine that was asked for gives the recorded results of `{source}` here")
        };
        for goal in self.goal.map_or(Goal::ALL.to_vec(), |goal| vec![goal]) {
            let best = report.best(goal).with_context(none)?;
            let choice = choice(best, options.engine())?;
            if !Choices::of_user().keep(&bundle, goal, &choice)? {
                say("there is no cache to keep the choice in (hint: set XDG_CACHE_HOME)");
                break;
            }
            say(format!("--engine auto takes {choice}, for {goal} (tune --forget undoes it)"));
        }
        Ok(())
    }
}

/// What was measured as a choice, where this was asked for.
fn choice(measured: &Measured, asked: EngineOptions) -> Result<Choice, Error> {
    let Measured { engine, provider, threads, batch, .. } = *measured;
    let version = asked.version(engine)?;
    let ort_library = asked.ort_library.map(absolute).transpose()?;
    Ok(Choice { engine, provider, threads, batch, ort_library, version })
}

/// A path that means the same wherever the program is started.
fn absolute(path: PathBuf) -> Result<PathBuf, Error> {
    std::path::absolute(&path).map_err(Error::read(path))
}

/// Refuses a bundle that is another model than the one that is tuned.
fn same_model(bundle: &Bundle, other: Bundle) -> Result<Bundle> {
    let (a, b) = (&bundle.manifest, &other.manifest);
    if (&a.name, a.image.shape(), a.latent) != (&b.name, b.image.shape(), b.latent) {
        let (other, bundle) = (other.source().display(), bundle.source().display());
        bail!("`{other}` is not the model of `{bundle}` in another precision");
    }
    Ok(other)
}
