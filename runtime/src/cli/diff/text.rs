//! The report for people: a table for each of its parts.

use serde_json::Value;

use super::super::costs::{Costs, GraphCost};
use super::answers::{Answers, Decision};
use super::{Outcome, Pair, Report};

type Row = [String; 3];

/// The widest cell that others are aligned with.
const MAX_WIDTH: usize = 40;

pub(super) fn text(report: &Report) -> String {
    let verdict = if report.same { "the same answers" } else { "not the same answers" };
    let mut parts = vec![table(&[
        ["".into(), "A".into(), "B".into()],
        ["bundle".into(), report.a.clone(), report.b.clone()],
    ])];
    let fields = report.manifest.iter().map(|f| [f.field.clone(), shown(&f.a), shown(&f.b)]);
    parts.push(match fields.collect::<Vec<_>>() {
        fields if fields.is_empty() => "the manifests are the same".into(),
        fields => table(&fields),
    });
    parts.push(table(&costs(&report.cost)));
    match &report.answers {
        Outcome::Answers(answers) => parts.extend(said(answers)),
        Outcome::NotCompared(reason) => parts.push(format!("answers are not compared: {reason}")),
    }
    parts.push(verdict.into());
    parts.join("\n\n")
}

/// A value in a cell; hashes are shortened.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("{}...", &text[..12])
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn costs(Pair { a, b }: &Pair<Costs>) -> Vec<Row> {
    let known = |figure: Option<u64>| figure.map_or("unknown".into(), |n| n.to_string());
    let row = |name: &str, a: String, b: String| [name.into(), a, b];
    let mut rows = vec![
        row("parameters", a.parameters.to_string(), b.parameters.to_string()),
        row("FLOPs an image", known(a.flops), known(b.flops)),
        row("peak bytes of activations", known(a.peak_bytes), known(b.peak_bytes)),
    ];
    let graphs = [("encoder", &a.encoder, &b.encoder), ("decoder", &a.decoder, &b.decoder)];
    for (name, a, b) in graphs {
        let mut add = |what: &str, of: &dyn Fn(&GraphCost) -> String| {
            rows.push(row(&format!("{name} {what}"), of(a), of(b)));
        };
        add("parameters", &|cost| cost.parameters.to_string());
        add("FLOPs", &|cost| known(cost.flops));
        add("peak bytes", &|cost| known(cost.peak_bytes));
        add("weight bytes", &|cost| {
            let parts = cost.weight_bytes.iter().map(|(element, n)| format!("{n} {element}"));
            parts.collect::<Vec<_>>().join(" + ")
        });
        add("file bytes", &|cost| cost.file_bytes.to_string());
        if a.unknown.is_some() || b.unknown.is_some() {
            add("unknown because", &|cost| cost.unknown.clone().unwrap_or("-".into()));
        }
    }
    rows
}

fn said(answers: &Answers) -> Vec<String> {
    let Answers { images, golden, outputs, not_compared, psnr, decisions, .. } = answers;
    let whose = if *golden { "recorded in A" } else { "given" };
    let mut rows = vec![[format!("{images} images {whose}"), "largest".into(), "mean".into()]];
    rows.extend(outputs.iter().map(|o| {
        [o.output.clone(), format!("{:.1e}", o.difference), format!("{:.1e}", o.mean_difference)]
    }));
    let mut lines = vec![table(&rows)];
    lines.extend(not_compared.iter().map(|reason| format!("not compared: {reason}")));
    lines.push(format!(
        "PSNR {:.2} dB in A, {:.2} dB in B: {:.3} dB lost, {:.2} dB between both",
        psnr.a, psnr.b, psnr.lost, psnr.between
    ));
    lines.extend(decisions.iter().map(|decision| decided(decision, *images)));
    if let Some(Decision { quantile, needed, .. }) = decisions.iter().find(|d| d.flips.is_none()) {
        lines.push(format!(
            "too few images for verdicts at the quantile {quantile}: {images} where {needed} are \
             needed (hint: --images, or a lower --quantile)"
        ));
    }
    vec![lines.join("\n")]
}

fn decided(decision: &Decision, images: usize) -> String {
    let Decision { score, rank_correlation, quantile, threshold, flips, .. } = decision;
    let ranks = match rank_correlation {
        Some(correlation) => format!("rank correlation {correlation:.6}"),
        None => "no rank correlation of fewer than two different scores".into(),
    };
    let verdicts = threshold.zip(*flips).map(|(threshold, flips)| {
        format!(
            ", {flips} of {images} verdicts flip at A's quantile {quantile}, above {threshold:.6}"
        )
    });
    format!("{score}: {ranks}{}", verdicts.unwrap_or_default())
}

fn table(rows: &[Row]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0).min(MAX_WIDTH)
    };
    let (first, second) = (width(0), width(1));
    let lines = rows
        .iter()
        .map(|[name, a, b]| format!("{name:<first$}  {a:<second$}  {b}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}
