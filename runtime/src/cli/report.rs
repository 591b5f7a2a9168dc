mod axis;
mod distribution;
mod figures;
mod line;
mod maps;
mod page;
mod plot;
mod ranking;
mod reference;
mod tally;
mod watch;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::calibrated::Calibrated;
use super::options::Options;
use super::output;
use super::results::Results;
use line::Reader;
use reference::Reference;
use tally::Tally;
use watch::Watch;

/// Make a page of what `score` printed: counts, distributions and the most abnormal images
///
/// The page is one HTML file that needs no network and no script. Where the model was calibrated, or with
/// --calibration, it has the threshold and the calibration's scores beside those of the images, and
/// with --contract it says whether the images, in their order, are still like those of the calibration.
/// However many lines there are, only the most abnormal ones are held.
#[derive(Args)]
pub(super) struct Report {
    /// The lines that `score` printed, as JSON, or - for standard input
    #[arg(value_name = "SCORES")]
    scores: PathBuf,
    /// The page
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
    /// The folder of maps that `score --heatmap` wrote
    #[arg(long, value_name = "DIR")]
    heatmap: Option<PathBuf>,
    /// Show this many of the most abnormal images
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = RangedU64ValueParser::<usize>::new().range(0..=1000))]
    top: usize,
    #[command(flatten)]
    calibrated: Calibrated,
    /// Test whether the images, in their order, are still like those of the calibration; RATE is the
    /// chance that images which are, however many, are ever said not to be
    #[arg(long, value_name = "RATE")]
    contract: Option<f64>,
}

impl Report {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let output = &self.output;
        if output.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("html")) {
            bail!("cannot write `{}`: a report ends in .html", output.display());
        }
        let calibration = self.calibrated.open(&options.bundle()?)?;
        let reference = calibration.map(Reference::of).transpose()?;
        let inputs = [Some(&self.scores), reference.as_ref().map(|reference| &reference.path)];
        output::check(output, options.force, inputs.into_iter().flatten().map(PathBuf::as_path))?;
        if let Some(folder) = self.heatmap.as_deref().filter(|folder| !folder.is_dir()) {
            bail!("`{}` is no folder of maps (hint: score --heatmap DIR)", folder.display());
        }
        let mut results = Results::new(options.force)?;
        let mut tally = Tally::new(self.top, self.watch(reference.as_ref(), options.seed)?);
        let reader = Reader::open(&self.scores)?;
        let title = reader.name.clone();
        reader.lines(|line| tally.add(line, reference.as_ref()))?;
        let worst = maps::of(self.heatmap.as_deref(), tally.worst())?;
        let shown = page::Shown {
            title: &title,
            tally: &tally,
            reference: reference.as_ref(),
            worst: &worst,
        };
        results.add_file(output, page::html(&shown).as_bytes())?;
        results.write()
    }

    fn watch(&self, reference: Option<&Reference>, seed: u64) -> Result<Option<Watch>> {
        let Some(rate) = self.contract else { return Ok(None) };
        let reference = reference.context(
            "a contract takes a calibration (hint: vae-infer calibrate, or --calibration FILE)",
        )?;
        Ok(Some(Watch::new(reference.judge.conformal(), rate, seed)?))
    }
}
