//! Lists of indices, as `1-5,226-230`.

use std::ops::RangeInclusive;
use std::str::FromStr;

use anyhow::{Result, bail};

/// Indices counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ids(Vec<RangeInclusive<usize>>);

impl Ids {
    pub(super) fn contains(&self, id: usize) -> bool {
        self.0.iter().any(|range| range.contains(&id))
    }

    /// How many indices below a limit there are.
    pub(super) fn below(&self, limit: usize) -> usize {
        let mut ranges: Vec<_> =
            self.0.iter().map(|range| (*range.start(), *range.end())).collect();
        ranges.sort_unstable();
        let (mut count, mut from) = (0, 0);
        for (start, end) in ranges {
            let (start, end) = (start.max(from), end.saturating_add(1).min(limit));
            if start < end {
                count += end - start;
                from = end;
            }
        }
        count
    }

    /// Refuses an index that none of `count` images has.
    pub(super) fn check(&self, count: usize) -> Result<()> {
        let beyond = self.0.iter().filter(|range| *range.end() >= count);
        match beyond.map(|range| count.max(*range.start())).min() {
            Some(first) => bail!(
                "--ids names {first}, and the {count} images are numbered from 0 to {}",
                count - 1
            ),
            None => Ok(()),
        }
    }
}

impl FromStr for Ids {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.trim().parse::<usize>().map_err(|_| format!("`{text}` is not an index"))
        };
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let range = match part.split_once('-') {
                Some((first, last)) => number(first)?..=number(last)?,
                None => number(part)?..=number(part)?,
            };
            if range.is_empty() {
                return Err(format!("`{part}` ends before it begins"));
            }
            ranges.push(range);
        }
        Ok(Self(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_held_against_the_count() {
        let ids: Ids = "1-2, 4".parse().expect("a list");
        let chosen: Vec<_> = (0..6).filter(|&id| ids.contains(id)).collect();
        assert_eq!(chosen, [1, 2, 4]);
        for limit in 0..8 {
            let many: Ids = "4,1-2,2-6,1".parse().expect("a list");
            let chosen = |ids: &Ids| (0..limit).filter(|&id| ids.contains(id)).count();
            assert_eq!([ids.below(limit), many.below(limit)], [chosen(&ids), chosen(&many)]);
        }
        assert!(ids.check(5).is_ok());
        assert!(ids.check(4).is_err());
        for bad in ["", "a", "3-1", "1--2", "-1", "1,", "99999999999999999999"] {
            assert!(bad.parse::<Ids>().is_err(), "{bad:?} was accepted");
        }
    }
}
