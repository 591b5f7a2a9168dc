//! The line that an image gets.

use serde::Serialize;
use vae_infer::anomaly::{Method, Tile, Verdict};
use vae_infer::maps::regions::Region;

/// The version of the line.
pub(super) const SCHEMA: u32 = 1;

/// What is said of an image.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) schema: u32,
    pub(super) method: Method,
    pub(super) score: f64,
    #[serde(flatten)]
    pub(super) verdict: Option<Verdict>,
    pub(super) mse: f64,
    pub(super) nll: Option<f64>,
    pub(super) kl: Option<f64>,
    pub(super) elbo: Option<f64>,
    /// The number of tiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tiles: Option<usize>,
    /// The one with the highest score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tile: Option<Tile>,
    /// The name of the map in its folder, without the end of its files' names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) map: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) regions: Option<Vec<Region>>,
    pub(super) engine: &'a str,
}

impl Line<'_> {
    pub(super) fn text(&self) -> String {
        let number = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.3}"));
        let [nll, kl, elbo] = [self.nll, self.kl, self.elbo].map(number);
        let Self { name, method, score, mse, .. } = self;
        let verdict = self.verdict.map_or(String::new(), |Verdict { p_value, label }| {
            format!("{label:<7}  p {p_value:.5}  ")
        });
        let method = match method {
            Method::Mse => String::new(),
            method => format!("{method} {score:.6}  "),
        };
        let tile = self.tile.map_or(String::new(), |Tile { x, y, .. }| format!("  tile {x},{y}"));
        format!(
            "{verdict}{method}mse {mse:.6}  nll {nll:>9}  kl {kl:>8}  elbo {elbo:>10}{tile}  {name}"
        )
    }
}
