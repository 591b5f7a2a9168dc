//! The page itself.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use vae_infer::anomaly::State;

use super::super::calibrate::{CONFIDENCE, percent};
use super::axis::number;
use super::distribution::Distribution;
use super::figures::{self, CLASSES};
use super::line::Line;
use super::maps::Map;
use super::ranking;
use super::reference::Reference;
use super::tally::{LABELS, Tally};
use super::watch::Watch;

/// What a browser may load for the page: the pictures and the style inside it, and nothing else.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// All that a page shows.
pub(super) struct Shown<'a> {
    /// Where the lines came from.
    pub(super) title: &'a str,
    pub(super) tally: &'a Tally,
    pub(super) reference: Option<&'a Reference>,
    /// The worst images, each with its map where there is one.
    pub(super) worst: &'a [(Line, Option<Map>)],
}

/// The page about scores.
pub(super) fn html(shown: &Shown) -> String {
    let Shown { title, tally, reference, worst } = shown;
    let images = tally.counts().iter().sum();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " - vae-infer report" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                h1 { bdi { (title) } }
                (summary(tally, images))
                @if let Some(reference) = reference { (promise(reference)) }
                (counts(tally, images))
                (distributions(tally, *reference))
                @if let Some(watch) = &tally.watch { (contract(watch, images)) }
                @if !worst.is_empty() { (ranking::ranked(worst, images)) }
            }
        }
    };
    page.into_string()
}

fn summary(tally: &Tally, images: u64) -> Markup {
    let engines: Vec<&str> = tally.engines.iter().map(String::as_str).collect();
    html! {
        p {
            (grouped(images)) " images"
            @if let Some(method) = tally.method { ", scored by " code { (method) } }
            " on " (engines.join(", ")) ". The higher a score, the more abnormal the image."
        }
    }
}

fn promise(reference: &Reference) -> Markup {
    let conformal = reference.judge.conformal();
    let rate = reference.calibration.rate;
    html! {
        p {
            "Held against the " (grouped(conformal.scores().len() as u64)) " normal images of "
            code { (reference.path.display()) } ": at most " (percent(rate))
            " % of images like these are called an anomaly"
            @if let Ok(achieved) = conformal.achieved(rate, CONFIDENCE) {
                @let [low, high] = achieved.interval.map(|end| number(100.0 * end));
                " (with " (percent(CONFIDENCE)) " % confidence between " (low) " % and " (high) " %)"
            }
            "."
        }
    }
}

/// The name of every label in [`LABELS`].
const NAMES: [&str; 4] = ["anomaly", "unsure", "normal", "no label"];

fn counts(tally: &Tally, images: u64) -> Markup {
    let counts = tally.counts();
    let judged = counts[3] < images;
    html! {
        div.counts {
            @for label in (0..LABELS.len()).filter(|&label| counts[label] > 0 || judged && label < 3) {
                div.count.(CLASSES[label]) {
                    b { (grouped(counts[label])) }
                    span { (NAMES[label]) }
                    small { (number(100.0 * counts[label] as f64 / images as f64)) " %" }
                }
            }
        }
    }
}

fn distributions(tally: &Tally, reference: Option<&Reference>) -> Markup {
    let method = tally.method.map(|method| method.to_string()).unwrap_or_default();
    let calibration = reference.map(|reference| {
        let conformal = reference.judge.conformal();
        let threshold = conformal.threshold(reference.calibration.rate).ok();
        (Distribution::of(conformal.scores()), threshold)
    });
    let calibration = calibration.as_ref();
    let calibration = calibration.and_then(|(scores, threshold)| Some((scores, (*threshold)?)));
    let scores = reference.map(|reference| reference.judge.conformal().scores().len());
    let labels = tally.counts();
    let judged = labels[..3].iter().sum::<u64>() > 0;
    html! {
        h2 { "Scores" }
        div.figures {
            figure {
                (figures::scores(&method, &tally.scores, calibration))
                figcaption {
                    @for label in (0..LABELS.len()).filter(|&label| judged && labels[label] > 0) {
                        span.key.(CLASSES[label]) { (NAMES[label]) } " "
                    }
                    @if calibration.is_some() { span.key.outline { "calibration" } }
                    p {
                        "The share of the images in every bin. Scores beyond the ends of the axis are in the \
                         first bin and in the last."
                    }
                }
            }
            @if judged {
                figure {
                    (figures::p_values(&tally.p_values, scores))
                    figcaption { p {
                        "The share of the images by p-value. Where they are like those of the calibration, the bars \
                         follow the line; anomalies are in the first."
                    } }
                }
            }
        }
    }
}

fn contract(watch: &Watch, images: u64) -> Markup {
    let rate = percent(watch.rate);
    html! {
        h2 { "Contract" }
        @match watch.state() {
            State::Holding { evidence, .. } => {
                p { span.state.normal { "holds" } " after " (grouped(images)) " images, with evidence against it of "
                    (power(evidence)) "." }
            }
            State::Broken { at, drift, p_value, .. } => {
                p {
                    span.state.anomaly { "broken" } " at image " (grouped(at))
                    @if let Some(name) = &watch.breaker { " (" bdi { (name) } ")" }
                    ": scores are " (drift) " than at calibration, with p-values about "
                    (format!("{p_value:.2}")) ". Find the cause, or calibrate again."
                }
            }
        }
        div.figures {
            figure {
                (figures::evidence(watch))
                figcaption { p {
                    "Evidence that the images, in their order, are not like those of the calibration: its \
                     logarithm to base 10. Images that are like them reach " (power(-watch.rate.log10())) " once in "
                    (number(1.0 / watch.rate)) " times at most, however many there are (" (rate) " %)."
                } }
            }
        }
    }
}

/// A power of ten.
fn power(exponent: f64) -> Markup {
    html! { "10" sup { (format!("{exponent:.1}")) } }
}

/// A count with its thousands apart.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
