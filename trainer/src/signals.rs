//! SIGINT and SIGTERM end a run after the step that is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The signals that have come since they were watched.
#[derive(Debug, Clone)]
pub struct Signals {
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Watches for signals. A second one ends the process at once.
    ///
    /// # Errors
    ///
    /// Where the system refuses.
    pub fn watch() -> Result<Self> {
        let (again, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&again))?;
            flag::register(signal, Arc::clone(&again))?;
            flag::register_usize(signal, Arc::clone(&last), signal as usize)?;
        }
        Ok(Self { last })
    }

    /// The number of the last signal, where one has come.
    pub fn received(&self) -> Option<i32> {
        let signal = self.last.load(Ordering::Relaxed);
        (signal != 0).then_some(signal as i32)
    }
}
