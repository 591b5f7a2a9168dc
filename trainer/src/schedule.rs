//! How the learning rate changes over a run.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// How the learning rate changes over a run. It depends on the step alone, so a resumed run needs
/// no state of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Schedule {
    /// Always the peak.
    Constant {
        /// Steps over which it first rises from 0.
        #[serde(default)]
        warmup_steps: usize,
    },
    /// Half a cosine from the peak to a part of it (Loshchilov and Hutter, arXiv:1608.03983).
    Cosine {
        /// Steps over which it first rises from 0.
        #[serde(default)]
        warmup_steps: usize,
        /// The last step's share of the peak.
        #[serde(default)]
        floor: f64,
    },
    /// The peak times a power of `decay`, one power an epoch.
    Exponential {
        /// Steps over which it first rises from 0.
        #[serde(default)]
        warmup_steps: usize,
        /// The factor of one epoch.
        decay: f64,
    },
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Constant { warmup_steps: 0 }
    }
}

impl Schedule {
    /// Whether every factor lies between 0 and 1.
    pub fn is_sound(&self) -> bool {
        let unit = 0.0..=1.0;
        match self {
            Self::Constant { .. } => true,
            Self::Cosine { floor, .. } => unit.contains(floor),
            Self::Exponential { decay, .. } => unit.contains(decay),
        }
    }

    /// The share of the peak learning rate at a step, counted from 0.
    pub fn factor(&self, step: usize, steps_per_epoch: usize, epochs: usize) -> f64 {
        let (Self::Constant { warmup_steps }
        | Self::Cosine { warmup_steps, .. }
        | Self::Exponential { warmup_steps, .. }) = *self;
        let warmup = ((step + 1) as f64 / (warmup_steps + 1) as f64).min(1.0);
        let last = (steps_per_epoch as f64 * epochs as f64 - 1.0).max(1.0);
        warmup
            * match *self {
                Self::Constant { .. } => 1.0,
                Self::Cosine { floor, .. } => {
                    let progress = (step as f64 / last).min(1.0);
                    floor + (1.0 - floor) * 0.5 * (1.0 + (PI * progress).cos())
                }
                Self::Exponential { decay, .. } => decay.powf((step / steps_per_epoch) as f64),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cosine_falls_from_the_peak_to_its_floor() {
        let cosine = Schedule::Cosine { warmup_steps: 0, floor: 0.1 };
        assert_eq!(cosine.factor(0, 10, 10), 1.0);
        assert!((cosine.factor(99, 10, 10) - 0.1).abs() < 1e-12);
        assert!((cosine.factor(49, 10, 10) - 0.55).abs() < 0.01);
    }

    #[test]
    fn a_warmup_rises_to_the_peak() {
        let constant = Schedule::Constant { warmup_steps: 4 };
        assert_eq!(constant.factor(0, 10, 1), 0.2);
        assert_eq!(constant.factor(4, 10, 1), 1.0);
        let exponential = Schedule::Exponential { warmup_steps: 0, decay: 0.5 };
        assert_eq!(exponential.factor(25, 10, 3), 0.25);
    }
}
