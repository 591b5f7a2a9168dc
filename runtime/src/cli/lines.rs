//! Lines of data on standard output.

use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};

use anyhow::{Context, Result};
use serde::Serialize;

use super::options::Format;

/// Standard output, one line for each thing reported.
///
/// Where nobody reads any more, lines are dropped in silence: files may still be wanted.
pub(super) struct Lines {
    out: Option<BufWriter<StdoutLock<'static>>>,
    format: Format,
}

impl Lines {
    pub(super) fn new(format: Format) -> Self {
        Self { out: Some(BufWriter::new(io::stdout().lock())), format }
    }

    /// Lines that nobody asked for.
    pub(super) fn none(format: Format) -> Self {
        Self { out: None, format }
    }

    /// Whether lines are read by anyone.
    pub(super) fn wanted(&self) -> bool {
        self.out.is_some()
    }

    /// Prints an object as JSON, or as the text that `text` makes of it.
    pub(super) fn print<T: Serialize>(
        &mut self,
        line: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        match self.format {
            Format::Json => self.attempt(|out| {
                serde_json::to_writer(&mut *out, line)?;
                writeln!(out)
            }),
            Format::Text => {
                let line = text(line);
                self.attempt(|out| writeln!(out, "{line}"))
            }
        }
    }

    /// Brings what was printed to its reader.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.attempt(|out| out.flush())
    }

    fn attempt(
        &mut self,
        write: impl FnOnce(&mut BufWriter<StdoutLock>) -> io::Result<()>,
    ) -> Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        match write(out) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                // Dropping the writer would try, and fail, to write what it still holds.
                if let Some(out) = self.out.take() {
                    let _ = out.into_parts();
                }
                Ok(())
            }
            other => other.context("standard output"),
        }
    }
}
