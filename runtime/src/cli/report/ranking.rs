//! The worst images, from the highest score down.

use maud::{Markup, html};

use super::axis::number;
use super::figures::CLASSES;
use super::line::Line;
use super::maps::Map;
use super::page::grouped;
use super::tally::LABELS;

/// The worst images, each as a card.
pub(super) fn ranked(worst: &[(Line, Option<Map>)], images: u64) -> Markup {
    let shown = worst.len() as u64;
    html! {
        h2 { "Most abnormal" }
        p {
            @if shown < images { "The " (grouped(shown)) " highest scores of " (grouped(images)) "." }
            @else { "All images, from the highest score down." }
            @if worst.iter().any(|(_, map)| map.is_some()) {
                " Beside each image, with boxes round abnormal regions, is the map of its error, on one scale for all."
            }
        }
        ol.cards { @for (line, map) in worst { (card(line, map.as_ref())) } }
    }
}

fn card(line: &Line, map: Option<&Map>) -> Markup {
    let label = LABELS.iter().position(|label| *label == line.label).unwrap_or_default();
    let parts = [("mse", Some(line.mse)), ("nll", line.nll), ("kl", line.kl), ("elbo", line.elbo)];
    let method = line.method.to_string();
    let part = |(name, value): (&str, Option<f64>)| {
        value.filter(|_| name != method).map(|value| format!("{name} {}", number(value)))
    };
    let tile = line.tile.as_ref().zip(line.tiles);
    let tile = tile.map(|(tile, tiles)| format!("worst of {tiles} tiles at {},{}", tile.x, tile.y));
    let regions = line.regions.as_ref().map(|regions| match regions.as_slice() {
        [] => "no region".into(),
        [one] => format!("1 region, peak {}", number(one.peak)),
        [first, ..] => format!("{} regions, peak {}", regions.len(), number(first.peak)),
    });
    let details: Vec<String> =
        parts.into_iter().filter_map(part).chain(tile).chain(regions).collect();
    html! {
        li.card.(CLASSES[label]) {
            @if let Some(map) = map {
                div.pair {
                    @for (picture, what) in [(&map.overlay, "image"), (&map.heat, "error map")] {
                        img.small[picture.small] src=(picture.data) alt={ (what) " of " (line.name) };
                    }
                }
            }
            bdi.name { (line.name) }
            div {
                @if let Some(name) = line.label { span.state { (name) } " " }
                b { (line.method) " " (number(line.score)) }
                @if let Some(p) = line.p_value { ", p = " (number(p)) }
            }
            small { (details.join(" · ")) }
        }
    }
}
