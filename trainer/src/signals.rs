//! SIGINT and SIGTERM end a run after the step that is under way, and other work at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use vae_infer::write;

/// How often work that a signal ends at once is looked after.
const WATCH: Duration = Duration::from_millis(20);

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

    /// Does work that leaves nothing where a signal comes before it is done: the process then ends,
    /// without the folders that it was filling.
    pub fn interruptible<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let worker = std::thread::spawn(work);
        while !worker.is_finished() {
            if let Some(signal) = self.received() {
                write::abandon();
                low_level::exit(128 + signal);
            }
            std::thread::sleep(WATCH);
        }
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
