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
        writeln!(f, "\narea under the ROC curve; draws where a score draws: {draws}\n")?;
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

#[cfg(test)]
mod tests {
    use vae_infer::anomaly::Method;

    use super::*;
    use crate::anomaly::comparison::{Anomalies, Fitted};

    fn example() -> Comparison {
        let kind = |name: &str, images| Anomalies { name: name.into(), images };
        let row = |name: &str, auroc: [f64; 2]| Row {
            name: name.into(),
            auroc: auroc.into(),
            mean: (auroc[0] + auroc[1]) / 2.0,
        };
        Comparison {
            name: "parts".into(),
            epoch: 3,
            seed: 7,
            source_sha256: "abc123".into(),
            images: 200,
            images_in_part: 500,
            draws: 16,
            folder: Some("defects".into()),
            kinds: vec![kind("crack", 12), kind("a long name", 3)],
            methods: vec![row("mse", [0.75, 0.5]), row("probability", [0.9, 0.8])],
            baselines: Measured::Value(Fitted { images: 99, rows: vec![row("lof", [1.0, 0.0])] }),
            proposal: Method::Probability,
            notes: vec!["few".into()],
        }
    }

    #[test]
    fn the_table_says_everything() {
        let text = example().to_string();
        for words in [
            "parts, epoch 3, seed 7\n200 of 500 validation images, source sha256 abc123\n",
            "anomalies of `defects`\n",
            "draws: 16\n",
            "\n                crack  a long name     mean\n",
            "\nimages             12            3\n",
            "\nmse             0.750        0.500    0.625\n",
            "\nprobability     0.900        0.800    0.850\n",
            "fitted to 99 training images\n\nlof             1.000        0.000    0.500\n",
            "\nproposed: probability (vae-train export RUN --score probability)\nnote: few\n",
        ] {
            assert!(text.contains(words), "no `{words}` in\n{text}");
        }
        let made = Comparison {
            folder: None,
            baselines: Measured::absent("the training images are all the same"),
            ..example()
        };
        let text = made.to_string();
        assert!(text.contains("made of the validation images\n"), "{text}");
        assert!(
            text.contains("without a network: the training images are all the same\n"),
            "{text}"
        );
    }

    #[test]
    fn json_brings_everything_back() {
        let json = serde_json::to_string(&example()).expect("it is plain data");
        assert_eq!(example(), serde_json::from_str(&json).expect("its own words"), "{json}");
    }
}
