use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::Error;

/// The most runs that are measured: their times take 8 MiB.
const MAX_RUNS: usize = 1 << 20;

/// The fewest runs in a length of time.
const MIN_RUNS: usize = 3;

/// The share of a measurement that goes before it, to warm up.
const WARM_UP: u32 = 10;

/// How long is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// So many runs, at least 1 and at most 1,048,576.
    Runs(usize),
    /// So long, at least 3 runs and at most as many as above.
    Time(Duration),
}

/// How long one call takes, over many of them in steady state.
///
/// Percentiles are by nearest rank: the smallest time that so many of a hundred do not exceed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// The number of calls.
    pub runs: usize,
    /// What all of them took together.
    pub total: Duration,
    /// The median.
    pub p50: Duration,
    /// The 90th percentile.
    pub p90: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The 99.9th percentile; the largest time of fewer than 1000 calls.
    pub p999: Duration,
}

impl Latency {
    /// Calls `run` for a tenth of a length, and then measures it for the whole of it.
    ///
    /// # Errors
    ///
    /// The first error of `run`.
    pub fn measure<T>(
        length: Length,
        mut run: impl FnMut() -> Result<T, Error>,
    ) -> Result<Self, Error> {
        let (runs, time) = match length {
            Length::Runs(runs) => (runs.clamp(1, MAX_RUNS), Duration::ZERO),
            Length::Time(time) => (MIN_RUNS, time),
        };
        let start = Instant::now();
        let mut warmed = 0;
        while warmed < runs.div_ceil(WARM_UP as usize) || start.elapsed() < time / WARM_UP {
            run()?;
            warmed += 1;
        }
        let most = if time.is_zero() { runs } else { MAX_RUNS };
        let mut nanoseconds = Vec::with_capacity(most);
        let start = Instant::now();
        while nanoseconds.len() < runs || (start.elapsed() < time && nanoseconds.len() < most) {
            let start = Instant::now();
            let result = run()?;
            nanoseconds.push(start.elapsed().as_nanos() as u64);
            black_box(result);
        }
        Ok(Self::of(nanoseconds))
    }

    /// Sorts times, of which there is one at least.
    fn of(mut nanoseconds: Vec<u64>) -> Self {
        nanoseconds.sort_unstable();
        let runs = nanoseconds.len();
        let rank = |per_mille: usize| (runs * per_mille).div_ceil(1000).clamp(1, runs);
        let time = |per_mille| Duration::from_nanos(nanoseconds[rank(per_mille) - 1]);
        Self {
            runs,
            total: Duration::from_nanos(nanoseconds.iter().sum()),
            p50: time(500),
            p90: time(900),
            p99: time(990),
            p999: time(999),
        }
    }

    /// Calls a second.
    pub fn rate(&self) -> f64 {
        self.runs as f64 / self.total.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let of = |times: Vec<u64>| {
            let Latency { runs, p50, p90, p99, p999, .. } = Latency::of(times);
            (runs, [p50, p90, p99, p999].map(|time| time.as_nanos()))
        };
        assert_eq!(of((1..=1000).rev().collect()), (1000, [500, 900, 990, 999]));
        assert_eq!(of((1..=10).collect()), (10, [5, 9, 10, 10]));
        assert_eq!(of(vec![5, 3]), (2, [3, 5, 5, 5]));
        assert_eq!(of(vec![7]), (1, [7; 4]));
        assert_eq!(Latency::of(vec![1, 2, 3]).total, Duration::from_nanos(6));
    }

    #[test]
    fn a_length_counts_runs_after_those_that_warm_up() {
        let mut calls = 0;
        let mut measure = |length| {
            calls = 0;
            let run = || {
                calls += 1;
                Ok(())
            };
            let runs = Latency::measure(length, run).expect("nothing fails").runs;
            (runs, calls)
        };
        assert_eq!(measure(Length::Runs(20)), (20, 22));
        assert_eq!(measure(Length::Runs(0)), (1, 2));
        assert_eq!(measure(Length::Time(Duration::ZERO)), (3, 4));
        let (runs, calls) = measure(Length::Time(Duration::from_millis(5)));
        assert!(runs >= 3 && calls > runs);
    }

    #[test]
    fn an_error_ends_it() {
        let error = || Error::NotFinite { what: "a result".into() };
        assert!(Latency::measure(Length::Runs(5), || Err::<(), _>(error())).is_err());
    }
}
