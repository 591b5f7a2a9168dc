//! Three verdicts instead of two: images that are neither normal nor an anomaly are `unsure`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Conformal;
use super::conformal::between_0_and_1;
use crate::Error;

/// The verdict on an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// As normal images are.
    Normal,
    /// More unusual than most normal images, and not enough so for an alarm.
    Unsure,
    /// So unusual that normal images are at most at the rate of false alarms.
    Anomaly,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Normal => "normal",
            Self::Unsure => "unsure",
            Self::Anomaly => "anomaly",
        })
    }
}

/// Two rates that part p-values into three labels, the smaller one for anomalies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    anomaly: f64,
    unsure: f64,
}

impl Band {
    /// An anomaly has p ≤ `anomaly`, an image that is unsure a larger p ≤ `unsure`.
    ///
    /// Of normal images, the share `anomaly` at most gets an alarm, and the share `unsure` at most
    /// anything but `normal`. Equal rates leave no image unsure.
    ///
    /// # Errors
    ///
    /// Those of [`Conformal::threshold`] for either rate, and [`Error::Setting`] where `unsure` is the
    /// smaller one.
    pub fn new(conformal: &Conformal, anomaly: f64, unsure: f64) -> Result<Self, Error> {
        Self::check(anomaly, Some(unsure))?;
        conformal.threshold(anomaly)?;
        conformal.threshold(unsure)?;
        Ok(Self { anomaly, unsure })
    }

    /// Refuses rates of which there is no band on any calibration.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a rate that is not between 0 and 1, and where `unsure` is the smaller one.
    pub fn check(anomaly: f64, unsure: Option<f64>) -> Result<(), Error> {
        between_0_and_1("a rate of false alarms", anomaly)?;
        let Some(unsure) = unsure else { return Ok(()) };
        if unsure < anomaly {
            let (got, expected) = (unsure.to_string(), format!("at least {anomaly}"));
            return Err(Error::Setting { what: "the rate of unsure images", got, expected });
        }
        between_0_and_1("a rate of false alarms", unsure).map(drop)
    }

    /// The label of an image with this p-value.
    pub fn label(&self, p_value: f64) -> Label {
        match p_value {
            p if p > self.unsure => Label::Normal,
            p if p > self.anomaly => Label::Unsure,
            _ => Label::Anomaly,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_change_at_the_rates() {
        let scores = (1..=99).map(f64::from).collect();
        let conformal = Conformal::new(scores).expect("finite scores");
        let band = Band::new(&conformal, 0.01, 0.05).expect("enough images");
        for (score, label) in [
            (99.5, Label::Anomaly),
            (99.0, Label::Unsure),
            (95.5, Label::Unsure),
            (95.0, Label::Normal),
            (f64::NAN, Label::Anomaly),
        ] {
            assert_eq!(band.label(conformal.p_value(score)), label, "{score}");
        }
        let none_unsure = Band::new(&conformal, 0.05, 0.05).expect("enough images");
        assert_eq!(none_unsure.label(0.05), Label::Anomaly);
        assert_eq!(none_unsure.label(0.06), Label::Normal);
        let refusal = |anomaly, unsure| {
            Band::new(&conformal, anomaly, unsure).expect_err("it is refused").to_string()
        };
        let expected = "the rate of unsure images is 0.01, expected at least 0.05";
        assert_eq!(refusal(0.05, 0.01), expected);
        assert!(refusal(0.001, 0.05).contains("999 are needed"), "{}", refusal(0.001, 0.05));
    }
}
