//! What a person sees of a run: a bar on a terminal, a line an epoch elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::means::Means;
use crate::run::EpochMetrics;
use crate::say::say;

/// Where progress is shown.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    terminal: bool,
}

/// The bar of some work on images.
pub struct Work(ProgressBar);

/// The bar of one epoch's steps.
pub struct Steps(ProgressBar);

impl Progress {
    /// Progress on stderr.
    pub fn stderr() -> Self {
        Self { terminal: std::io::stderr().is_terminal() }
    }

    /// A bar for an epoch's steps; off a terminal it shows nothing.
    pub fn steps(&self, epoch: usize, epochs: usize, steps: usize) -> Steps {
        Steps(self.bar(format!("epoch {epoch}/{epochs}"), steps))
    }

    /// A bar for work that is done by the piece; off a terminal it shows nothing.
    pub fn work(&self, name: &str, pieces: usize) -> Work {
        Work(self.bar(name.to_owned(), pieces))
    }

    fn bar(&self, prefix: String, length: usize) -> ProgressBar {
        let target =
            if self.terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(length as u64), target);
        let template = "{prefix} {bar:32} {pos}/{len} {eta} {msg}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is tested"));
        bar.set_prefix(prefix);
        bar
    }

    /// One line for an epoch that has ended.
    pub fn epoch(&self, metrics: &EpochMetrics, images_per_second: f64) {
        let show = |name: &str, means: &Means| {
            let loss = means.loss(metrics.weights());
            let Means { reconstruction, kl, perceptual } = means;
            let terms = format!("{reconstruction:.3} + {:.3} x {kl:.3}", metrics.beta);
            let weight = metrics.perceptual_weight;
            let perceptual = perceptual.map(|distance| format!(" + {weight:.3} x {distance:.5}"));
            format!("{name} {loss:.3} = {terms}{}", perceptual.unwrap_or_default())
        };
        let mut line = format!("epoch {}: {}", metrics.epoch, show("train", &metrics.train));
        if let Some(validation) = &metrics.validation {
            line += &format!(", {}", show("validation", validation));
        }
        say(format!("{line}, {images_per_second:.0} images/s"));
    }
}

impl Steps {
    /// Shows how far the epoch is.
    pub fn set(&mut self, step: usize, means: &Means) {
        self.0.set_position(step as u64);
        let perceptual = means.perceptual.map(|distance| format!(" + {distance:.5}"));
        let perceptual = perceptual.unwrap_or_default();
        self.0.set_message(format!("{:.3} + {:.3}{perceptual}", means.reconstruction, means.kl));
    }
}

impl Work {
    /// Shows that some pieces are done.
    pub fn add(&mut self, pieces: usize) {
        self.0.inc(pieces as u64);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
