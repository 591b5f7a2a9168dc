//! Files on their way to the disk: threads encode and write them while the next images are computed.

use std::collections::VecDeque;

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, bounded};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::options::BATCH;

/// The files that wait to be written, each with its picture.
const WAITING: usize = 2 * BATCH;

/// Threads that write files. What goes wrong with one of them is said in the order in which they came.
pub(super) struct Writers {
    threads: ThreadPool,
    /// What becomes of the files that are not known to be written.
    waiting: VecDeque<Receiver<Result<()>>>,
}

impl Writers {
    /// So many threads.
    pub(super) fn new(threads: usize) -> Result<Self> {
        let threads = ThreadPoolBuilder::new().num_threads(threads).build();
        let threads = threads.context("no thread can be started to write files")?;
        Ok(Self { threads, waiting: VecDeque::new() })
    }

    /// Has a file written, when there is room for it to wait; says what is wrong with an earlier one.
    pub(super) fn write(
        &mut self,
        file: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Result<()> {
        if self.waiting.len() == WAITING {
            self.first()?;
        }
        let (written, outcome) = bounded(1);
        self.waiting.push_back(outcome);
        self.threads.spawn(move || {
            // Where nobody waits for it, an earlier one went wrong.
            let _ = written.send(file());
        });
        Ok(())
    }

    /// Waits until all are written.
    pub(super) fn finish(mut self) -> Result<()> {
        while !self.waiting.is_empty() {
            self.first()?;
        }
        Ok(())
    }

    /// Waits for the first of those that wait.
    fn first(&mut self) -> Result<()> {
        let Some(outcome) = self.waiting.pop_front() else { return Ok(()) };
        outcome.recv().context("a thread that writes files broke down")?
    }
}

impl Drop for Writers {
    /// Waits for those that are under way: whoever removes their folder must find it at rest.
    fn drop(&mut self) {
        for outcome in self.waiting.drain(..) {
            let _ = outcome.recv();
        }
    }
}
