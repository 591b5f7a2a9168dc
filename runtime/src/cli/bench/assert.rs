//! Limits that a measurement must keep.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, bail};
use vae_infer::machine;

use super::super::units;
use super::report::Report;

/// Limits as they were typed: `p99<8ms,rss<40MB`.
#[derive(Clone)]
pub(super) struct Limits(Vec<Limit>);

#[derive(Clone)]
struct Limit {
    metric: Metric,
    /// In seconds or bytes; what is measured must be below.
    value: f64,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Metric {
    Load,
    First,
    P50,
    P90,
    P99,
    P999,
    Rss,
    Cold,
    ColdRss,
}

/// Every metric by its name.
const METRICS: [(&str, Metric); 9] = [
    ("load", Metric::Load),
    ("first", Metric::First),
    ("p50", Metric::P50),
    ("p90", Metric::P90),
    ("p99", Metric::P99),
    ("p99.9", Metric::P999),
    ("rss", Metric::Rss),
    ("cold", Metric::Cold),
    ("cold-rss", Metric::ColdRss),
];

impl FromStr for Limits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(|limit| limit.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let halves = text.split_once('<');
        let (name, value) = halves.ok_or_else(|| format!("`{text}` is no limit as `p99<8ms`"))?;
        let Some((_, metric)) = METRICS.iter().find(|(known, _)| *known == name) else {
            let names = METRICS.map(|(name, _)| name).join(", ");
            return Err(format!("`{name}` is none of {names}"));
        };
        let value = if metric.is_memory() { units::bytes(value) } else { units::seconds(value) }?;
        Ok(Self { metric: *metric, value, text: text.into() })
    }
}

impl Limits {
    /// Refuses limits of what will not be measured.
    pub(super) fn check(&self, cold: bool) -> Result<()> {
        for Limit { metric, text, .. } in &self.0 {
            if matches!(metric, Metric::Cold | Metric::ColdRss) && !cold {
                bail!("`{text}` needs fresh processes to be measured (hint: --cold)");
            }
            if metric.is_memory() && machine::peak_memory().is_none() {
                bail!(
                    "`{text}` cannot be told: this system does not say what memory a process took"
                );
            }
        }
        Ok(())
    }

    /// The limits that a measurement does not keep, in words.
    pub(super) fn broken(&self, report: &Report) -> Vec<String> {
        let broken = self.0.iter().filter_map(|limit| {
            let got = limit.metric.of(report);
            let kept = got.is_some_and(|got| got < limit.value);
            (!kept).then(|| format!("{} ({})", limit.text, limit.metric.written(got)))
        });
        broken.collect()
    }
}

impl Metric {
    fn is_memory(self) -> bool {
        matches!(self, Self::Rss | Self::ColdRss)
    }

    /// What was measured of it, in seconds or bytes.
    fn of(self, report: &Report) -> Option<f64> {
        let cold = report.cold.as_ref();
        let micros = match self {
            Self::Rss => return report.peak_rss_bytes.map(|bytes| bytes as f64),
            Self::ColdRss => return cold?.peak_rss_bytes.map(|bytes| bytes as f64),
            Self::Load => report.load_us,
            Self::First => report.first_us,
            Self::P50 => report.p50_us,
            Self::P90 => report.p90_us,
            Self::P99 => report.p99_us,
            Self::P999 => report.p999_us,
            Self::Cold => cold?.p50_us,
        };
        Some(micros / 1e6)
    }

    fn written(self, value: Option<f64>) -> String {
        match value {
            None => "not measured".into(),
            Some(bytes) if self.is_memory() => units::size(bytes),
            Some(seconds) => units::time(Duration::from_secs_f64(seconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_names_with_numbers_and_units() {
        let limits: Limits = "p99<8ms, rss<40MB,p99.9<1s".parse().unwrap_or_else(|e| panic!("{e}"));
        let parts: Vec<_> = limits.0.iter().map(|limit| (limit.value, &*limit.text)).collect();
        assert_eq!(parts, [(0.008, "p99<8ms"), (40e6, "rss<40MB"), (1.0, "p99.9<1s")]);
        for wrong in [
            "",
            ",",
            "p99<8ms,",
            "p99",
            "p99>8ms",
            "p99=8ms",
            "P99<8ms",
            "p99<=8ms",
            "p99 <8ms",
            "p95<8ms",
            "p99<8",
            "p99<8MB",
            "rss<8ms",
            "rss<40",
            "p99<0ms",
            "p99<-1ms",
            "p99<NaNms",
        ] {
            assert!(wrong.parse::<Limits>().is_err(), "{wrong}");
        }
    }
}
