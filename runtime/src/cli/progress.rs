//! How far a command has come, for whoever looks on.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use super::say::{hush, say_for_now};

/// The time between two reports; what is done sooner has none.
const EVERY: Duration = Duration::from_millis(500);

/// Reports that follow each other in one line on standard error, where that is a terminal. Lines of
/// data on the same terminal would run into it and say as much: then there is none.
pub(super) struct Progress {
    files: usize,
    shown: bool,
    begun: Instant,
    last: Instant,
}

impl Progress {
    /// Progress through so many files.
    pub(super) fn of(files: usize) -> Self {
        let shown = io::stderr().is_terminal() && !io::stdout().is_terminal();
        let now = Instant::now();
        Self { files, shown, begun: now, last: now }
    }

    /// Says that so many files have been read, where it is time to.
    pub(super) fn show(&mut self, read: usize) {
        if self.shown && self.last.elapsed() >= EVERY {
            self.last = Instant::now();
            say_for_now(report(read, self.files, self.begun.elapsed()));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            hush();
        }
    }
}

fn report(read: usize, files: usize, took: Duration) -> String {
    let rate = read as f64 / took.as_secs_f64();
    let digits = if rate < 10.0 { 1 } else { 0 };
    format!("{read} of {files} files, {rate:.digits$} a second")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_many_and_how_fast() {
        let report = |read, seconds| report(read, 20_000, Duration::from_secs_f64(seconds));
        assert_eq!(report(10_000, 2.5), "10000 of 20000 files, 4000 a second");
        assert_eq!(report(3, 2.0), "3 of 20000 files, 1.5 a second");
    }
}
