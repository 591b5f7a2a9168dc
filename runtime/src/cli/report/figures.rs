//! What is plotted: scores, p-values, and the evidence against a contract.

use maud::{Markup, html};
use vae_infer::anomaly::State;

use super::axis::{Axis, number};
use super::distribution::Distribution;
use super::plot::{Plot, px};
use super::tally::{LABELS, PLACES, expected};
use super::watch::Watch;

/// The bins of scores.
const BINS: usize = 48;
/// The style class of every label in [`LABELS`].
pub(super) const CLASSES: [&str; 4] = ["anomaly", "unsure", "normal", "unlabelled"];

/// The shares of scores in bins, by label one on the other, with the outline of the calibration's.
pub(super) fn scores(
    method: &str,
    scores: &[Distribution; 4],
    calibration: Option<(&Distribution, f64)>,
) -> Markup {
    let mut all = Distribution::default();
    scores.iter().for_each(|scores| all.extend(scores));
    let axis = axis(&all, calibration);
    let shares = |of: &Distribution, total: u64| -> Vec<f64> {
        of.bins(&axis, BINS).into_iter().map(|count| count as f64 / total as f64).collect()
    };
    let stacks = scores.each_ref().map(|scores| shares(scores, all.total));
    let outline = calibration.map(|(scores, _)| shares(scores, scores.total));
    let heights = (0..BINS).map(|bin| stacks.iter().map(|stack| stack[bin]).sum::<f64>());
    let highest = heights.chain(outline.iter().flatten().copied()).fold(0.0, f64::max);
    let plot = Plot { x: axis, y: Axis::new(0.0, 1.08 * highest, false) };
    let edge = |bin: usize| plot.x.value(bin as f64 / BINS as f64);
    let content = html! {
        @for bin in 0..BINS {
            // Anomalies, which are rare, lie on top.
            @for label in (0..LABELS.len()).rev().filter(|&label| stacks[label][bin] > 0.0) {
                @let below: f64 = stacks[label + 1..].iter().map(|stack| stack[bin]).sum();
                (plot.bar([edge(bin), edge(bin + 1)], [below, below + stacks[label][bin]], CLASSES[label]))
            }
        }
        @if let Some(outline) = &outline {
            path.outline d=(steps(&plot, outline, edge)) {}
        }
        @if let Some((_, threshold)) = calibration {
            (plot.mark(threshold, &format!("threshold {}", number(threshold))))
        }
    };
    plot.draw("histogram of the scores", &format!("score ({method})"), true, &content)
}

/// The axis of scores: all of them, but for what lies as far out again as nearly all the others do.
fn axis(all: &Distribution, calibration: Option<(&Distribution, f64)>) -> Axis {
    let distributions = || [Some(all), calibration.map(|(scores, _)| scores)].into_iter().flatten();
    let threshold = calibration.map(|(_, threshold)| threshold);
    let ends = |of: &dyn Fn(&Distribution) -> Option<[f64; 2]>| {
        let ends = distributions().filter_map(of).chain(threshold.map(|t| [t, t]));
        ends.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], [a, b]| {
            [low.min(a), high.max(b)]
        })
    };
    let [low, high] = ends(&|scores| Some([scores.quantile(0.0)?, scores.quantile(1.0)?]));
    let whole = Axis::spanning(low, high);
    let [near, far] = ends(&|scores| {
        let [low, high] = [scores.quantile(0.01)?, scores.quantile(0.99)?].map(|q| whole.place(q));
        let room = (high - low).max(0.01);
        Some([low - room, high + room].map(|place| whole.value(place.clamp(0.0, 1.0))))
    });
    Axis::spanning(near, far)
}

fn steps(plot: &Plot, shares: &[f64], edge: impl Fn(usize) -> f64) -> String {
    let mut path = format!("M{} {}", px(plot.x(edge(0))), px(plot.y(0.0)));
    for (bin, &share) in shares.iter().enumerate() {
        path.push_str(&format!("V{}H{}", px(plot.y(share)), px(plot.x(edge(bin + 1)))));
    }
    path.push_str(&format!("V{}", px(plot.y(0.0))));
    path
}

/// The shares of p-values in bins, with the shares that are expected of so many calibration scores.
pub(super) fn p_values(counts: &[u64; PLACES], scores: Option<usize>) -> Markup {
    let total = counts.iter().sum::<u64>() as f64;
    let shares = counts.map(|count| count as f64 / total);
    let even = scores.map_or([1.0 / PLACES as f64; PLACES], expected);
    let highest = shares.iter().chain(&even).copied().fold(0.0, f64::max);
    let plot = Plot { x: Axis::new(0.0, 1.0, false), y: Axis::new(0.0, 1.08 * highest, false) };
    let edge = |bin: usize| bin as f64 / PLACES as f64;
    let content = html! {
        @for (bin, &share) in shares.iter().enumerate().filter(|&(_, &share)| share > 0.0) {
            (plot.bar([edge(bin), edge(bin + 1)], [0.0, share], "plain"))
        }
        path.even d=(steps(&plot, &even, edge)) {}
    };
    plot.draw("histogram of the p-values", "p-value", true, &content)
}

/// The evidence against a contract, image by image, up to the one that breaks it.
pub(super) fn evidence(watch: &Watch) -> Markup {
    let images = match watch.state() {
        State::Holding { frames, .. } => frames,
        State::Broken { at, .. } => at,
    };
    let limit = -watch.rate.log10();
    let least = watch.curve().fold(0.0, f64::min);
    let most = watch.curve().fold(limit, f64::max);
    let room = 0.12 * (most - least);
    let plot = Plot {
        x: Axis::new(0.0, images as f64, false),
        y: Axis::new(least - room, most + room, false),
    };
    let place =
        |image: u64, evidence| format!("{},{} ", px(plot.x(image as f64)), px(plot.y(evidence)));
    let points = (1..).zip(watch.curve());
    let points = points.map(|(i, evidence)| place((i * watch.stride).min(images), evidence));
    let curve: String = [place(0, 0.0)].into_iter().chain(points).collect();
    let content = html! {
        polyline.curve points=(curve.trim_end()) {}
        (plot.level(limit, "limit"))
        text.name x=(px(plot.x(0.0) + 6.0)) y=(px(plot.y(limit) - 6.0)) { "broken above" }
    };
    plot.draw("evidence against the contract, image by image", "image", false, &content)
}
