mod answers;
mod fields;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use vae_infer::Bundle;
use vae_infer::compare::images_for;
use vae_infer::verify::TOLERANCE;

use super::costs::Costs;
use super::lines::Lines;
use super::options::{Format, Options};
use super::verify::tolerance;
use answers::Answers;
use fields::Field;

/// Say how two models differ: manifest, cost, answers and decisions
///
/// Both get the same images, each prepared as its bundle says. Differences of an output are over
/// the range of A's values. A verdict is that an image is abnormal, where its score lies above the
/// quantile of A's scores on these images, in the middle of the gap between two of them.
///
/// The exit code is 0 where both have the same outputs and these agree within the tolerance, 1
/// where they do not or cannot be compared, and 2 after an error. What differs in the manifests
/// and the costs is listed and does not count.
#[derive(Args)]
pub(super) struct Diff {
    /// The bundle that is the reference
    #[arg(value_name = "A")]
    a: PathBuf,
    /// The bundle that is held against it
    #[arg(value_name = "B")]
    b: PathBuf,
    /// Images, folders of images, .npy arrays, or - for standard input [default: the images
    /// recorded in A]
    #[arg(long, value_name = "IMAGE", num_args = 1..)]
    images: Vec<PathBuf>,
    /// The share of A's scores that are normal, from 0 to below 1
    #[arg(long, value_name = "Q", default_value_t = 0.99, value_parser = quantile)]
    quantile: f64,
    /// The largest difference of an output that counts as none
    #[arg(long, value_name = "X", default_value_t = TOLERANCE, value_parser = tolerance)]
    tolerance: f64,
}

/// All that is reported.
#[derive(Serialize)]
struct Report {
    /// The sources of both bundles.
    a: String,
    b: String,
    same: bool,
    /// The fields of the manifests that differ.
    manifest: Vec<Field>,
    cost: Pair<Costs>,
    #[serde(flatten)]
    answers: Outcome,
}

/// The same of both bundles.
#[derive(Serialize)]
struct Pair<T> {
    a: T,
    b: T,
}

/// The answers of both, or why they were not compared.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Answers(Answers),
    NotCompared(String),
}

impl Diff {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        if options.model.is_some() {
            bail!("diff takes both bundles by their places, not by --model");
        }
        let open = |path| Bundle::open(path);
        let bundles = Pair { a: open(&self.a)?, b: open(&self.b)? };
        let cost = bundles.map(|bundle| Ok(Costs::of(bundle)?))?;
        let answers = match answers::comparable(&bundles) {
            Ok(()) => Outcome::Answers(Answers::of(self, options, &bundles)?),
            Err(reason) => Outcome::NotCompared(reason),
        };
        let report = Report {
            a: bundles.a.source().display().to_string(),
            b: bundles.b.source().display().to_string(),
            same: matches!(&answers, Outcome::Answers(answers) if answers.agree(self.tolerance)),
            manifest: fields::differing(&bundles.a.manifest, &bundles.b.manifest)?,
            cost,
            answers,
        };
        let mut lines = Lines::new(options.format(Format::Text));
        lines.print(&report, text::text)?;
        lines.flush()?;
        Ok(if report.same { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

impl<T> Pair<T> {
    fn map<U>(&self, mut of: impl FnMut(&T) -> Result<U>) -> Result<Pair<U>> {
        Ok(Pair { a: of(&self.a)?, b: of(&self.b)? })
    }
}

fn quantile(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(q) if images_for(q).is_some() => Ok(q),
        _ => Err("a quantile is a number from 0 to below 1".into()),
    }
}
