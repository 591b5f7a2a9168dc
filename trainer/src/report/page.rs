//! The page itself.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Shown;
use super::pictures::Picture;
use crate::evaluation::Evaluation;

/// The figures of a comparison: a title, a JSON pointer into an evaluation, and decimal places.
const COLUMNS: [(&str, &str, usize); 12] = [
    ("loss", "/loss/mean", 3),
    ("reconstruction", "/reconstruction/mean", 3),
    ("KL", "/kl/mean", 3),
    ("ELBO", "/elbo/mean", 3),
    ("NLL", "/nll/mean", 3),
    ("perceptual", "/perceptual/mean", 4),
    ("active units", "/latents/active_units", 0),
    ("MSE", "/fidelity/mse", 5),
    ("PSNR, pooled", "/fidelity/psnr_pooled", 2),
    ("PSNR", "/fidelity/psnr/mean", 2),
    ("SSIM", "/fidelity/ssim/mean", 4),
    ("SSIM, whole image", "/fidelity/ssim_global/mean", 4),
];

/// What a browser may load for the page: the pictures and the style inside it, and nothing else.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// The page about runs.
pub(super) fn html(runs: &[Shown]) -> String {
    let title = match runs {
        [run] => run.name.clone(),
        runs => format!("{} runs", runs.len()),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " - vae-train report" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                h1 { (title) }
                @if runs.len() > 1 {
                    nav { @for (i, run) in runs.iter().enumerate() {
                        a href={ "#run" (i) } { (run.name) }
                    } }
                }
                (evaluations(runs))
                @for (i, run) in runs.iter().enumerate() {
                    section id={ "run" (i) } { (section(run)) }
                }
            }
        }
    };
    page.into_string()
}

/// One table for all evaluations of all runs, with the columns that any of them fills.
fn evaluations(runs: &[Shown]) -> Markup {
    let rows: Vec<(&str, &Evaluation, serde_json::Value)> = runs
        .iter()
        .flat_map(|run| run.evaluations.iter().map(|e| (run.name.as_str(), e)))
        .map(|(name, e)| (name, e, serde_json::to_value(e).unwrap_or_default()))
        .collect();
    let figure = |value: &serde_json::Value, pointer: &str| value.pointer(pointer)?.as_f64();
    let filled = |pointer: &str| rows.iter().any(|(_, _, value)| figure(value, pointer).is_some());
    let columns: Vec<_> = COLUMNS.into_iter().filter(|(_, pointer, _)| filled(pointer)).collect();
    html! {
        h2 { "Figures" }
        @if rows.is_empty() {
            p { "No evaluation has been made yet (" code { "vae-train evaluate RUN" } ")." }
        } @else {
            div.wide { table {
                thead { tr {
                    th { "run" } th { "epoch" } th { "images" }
                    @for (title, ..) in &columns { th { (title) } }
                } }
                tbody { @for (name, evaluation, value) in &rows { tr {
                    td { (name) }
                    td { (evaluation.protocol.epoch) }
                    td { (evaluation.protocol.images) " " (evaluation.protocol.part) }
                    @for (_, pointer, places) in &columns {
                        td { @if let Some(value) = figure(value, pointer) { (format!("{value:.places$}")) } }
                    }
                } } }
            } }
            p { "Sums over pixels and latent dimensions, means over images, in nats where the likelihood has them; \
                 PSNR in dB. Loss terms of one draw of the latent vector; errors, PSNR and SSIM of the posterior mean." }
        }
    }
}

fn section(run: &Shown) -> Markup {
    let [train, validation, test] = run.info.images;
    html! {
        h2 { (run.name) }
        p {
            (train) " images to train on, " (validation) " to validate, " (test) " to test; device "
            (run.info.device) "; data " code { (run.info.data_sha256.get(..12).unwrap_or_default()) }
            "; " (run.metrics.len()) " epochs."
        }
        @if !run.pictures.is_empty() {
            div.figures { @for picture in &run.pictures { (figure(picture)) } }
        }
        @if !run.metrics.is_empty() { (last_epochs(run)) }
        @if !run.parity.is_empty() { (parity(run)) }
        h3 { "Configuration" }
        pre { (run.config.to_toml()) }
    }
}

/// The figures that take the page's whole width.
const BROAD: [&str; 5] =
    ["losses", "reconstructions", "interpolation", "noise", "noise-comparison"];

fn figure(picture: &Picture) -> Markup {
    html! {
        figure.broad[BROAD.contains(&picture.name)] {
            img src=(picture.data) alt=(picture.caption);
            figcaption { (picture.caption) }
        }
    }
}

/// The most epochs that are listed; the curves show them all.
const EPOCHS: usize = 12;

fn last_epochs(run: &Shown) -> Markup {
    let skipped = run.metrics.len().saturating_sub(EPOCHS);
    let perceptual = run.config.train.perceptual.is_some();
    html! {
        h3 { "Training" }
        div.wide { table {
            thead { tr {
                th { "epoch" } th { "train" } th { "reconstruction" } th { "KL" }
                @if perceptual { th { "perceptual" } }
                th { "validation" } th { "reconstruction" } th { "KL" }
                @if perceptual { th { "perceptual" } }
                th { "beta" } th { "learning rate" }
            } }
            tbody { @for line in &run.metrics[skipped..] { tr {
                td { (line.epoch) }
                @for means in [Some(line.train), line.validation] {
                    @if let Some(means) = means {
                        td { (format!("{:.3}", means.loss(line.weights()))) }
                        td { (format!("{:.3}", means.reconstruction)) }
                        td { (format!("{:.3}", means.kl)) }
                        @if perceptual { td { (format!("{:.5}", means.perceptual.unwrap_or_default())) } }
                    } @else { td {} td {} td {} @if perceptual { td {} } }
                }
                td { (line.beta) }
                td { (format!("{:.2e}", line.learning_rate)) }
            } } }
        } }
    }
}

fn parity(run: &Shown) -> Markup {
    html! {
        h3 { "Engines against the trainer" }
        div.wide { table {
            thead { tr { th { "engine" } th { "output" } th { "batch" } th { "images" } th { "difference" } } }
            tbody { @for row in &run.parity { tr {
                td { (row.engine) }
                td { (row.output) }
                td { (row.batch) }
                td { (row.images) }
                td { (format!("{:.1e}", row.difference)) }
            } } }
        } }
        p { "Largest absolute difference, as a part of the interval that the output's values and zero span." }
    }
}
