//! SIGINT and SIGTERM end a command after the images that are under way, or without what it has begun to write.

use std::process::{self, ExitCode};
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
    /// Notes a signal. A second one ends the process.
    pub(super) fn watch() -> Result<Self> {
        Self::noting(1)
    }

    /// Has a signal end the process.
    pub(super) fn abandon() -> Result<()> {
        Self::noting(0).map(drop)
    }

    /// Notes so many signals. The next one ends the process as it does without this, and without what is begun to be
    /// written; should that take long, one more ends it at once.
    fn noting(noted: usize) -> Result<Self> {
        let (last, ending) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut came = vec![];
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&ending))?;
            flag::register_usize(signal, Arc::clone(&last), signal as usize)?;
            let this = Arc::new(AtomicBool::new(false));
            flag::register(signal, Arc::clone(&this))?;
            came.push((signal, this));
        }
        let end = move || {
            let next = || {
                loop {
                    let unseen = came.iter().find(|(_, came)| came.swap(false, Ordering::Relaxed));
                    match unseen {
                        Some(&(signal, _)) => return signal,
                        None => thread::sleep(NOTICED),
                    }
                }
            };
            for _ in 0..noted {
                next();
            }
            let signal = next();
            ending.store(true, Ordering::Relaxed);
            write::abandon();
            if cfg!(unix) {
                // It fails for signals that there are not.
                let _ = low_level::emulate_default_handler(signal);
            }
            process::exit(128 + signal)
        };
        thread::Builder::new().name("signals".into()).spawn(end)?;
        Ok(Self { last })
    }

    /// The exit code after the signal that has come, if one has.
    pub(super) fn received(&self) -> Option<ExitCode> {
        let signal = self.last.load(Ordering::Relaxed);
        (signal != 0).then(|| ExitCode::from(128 + signal as u8))
    }
}
