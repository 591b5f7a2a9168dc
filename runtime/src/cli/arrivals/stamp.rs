//! What tells a file that was taken from one that is new, and one that is whole from one that is written.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

/// A file that was found, and not noticed as whole, counts as such when it has not changed for so
/// long.
const STILL: Duration = Duration::from_secs(1);
/// The files that are remembered: those before them would be taken for new ones.
const REMEMBERED: usize = 1 << 20;

/// A file's content, as far as it shows from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    bytes: u64,
    modified: SystemTime,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        Ok(Self { bytes: metadata.len(), modified: metadata.modified()? })
    }
}

/// Waits until a file has not changed for a while; false where it goes on being written, which is
/// noticed when it ends. A change that is none of the content may come once.
pub(super) fn is_still(path: &Path) -> bool {
    for _ in 0..2 {
        let Ok(before) = Stamp::of(path) else { return true };
        let age = before.modified.elapsed().unwrap_or_default();
        if age >= STILL {
            return true;
        }
        thread::sleep(STILL - age);
        if Stamp::of(path).map_or(true, |after| after == before) {
            return true;
        }
    }
    false
}

/// The files that were taken, as hashes: the memory is bounded.
#[derive(Default)]
pub(super) struct Seen {
    files: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Seen {
    /// Whether a file was added as it is.
    pub(super) fn has(&self, path: &Path, stamp: Stamp) -> bool {
        self.files.contains(&hash(path, stamp))
    }

    /// Adds a file; says whether it is new, by its path or by what it holds.
    pub(super) fn add(&mut self, path: &Path, stamp: Stamp) -> bool {
        let file = hash(path, stamp);
        let new = self.files.insert(file);
        if new {
            self.order.push_back(file);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.files.remove(&oldest);
        }
        new
    }
}

fn hash(path: &Path, stamp: Stamp) -> u64 {
    let mut hasher = DefaultHasher::new();
    (path, stamp).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_new_when_its_name_or_its_content_is() {
        let mut seen = Seen::default();
        let stamp = |bytes| Stamp { bytes, modified: SystemTime::UNIX_EPOCH };
        assert!(seen.add(Path::new("a"), stamp(1)));
        assert!(!seen.add(Path::new("a"), stamp(1)) && seen.has(Path::new("a"), stamp(1)));
        assert!(seen.add(Path::new("a"), stamp(2)) && seen.add(Path::new("b"), stamp(1)));
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let mut seen = Seen::default();
        let stamp = |bytes| Stamp { bytes, modified: SystemTime::UNIX_EPOCH };
        assert!((0..=REMEMBERED as u64).all(|bytes| seen.add(Path::new("a"), stamp(bytes))));
        assert_eq!((seen.files.len(), seen.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!seen.add(Path::new("a"), stamp(1)), "remembered");
        assert!(seen.add(Path::new("a"), stamp(0)), "forgotten");
    }
}
