//! Figures over images, and figures that a model cannot have.

use serde::{Deserialize, Serialize};

/// A figure's mean over images and its spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Statistic {
    /// Mean over the images.
    pub mean: f64,
    /// Standard deviation over the images, with n - 1 in its denominator; 0 for one image.
    pub standard_deviation: f64,
    /// Standard error of the mean: the standard deviation over the root of n.
    pub standard_error: f64,
}

impl Statistic {
    /// The statistic of one value for each image, of which there is at least one.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let standard_deviation = (squares / (count - 1.0).max(1.0)).sqrt();
        Self { mean, standard_deviation, standard_error: standard_deviation / count.sqrt() }
    }
}

/// What was computed, or the reason why it was not. In JSON either the value or `{"reason": "…"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Measured<T> {
    /// The value.
    Value(T),
    /// No value.
    Absent {
        /// One sentence for people.
        reason: String,
    },
}

impl<T> Measured<T> {
    /// No value, for a reason.
    pub fn absent(reason: impl Into<String>) -> Self {
        Self::Absent { reason: reason.into() }
    }

    /// The value, where there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_spread_of_known_values() {
        let statistic = Statistic::of(&[1.0, 2.0, 3.0, 6.0]);
        assert_eq!(statistic.mean, 3.0);
        assert!((statistic.standard_deviation - (14.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((statistic.standard_error - (14.0_f64 / 12.0).sqrt()).abs() < 1e-12);
        let one = Statistic::of(&[5.0]);
        assert_eq!((one.mean, one.standard_deviation, one.standard_error), (5.0, 0.0, 0.0));
    }

    #[test]
    fn a_value_and_a_reason_come_back_from_json() {
        let cases = [Measured::Value(Statistic::of(&[5.0])), Measured::absent("not asked for")];
        for measured in cases {
            let json = serde_json::to_string(&measured).expect("it is plain data");
            assert_eq!(measured, serde_json::from_str(&json).expect("its own words"), "{json}");
        }
    }
}
