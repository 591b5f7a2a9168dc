use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use vae_infer::anomaly::Method;
use vae_infer::manifest::{Manifest, Provenance, Verdicts};
use vae_infer::tuning::{Choice, Goal};
use vae_infer::{Bundle, graph};

use super::costs::{Costs, GraphCost};
use super::lines::Lines;
use super::options::{Format, Options, Ready};

/// Describe a model: what it takes, what it gives, where it comes from, what would run it
#[derive(Args)]
pub(super) struct Info;

#[derive(Serialize)]
struct Line<'a> {
    source: String,
    engine: String,
    /// What `tune` chose for each goal, where `--engine auto` takes it.
    tuned: BTreeMap<Goal, Choice>,
    #[serde(flatten)]
    costs: Costs,
    manifest: &'a Manifest,
}

impl Info {
    pub(super) fn run(self, options: &Options) -> Result<()> {
        let bundle = options.bundle()?;
        let manifest = &bundle.manifest;
        let encoder = graph::inspect("encoder", bundle.encoder(), &manifest.encoder)?;
        let decoder = graph::inspect("decoder", bundle.decoder(), &manifest.decoder)?;
        let line = Line {
            source: bundle.source().display().to_string(),
            engine: match options.untested(&bundle, Goal::Latency) {
                Ok(Ready { model, .. }) => model.backends().to_string(),
                Err(error) => format!("none here: {error:#}"),
            },
            tuned: options.tuned(&bundle),
            costs: Costs::of(&bundle)?,
            manifest,
        };
        let mut lines = Lines::new(options.format(Format::Text));
        lines.print(&line, |line| text(line, &bundle, [&encoder, &decoder]))?;
        lines.flush()
    }
}

fn text(line: &Line, bundle: &Bundle, [encoder, decoder]: [&graph::Summary; 2]) -> String {
    let Manifest { name, image, latent, posterior, likelihood, beta, sampling, .. } = line.manifest;
    let Manifest { classes, anomaly, precision, provenance, parity, verdicts, .. } = line.manifest;
    let [low, high] = image.range;
    let graph = |cost: &GraphCost, summary: &graph::Summary| {
        let GraphCost { parameters, file_bytes, .. } = cost;
        let graph::Summary { nodes, opset, .. } = summary;
        format!("{parameters} parameters, {nodes} operators, opset {opset}, {file_bytes} bytes")
    };
    let Costs { encoder: encoder_cost, decoder: decoder_cost, .. } = &line.costs;
    let mut rows = vec![
        ("model", format!("{name}, from {}", bundle.source().display())),
        ("engine", line.engine.clone()),
        (
            "images",
            format!(
                "{}x{}, {} channels, {low} to {high}",
                image.width, image.height, image.channels
            ),
        ),
        ("latent", format!("{latent} dimensions, {} posterior", word(posterior))),
        ("likelihood", format!("{}, beta {beta}", word(likelihood))),
        ("sampling", if *sampling { "yes" } else { "no" }.into()),
        ("classes", if classes.is_empty() { "-".into() } else { classes.join(", ") }),
        ("score", anomaly.as_ref().map_or(Method::Mse, |spec| spec.method).to_string()),
        ("precision", format!("{precision}, made for {}", precision.made_for())),
        ("encoder", graph(encoder_cost, encoder)),
        ("decoder", graph(decoder_cost, decoder)),
        ("work", line.costs.work()),
        ("trained", trained(provenance)),
    ];
    rows.extend(line.tuned.iter().map(|(goal, choice)| ("tuned", format!("{choice}, for {goal}"))));
    for (file, hash) in &provenance.sources {
        rows.push(("source", format!("{file} {hash}")));
    }
    for (metric, value) in &provenance.metrics {
        rows.push(("metric", format!("{metric} {value}")));
    }
    if let Some(worst) = parity.iter().max_by(|a, b| a.difference.total_cmp(&b.difference)) {
        rows.push((
            "parity",
            format!("{:.1e} at worst ({}, {})", worst.difference, worst.engine, worst.output),
        ));
    }
    if let Some(Verdicts { images, flips, psnr_lost, .. }) = verdicts {
        let lost = format!("{flips} of {images} flip, {psnr_lost:.4} dB of PSNR lost");
        rows.push(("verdicts", format!("{lost}, against the trainer's")));
    }
    let rows: Vec<_> = rows.iter().map(|(key, value)| format!("{key:<11} {value}")).collect();
    rows.join("\n")
}

/// What is known of a training.
fn trained(provenance: &Provenance) -> String {
    let Provenance { preset, seed, epochs, data_sha256, .. } = provenance;
    let facts = [
        Some(format!("preset {preset}")),
        seed.map(|seed| format!("seed {seed}")),
        epochs.map(|epochs| format!("{epochs} epochs")),
        data_sha256.as_ref().map(|data| format!("data {data}")),
    ];
    match preset.as_str() {
        "imported" => "elsewhere, and imported".to_owned(),
        _ => facts.into_iter().flatten().collect::<Vec<_>>().join(", "),
    }
}

/// The word by which a manifest calls a choice.
fn word(choice: &impl Serialize) -> String {
    match serde_json::to_value(choice) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        Ok(serde_json::Value::Object(fields)) => {
            let words: Vec<_> = fields
                .iter()
                .map(|(key, value)| match value.as_str() {
                    Some(word) => word.replace('_', " "),
                    None => format!("{key} {value}"),
                })
                .collect();
            words.join(", ")
        }
        _ => String::new(),
    }
}
