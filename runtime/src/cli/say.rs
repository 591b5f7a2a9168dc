//! Lines of talk on standard error.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Goes back to the start of a line and empties it.
const CLEAR: &str = "\r\x1b[K";

/// Whether the last line is one that is written over.
static PASSING: AtomicBool = AtomicBool::new(false);

/// Says something. That nobody listens is no reason to stop, and `eprintln!` would.
pub(super) fn say(line: impl Display) {
    hush();
    let _ = writeln!(io::stderr(), "{line}");
}

/// Says what holds until something else is said, in a line that is written over.
pub(super) fn say_for_now(line: impl Display) {
    PASSING.store(true, Ordering::Relaxed);
    let _ = write!(io::stderr(), "{CLEAR}{line}");
}

/// Takes back what held until now.
pub(super) fn hush() {
    if PASSING.swap(false, Ordering::Relaxed) {
        let _ = write!(io::stderr(), "{CLEAR}");
    }
}
