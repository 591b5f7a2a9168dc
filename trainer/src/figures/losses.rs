//! The terms of the loss over the epochs.

use anyhow::Result;
use plotters::backend::DrawingBackend;
use plotters::element::{Circle, PathElement};
use plotters::series::LineSeries;
use plotters::style::Color;
use vae_models::Likelihood;

use super::marks::{Mark, legend};
use super::plot::{Axes, Canvas, Drawn, Plot, range};
use super::theme::{GREY, PAIR};
use super::{Figure, Subject};
use crate::config::RunConfig;
use crate::means::Means;
use crate::run::EpochMetrics;

/// A term of the loss, where a run has it.
type Term = fn(&Means, &RunConfig) -> Option<f64>;

/// The panels by name, with a unit where it is not that of the likelihood. The total has the terms'
/// final weights throughout.
const TERMS: [(&str, Option<&str>, Term); 4] = [
    ("total", None, |means, config| Some(means.loss(config.weights()))),
    ("reconstruction", None, |means, _| Some(means.reconstruction)),
    ("KL", Some(NATS), |means, config| config.model.variational.then_some(means.kl)),
    ("perceptual", Some("feature distance"), |means, _| means.perceptual),
];

const NATS: &str = "nats an image";

/// The size of a panel, and the height of the legend above all, in points.
const PANEL: (u32, u32) = (380, 300);
const LEGEND: u32 = 32;
/// The most epochs whose points are marked.
const MAX_MARKED: usize = 30;

/// The curves of one term.
struct Panel {
    name: &'static str,
    unit: &'static str,
    training: Vec<(f64, f64)>,
    validation: Vec<(f64, f64)>,
}

struct Losses {
    panels: Vec<Panel>,
    best: usize,
}

pub(super) fn draw(subject: &Subject) -> Result<Figure> {
    let trained = subject.trained;
    let losses = Losses::new(&trained.run.metrics()?, &trained.config, trained.epoch);
    if losses.panels.is_empty() {
        return Ok(Figure::LeftOut("the first epoch has not ended yet"));
    }
    Figure::plot(&losses)
}

impl Losses {
    fn new(epochs: &[EpochMetrics], config: &RunConfig, best: usize) -> Self {
        let point = |epoch: &EpochMetrics, means: Option<&Means>, term: Term| {
            Some((epoch.epoch as f64, term(means?, config)?))
        };
        let of_likelihood = match config.model.likelihood {
            Likelihood::Bernoulli | Likelihood::Gaussian { .. } => NATS,
            Likelihood::SquaredError => "sum over an image",
        };
        let panels = TERMS.map(|(name, unit, term)| Panel {
            name,
            unit: unit.unwrap_or(of_likelihood),
            training: epochs.iter().filter_map(|e| point(e, Some(&e.train), term)).collect(),
            validation: epochs
                .iter()
                .filter_map(|e| point(e, e.validation.as_ref(), term))
                .collect(),
        });
        let panels = panels.into_iter().filter(|panel| !panel.training.is_empty()).collect();
        Self { panels, best }
    }
}

impl Plot for Losses {
    fn size(&self) -> (u32, u32) {
        (PANEL.0 * self.panels.len() as u32, PANEL.1 + LEGEND)
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Drawn<B> {
        let mut entries = vec![(Mark::line(PAIR[0]), "training".to_owned())];
        if self.panels.iter().any(|panel| !panel.validation.is_empty()) {
            entries.push((Mark::line(PAIR[1]), "validation".to_owned()));
        }
        if self.best > 0 {
            entries.push((Mark::line(GREY), format!("best epoch ({})", self.best)));
        }
        legend(&canvas.part(20, 10, (self.size().0 - 20, LEGEND)), &entries, 1)?;
        for (place, panel) in self.panels.iter().enumerate() {
            self.panel(panel, &canvas.part(place as u32 * PANEL.0, LEGEND, PANEL))?;
        }
        Ok(())
    }
}

impl Losses {
    fn panel<B: DrawingBackend>(&self, panel: &Panel, canvas: &Canvas<B>) -> Drawn<B> {
        let points = || panel.training.iter().chain(&panel.validation);
        let last = points().map(|point| point.0).fold(1.0, f64::max);
        let y = range(points().map(|point| point.1));
        let mut chart = canvas.axes(&Axes {
            title: panel.name.into(),
            x: ("epoch".into(), 0.0..last.max(2.0)),
            y: (panel.unit.into(), y.clone()),
            whole_x: true,
        })?;
        if self.best > 0 {
            let best = self.best as f64;
            let line =
                PathElement::new([(best, y.start), (best, y.end)], canvas.stroke(&GREY, 1.0));
            chart.draw_series(std::iter::once(line))?;
        }
        for (curve, color) in [&panel.training, &panel.validation].into_iter().zip(PAIR) {
            chart
                .draw_series(LineSeries::new(curve.iter().copied(), canvas.stroke(&color, 2.0)))?;
            if curve.len() <= MAX_MARKED {
                let radius = canvas.points(2.5);
                let dot = |point: &(f64, f64)| Circle::new(*point, radius, color.filled());
                chart.draw_series(curve.iter().map(dot))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::plot::tests::holds;

    fn epochs(count: usize, validation: bool) -> Vec<EpochMetrics> {
        let epoch = |epoch: usize| {
            let means = serde_json::json!({ "reconstruction": 100.0 / epoch as f64, "kl": epoch });
            let mut line = serde_json::json!({
                "epoch": epoch, "step": epoch, "train": means, "beta": 1.0, "learning_rate": 1.0,
            });
            if validation {
                line["validation"] = means;
            }
            serde_json::from_value(line).expect("a line of metrics")
        };
        (1..=count).map(epoch).collect()
    }

    #[test]
    fn every_term_has_a_panel_with_its_name() {
        let config = RunConfig::load("patterns", &[]).expect("a preset");
        let words =
            ["total", "reconstruction", "KL", "epoch", "nats", "validation", "best epoch (2)"];
        holds(&Losses::new(&epochs(5, true), &config, 2), &words);
        holds(&Losses::new(&epochs(1, false), &config, 1), &words[..5]);
        holds(&Losses::new(&epochs(100, true), &config, 0), &words[..6]);
    }

    #[test]
    fn a_plain_autoencoder_has_no_kl() {
        let config = RunConfig::load("patterns", &["model.variational=false".into()]);
        let losses = Losses::new(&epochs(3, true), &config.expect("it fits"), 1);
        let names: Vec<_> = losses.panels.iter().map(|panel| panel.name).collect();
        assert_eq!(names, ["total", "reconstruction"]);
        assert_eq!(losses.panels[0].validation[1], (2.0, 50.0 + 2.0));
    }
}
