//! Quantities with their units, as they are read and written.

use std::time::Duration;

/// Units of time, in seconds.
const TIMES: [(&str, f64); 3] = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];

/// Units of memory, in bytes.
const SIZES: [(&str, f64); 3] = [("KB", 1e3), ("MB", 1e6), ("GB", 1e9)];

/// Parses a time, as `8ms`, into seconds.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    quantity(text, &TIMES)
}

/// Parses a size, as `40MB`, into bytes.
pub(super) fn bytes(text: &str) -> Result<f64, String> {
    quantity(text, &SIZES)
}

fn quantity(text: &str, units: &[(&str, f64)]) -> Result<f64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
    let expected = || format!("`{text}` is no number above 0 in {}", names.join(", "));
    let (_, size) = units.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
    let value = number.parse::<f64>().map_err(|_| expected())? * size;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err(expected()) }
}

/// A time in three digits, with its unit.
pub(super) fn time(duration: Duration) -> String {
    written(duration.as_secs_f64(), &TIMES)
}

/// A size in three digits, with its unit.
pub(super) fn size(bytes: f64) -> String {
    written(bytes, &SIZES)
}

fn written(value: f64, units: &[(&str, f64)]) -> String {
    let fits = units.iter().rev().find(|(_, size)| value >= *size);
    let (name, size) = fits.unwrap_or(&units[0]);
    format!("{} {name}", digits(value / size))
}

/// A number with three digits, or more of a large one.
pub(super) fn digits(value: f64) -> String {
    let places = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.places$}")
}

/// Microseconds of a time.
pub(super) fn microseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_take_their_own_units_alone() {
        assert_eq!(seconds("8ms"), Ok(0.008));
        assert_eq!(seconds("1.5s"), Ok(1.5));
        assert_eq!(bytes("40MB"), Ok(40e6));
        for wrong in ["", "8", "ms", "0ms", "-1ms", "8 ms", "8MS", "8MB", "1.2.3s", "1e3s", "infs"]
        {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        for wrong in ["40mb", "40MiB", "40ms", "NaNMB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn quantities_are_written_in_three_digits() {
        let time = |nanoseconds| time(Duration::from_nanos(nanoseconds));
        assert_eq!(time(40), "0.04 us");
        assert_eq!(time(9_999), "10.0 us");
        assert_eq!(time(8_123_000), "8.12 ms");
        assert_eq!(time(61_500_000_000), "61.5 s");
        assert_eq!(size(31_234_567.0), "31.2 MB");
        assert_eq!(size(12.0), "0.01 KB");
    }
}
