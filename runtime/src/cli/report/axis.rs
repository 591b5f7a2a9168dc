//! An axis of a plot: where values lie on it, and the round ones that are named.

/// The values from `low` to `high`, which are not equal, in steps or in factors.
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

/// Values above 0 that span more than this factor are told apart by factors.
const FACTOR: f64 = 8.0;
/// Fewer names than this say too little.
const FEW: usize = 3;
/// More names than this do not fit.
const MANY: usize = 7;

impl Axis {
    pub(super) fn new(low: f64, high: f64, log: bool) -> Self {
        let (low, high) = if low < high {
            (low, high)
        } else {
            let around = if low == 0.0 { 0.5 } else { low.abs() / 2.0 };
            (low - around, low + around)
        };
        Self { low, high, log }
    }

    /// The axis that suits these values.
    pub(super) fn spanning(low: f64, high: f64) -> Self {
        Self::new(low, high, low > 0.0 && high > FACTOR * low)
    }

    /// Where a value lies between the ends, from 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let at = |value: f64| if self.log { value.max(f64::MIN_POSITIVE).ln() } else { value };
        ((at(value) - at(self.low)) / (at(self.high) - at(self.low))).clamp(0.0, 1.0)
    }

    /// The value at a place.
    pub(super) fn value(&self, place: f64) -> f64 {
        if self.log {
            return self.low * (self.high / self.low).powf(place);
        }
        self.low + place * (self.high - self.low)
    }

    /// A few round values along it, with their names.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let factors = if self.log { self.factors() } else { None };
        if let Some(ticks) = factors {
            return ticks.into_iter().map(|tick| (tick, number(tick))).collect();
        }
        let raw = (self.high - self.low) / 5.0;
        let magnitude = 10_f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * magnitude);
        let step = step.into_iter().find(|&step| step >= raw).unwrap_or(raw);
        let (first, last) = ((self.low / step).ceil(), (self.high / step).floor());
        let ticks = (0..=(last - first) as usize).map(|i| (first + i as f64) * step);
        let places = (-step.log10().floor()).max(0.0);
        let plain = places <= 6.0 && self.low.abs().max(self.high.abs()) < 1e6;
        let name = |tick: f64| match plain {
            true => format!("{tick:.*}", places as usize),
            false => number(tick),
        };
        ticks.map(|tick| (tick, name(tick))).collect()
    }

    /// Powers of ten, with what lies between them where there is room; nothing where there are few.
    fn factors(&self) -> Option<Vec<f64>> {
        let exponents = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let of = |digits: &'static [f64]| -> Vec<f64> {
            let values = exponents.clone().flat_map(|e| digits.iter().map(move |d| (d, e)));
            let values = values.map(|(digit, e)| digit * 10_f64.powi(e));
            values.filter(|value| (self.low..=self.high).contains(value)).collect()
        };
        let all = [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]].map(of);
        let fitting = all.iter().find(|ticks| ticks.len() <= MANY);
        let ticks = match fitting {
            Some(ticks) => ticks.clone(),
            None => {
                let [.., powers] = all;
                let every = powers.len().div_ceil(MANY);
                powers.into_iter().step_by(every).collect()
            }
        };
        (ticks.len() >= FEW).then_some(ticks)
    }
}

/// A value in three digits or so.
pub(super) fn number(value: f64) -> String {
    let exponent = value.abs().max(f64::MIN_POSITIVE).log10().floor() as i32;
    if value == 0.0 {
        return "0".into();
    } else if !(-4..6).contains(&exponent) {
        return format!("{value:.1e}").replace(".0e", "e");
    }
    let text = format!("{value:.*}", (2 - exponent).max(0) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').into(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_few_and_within() {
        let cases: [(f64, f64, &[&str]); 6] = [
            (0.0, 1.0, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (-130.0, 70.0, &["-100", "-50", "0", "50"]),
            (0.004, 0.3, &["0.005", "0.01", "0.02", "0.05", "0.1", "0.2"]),
            (2e-5, 3e-2, &["3e-5", "0.0001", "0.0003", "0.001", "0.003", "0.01", "0.03"]),
            (999.0, 1001.0, &["999.0", "999.5", "1000.0", "1000.5", "1001.0"]),
            (0.9, 9.0, &["1", "2", "5"]),
        ];
        for (low, high, expected) in cases {
            let axis = Axis::spanning(low, high);
            let (ticks, names): (Vec<f64>, Vec<String>) = axis.ticks().into_iter().unzip();
            assert_eq!(names, expected, "{low} to {high}");
            for tick in ticks {
                assert!(
                    (axis.value(axis.place(tick)) - tick).abs() < 1e-9 * (high - low),
                    "{tick}"
                );
            }
        }
        let all = [(1e-38, 1e38), (-1e38, 1e38), (5.0, 5.0), (0.0, 0.0), (-3.0, -3.0), (1.0, 8.1)];
        for (low, high) in all {
            let ticks = Axis::spanning(low, high).ticks();
            assert!((2..=MANY + 1).contains(&ticks.len()), "{low} to {high}: {ticks:?}");
        }
    }
}
