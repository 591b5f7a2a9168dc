//! What a reproduction ends in: the table "seed's result, ours, protocol" with some figures under it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use vae_infer::{images, write as files};

use super::Options;
use super::seeds::{Row, Seed};
use crate::evaluation::Evaluation;

/// A line of the table, measured.
#[derive(Debug)]
pub(super) struct Line {
    seed: &'static str,
    what: &'static str,
    theirs: &'static str,
    ours: String,
    protocol: &'static str,
}

impl Line {
    /// Takes a row's figures from the evaluation that measured them.
    pub(super) fn new(seed: &Seed, row: &Row, evaluation: &Evaluation) -> Result<Self> {
        let value = serde_json::to_value(evaluation)?;
        let figures = row.figures.iter().map(|pointer| text(&value, pointer));
        let ours = figures.collect::<Result<Vec<_>>>()?.join(", ");
        let Row { what, theirs, protocol, .. } = *row;
        Ok(Self { seed: seed.name, what, theirs, ours, protocol })
    }
}

/// A figure of an evaluation, or a dash where the evaluation says why there is none.
fn text(evaluation: &Value, pointer: &str) -> Result<String> {
    if let Some(figure) = evaluation.pointer(pointer).and_then(Value::as_f64) {
        let places = match figure.abs() {
            0.0..0.01 => 6,
            0.01..5.0 => 4,
            _ => 2,
        };
        return Ok(format!("{figure:.places$}"));
    }
    let parents = pointer.match_indices('/').map(|(end, _)| &pointer[..end]);
    let mut parents = parents.filter_map(|parent| evaluation.pointer(parent));
    match parents.any(|parent| parent.get("reason").is_some()) {
        true => Ok("-".into()),
        false => bail!("the evaluation has no figure at {pointer}"),
    }
}

/// Writes the table, and copies of its figures to `seeds/` beside it.
pub(super) fn write(
    seeds: &[&Seed],
    lines: &[Line],
    options: &Options<'_>,
    out: &Path,
) -> Result<()> {
    let mut text = String::from("# The seeds, reproduced\n\n");
    text += match options.quick {
        true => "A quick run: a few steps on made images. None of these figures means anything.\n",
        false => {
            "Written by `vae-train reproduce all --data DIR -o DIR`. \"Theirs\" is the seed's own \
             published result.\n"
        }
    };
    text += "\n| seed | what | theirs | ours | protocol |\n|---|---|---|---|---|\n";
    for Line { seed, what, theirs, ours, protocol } in lines {
        writeln!(text, "| {seed} | {what} | {theirs} | {ours} | {protocol} |")?;
    }
    let folder = options.out.join("seeds");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create `{}`", folder.display()))?;
    for Seed { name, title, pictures, .. } in seeds {
        writeln!(text, "\n## {name}: {title}\n")?;
        for (run, file) in *pictures {
            let copy = format!("{run}-{file}");
            let figure = options.out.join(run).join("figures").join(file);
            files::atomically(&folder.join(&copy), &images::read_file(&figure)?)?;
            writeln!(text, "![{run}: {file}](seeds/{copy})")?;
        }
    }
    Ok(files::atomically(out, text.as_bytes())?)
}
