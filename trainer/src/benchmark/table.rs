//! What a benchmark ends in: tables of the areas under the ROC curve, for people and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde_json::json;
use vae_infer::anomaly::Method;
use vae_infer::write as files;

use super::measure::{self, DRAWS};
use super::measured::{Comparison, Measured};
use super::plan::{self, Case, FASHION, MNIST, Part, Set};
use super::tiles::ERROR_MAP;
use super::{Options, text};

/// A case that was measured.
struct Line {
    case: Case,
    measured: Measured,
}

/// The version of the JSON file.
const SCHEMA: u32 = 1;

/// Writes `anomaly.md` and `anomaly.json` on everything that was measured.
pub(super) fn write(options: &Options<'_>, page: &Path) -> Result<()> {
    let mut lines = vec![];
    let cases = plan::cases(&Part::ALL, options.seeds, options.quick);
    for &case in &cases {
        let place = options.out.join(case.name());
        let Some(measured) = Measured::read(&place)? else { continue };
        measured.check(&measure::config(&case, options)?.1, &place)?;
        lines.push(Line { case, measured });
    }
    let mut text = text::beginning(options);
    for part in Part::ALL {
        let planned = cases.iter().filter(|case| case.part == part).count();
        let lines: Vec<&Line> = lines.iter().filter(|line| line.case.part == part).collect();
        if lines.is_empty() {
            continue;
        }
        writeln!(text, "\n## {}\n\n{}", text::title(part), text::protocol(part))?;
        if lines.len() < planned {
            writeln!(text, "\nUnder way: {} of {planned} networks.", lines.len())?;
        }
        match part {
            Part::Across => across(&mut text, &lines)?,
            Part::Tiles => tiles(&mut text, &lines)?,
            _ => classes(&mut text, part, &lines)?,
        }
    }
    files::atomically(page, text.as_bytes())?;
    let cases = lines.iter().map(|Line { case, measured }| {
        let Case { part, set, class, seed } = case;
        json!({
            "part": part, "trained_on": set.folder, "class": class, "seed": seed,
            "comparisons": measured.comparisons,
        })
    });
    let json = json!({
        "schema": SCHEMA, "quick": options.quick, "draws": DRAWS,
        "cases": cases.collect::<Vec<_>>(),
    });
    Ok(files::atomically(&page.with_extension("json"), &serde_json::to_vec_pretty(&json)?)?)
}

/// The means over classes beside the published ones, and for every set the classes one by one.
fn classes(text: &mut String, part: Part, lines: &[&Line]) -> Result<()> {
    let sets = part.trained();
    row(text, ["AUROC".to_owned()].into_iter().chain(sets.iter().map(|set| set.title.to_owned())))?;
    rule(text, sets.len() + 1)?;
    for (what, figures) in text::published(part) {
        row(text, [format!("*{what}*")].into_iter().chain(figures.map(str::to_owned)))?;
    }
    for score in scores(lines) {
        let means = sets.iter().map(|set| over_classes(lines, set, &score));
        row(text, [format!("`{score}`")].into_iter().chain(means))?;
    }
    for set in sets {
        let lines: Vec<&Line> = lines.iter().copied().filter(|l| l.case.set == *set).collect();
        let classes: BTreeSet<_> = lines.iter().map(|line| line.case.class).collect();
        writeln!(text, "\n{}, by class:\n", set.title)?;
        let numbers = classes.iter().map(|class| class.map_or("-".into(), |c| c.to_string()));
        row(text, ["AUROC".to_owned()].into_iter().chain(numbers))?;
        rule(text, classes.len() + 1)?;
        for score in scores(&lines) {
            let means = classes.iter().map(|class| {
                let of = |line: &&&Line| line.case.class == *class;
                let figures: Vec<f64> =
                    lines.iter().filter(of).filter_map(|line| first(line, &score)).collect();
                mean(&figures).map_or("-".into(), |mean| format!("{mean:.3}"))
            });
            row(text, [format!("`{score}`")].into_iter().chain(means))?;
        }
    }
    Ok(())
}

/// What is held against every set, side by side.
fn across(text: &mut String, lines: &[&Line]) -> Result<()> {
    for set in [MNIST, FASHION] {
        let lines: Vec<&Line> = lines.iter().copied().filter(|l| l.case.set == set).collect();
        let Some(Line { measured, .. }) = lines.first() else { continue };
        let against: Vec<&str> =
            measured.comparisons.iter().map(|Comparison { abnormal, .. }| &**abnormal).collect();
        writeln!(text, "\nTrained on {}:\n", set.title)?;
        row(text, ["AUROC"].into_iter().chain(against.iter().copied()).map(str::to_owned))?;
        rule(text, against.len() + 1)?;
        for (what, figures) in text::published_across(&set) {
            row(text, [format!("*{what}*")].into_iter().chain(figures.map(str::to_owned)))?;
        }
        for score in scores(&lines) {
            let means = against.iter().map(|what| {
                let figures = lines.iter().filter_map(|line| {
                    let mut compared = line.measured.comparisons.iter();
                    compared.find(|c| c.abnormal == *what)?.auroc.get(&score).copied()
                });
                spread(&figures.collect::<Vec<_>>())
            });
            row(text, [format!("`{score}`")].into_iter().chain(means))?;
        }
    }
    Ok(())
}

/// Pictures with defects, by kind, and the pixels of defects.
fn tiles(text: &mut String, lines: &[&Line]) -> Result<()> {
    let Some(Line { measured, .. }) = lines.first() else { return Ok(()) };
    let kinds: Vec<&str> = measured.comparisons.iter().map(|c| &*c.abnormal).collect();
    let columns = ["pixels, AUROC", "regions, AUPRO"];
    let heads = ["AUROC of pictures"].into_iter().chain(kinds.iter().copied()).chain(columns);
    row(text, heads.map(str::to_owned))?;
    rule(text, kinds.len() + 3)?;
    let figures = |figure: &dyn Fn(&Measured) -> Option<f64>| {
        spread(&lines.iter().filter_map(|line| figure(&line.measured)).collect::<Vec<_>>())
    };
    for score in scores(lines).into_iter().chain([ERROR_MAP.to_owned()]) {
        let of_kinds = (0..kinds.len())
            .map(|place| figures(&|m| m.comparisons.get(place)?.auroc.get(&score).copied()));
        let all = |measured: &Measured| measured.comparisons.first().cloned();
        let pixels = figures(&|measured| all(measured)?.pixel_auroc.get(&score).copied());
        let regions = figures(&|measured| all(measured)?.overlap.get(&score).copied());
        row(text, [format!("`{score}`")].into_iter().chain(of_kinds).chain([pixels, regions]))?;
    }
    Ok(())
}

/// The scores that were measured: those of models in their order, then the others.
fn scores(lines: &[&Line]) -> Vec<String> {
    let compared = lines.iter().flat_map(|line| &line.measured.comparisons);
    let there: BTreeSet<&String> = compared.flat_map(|compared| compared.auroc.keys()).collect();
    let models = Method::ALL.map(|method| method.to_string());
    let others = ["pca", "knn", "lof"].map(str::to_owned);
    models.into_iter().chain(others).filter(|name| there.contains(name)).collect()
}

/// The figure of a case that has one comparison.
fn first(line: &Line, score: &str) -> Option<f64> {
    line.measured.comparisons.first()?.auroc.get(score).copied()
}

/// The mean over the classes of a set, and its spread over the seeds.
fn over_classes(lines: &[&Line], set: &Set, score: &str) -> String {
    let seeds: BTreeSet<u64> = lines.iter().map(|line| line.case.seed).collect();
    let means = seeds.iter().filter_map(|&seed| {
        let of = |line: &&&Line| line.case.set == *set && line.case.seed == seed;
        let figures: Vec<f64> =
            lines.iter().filter(of).filter_map(|line| first(line, score)).collect();
        mean(&figures)
    });
    spread(&means.collect::<Vec<_>>())
}

fn mean(figures: &[f64]) -> Option<f64> {
    (!figures.is_empty()).then(|| figures.iter().sum::<f64>() / figures.len() as f64)
}

/// The mean of figures, with their standard deviation where there are several.
fn spread(figures: &[f64]) -> String {
    let Some(mean) = mean(figures) else { return "-".into() };
    if figures.len() == 1 {
        return format!("{mean:.3}");
    }
    let squares: f64 = figures.iter().map(|figure| (figure - mean).powi(2)).sum();
    format!("{mean:.3} ± {:.3}", (squares / (figures.len() - 1) as f64).sqrt())
}

fn row(text: &mut String, cells: impl Iterator<Item = String>) -> Result<()> {
    Ok(writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "))?)
}

fn rule(text: &mut String, columns: usize) -> Result<()> {
    Ok(writeln!(text, "|{}", "---|".repeat(columns))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_that_of_the_seeds() {
        assert_eq!(spread(&[]), "-");
        assert_eq!(spread(&[0.98765]), "0.988");
        assert_eq!(spread(&[0.95, 0.97]), "0.960 ± 0.014");
    }

    #[test]
    fn classes_are_averaged_before_seeds() {
        let line = |class, seed, auroc| {
            let case = Case { part: Part::Normal, set: MNIST, class: Some(class), seed };
            let auroc = [("nap".to_owned(), auroc)].into();
            let comparison = Comparison {
                abnormal: "other classes".into(),
                images: [1, 1],
                auroc,
                pixel_auroc: Default::default(),
                overlap: Default::default(),
            };
            let comparisons = vec![comparison];
            let (config_sha256, data_sha256) = (String::new(), String::new());
            Line { case, measured: Measured { config_sha256, data_sha256, comparisons } }
        };
        let lines = [line(0, 0, 0.9), line(1, 0, 1.0), line(0, 1, 0.8), line(1, 1, 0.9)];
        let lines: Vec<&Line> = lines.iter().collect();
        assert_eq!(over_classes(&lines, &MNIST, "nap"), "0.900 ± 0.071");
        assert_eq!(over_classes(&lines, &FASHION, "nap"), "-");
        assert_eq!(scores(&lines), ["nap"]);
        let mut text = String::new();
        classes(&mut text, Part::Normal, &lines).expect("it is text");
        assert!(text.contains("| `nap` | 0.850 | 0.950 |"), "{text}");
    }
}
