//! A comparison as a table for people.

use std::fmt;

use super::{Comparison, Row};
use crate::evaluation::Measured;

/// The least width of a figure.
const WIDTH: usize = 7;
/// The width of a name.
const NAME: usize = 12;

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, epoch, seed, images, images_in_part, source_sha256, draws, .. } = self;
        writeln!(f, "{name}, epoch {epoch}, seed {seed}")?;
        writeln!(
            f,
            "{images} of {images_in_part} validation images, source sha256 {source_sha256}"
        )?;
        match &self.folder {
            Some(folder) => writeln!(f, "anomalies of `{}`", folder.display())?,
            None => writeln!(f, "anomalies made of the validation images")?,
        }
        writeln!(f, "\narea under the ROC curve; {draws} draws where a score draws\n")?;
        let names = self.kinds.iter().map(|kind| kind.name.as_str()).chain(["mean"]);
        self.line(f, "", names.map(str::to_owned))?;
        let count = |kind: &super::comparison::Anomalies| kind.images.to_string();
        self.line(f, "images", self.kinds.iter().map(count))?;
        self.methods.iter().try_for_each(|row| self.row(f, row))?;
        match &self.baselines {
            Measured::Value(fitted) => {
                writeln!(f, "\nwithout a network, fitted to {} training images\n", fitted.images)?;
                fitted.rows.iter().try_for_each(|row| self.row(f, row))?;
            }
            Measured::Absent { reason } => writeln!(f, "\nwithout a network: {reason}")?,
        }
        let Self { proposal, .. } = self;
        writeln!(f, "\nproposed: {proposal} (vae-train export RUN --score {proposal})")?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

impl Comparison {
    fn row(&self, f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
        let figures = row.auroc.iter().chain([&row.mean]).map(|figure| format!("{figure:.3}"));
        self.line(f, &row.name, figures)
    }

    fn line(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        values: impl Iterator<Item = String>,
    ) -> fmt::Result {
        let mut line = format!("{name:NAME$}");
        let kinds = self.kinds.iter().map(|kind| kind.name.chars().count());
        for (value, width) in values.zip(kinds.chain([0])) {
            let width = width.max(WIDTH) + 2;
            line += &format!("{value:>width$}");
        }
        writeln!(f, "{}", line.trim_end())
    }
}
