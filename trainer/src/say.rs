//! Lines of talk on standard error.

use std::fmt::Display;
use std::io::{self, Write};

/// Says something. That nobody listens is no reason to stop, and `eprintln!` would: a run outlives its terminal.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
