//! SIGINT and SIGTERM end a command after the images that are under way, or without what it has begun to write.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use vae_infer::write;

/// How long a signal goes unnoticed.
pub(super) const NOTICED: Duration = Duration::from_millis(100);

/// The signals that have come since they were watched.
#[derive(Clone)]
pub(super) struct Signals {
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Watches for signals. A second one ends the process at once.
    pub(super) fn watch() -> Result<Self> {
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&again))?;
            flag::register(signal, Arc::clone(&again))?;
        }
        Self::noted()
    }

    /// Notes the last signal.
    fn noted() -> Result<Self> {
        let last = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM] {
            flag::register_usize(signal, Arc::clone(&last), signal as usize)?;
        }
        Ok(Self { last })
    }

    /// Has a signal end the process as it does without this, and without what is begun to be written.
    pub(super) fn abandon() -> Result<()> {
        let signals = Self::noted()?;
        let end = move || {
            while signals.received().is_none() {
                thread::sleep(NOTICED);
            }
            write::abandon();
            low_level::emulate_default_handler(signals.last.load(Ordering::Relaxed) as i32)
        };
        thread::Builder::new().name("signals".into()).spawn(end)?;
        Ok(())
    }

    /// The exit code after the signal that has come, if one has.
    pub(super) fn received(&self) -> Option<ExitCode> {
        let signal = self.last.load(Ordering::Relaxed);
        (signal != 0).then(|| ExitCode::from(128 + signal as u8))
    }
}
