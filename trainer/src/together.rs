//! The CPU's threads in a training step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a thread waits awake for a part of the step.
const PATIENCE: Duration = Duration::from_micros(200);

/// Runs a step whose parts are shared among the threads of a pool, led by one of them. The others are woken now and
/// wait awake: between two parts there is no time to wake them.
pub(crate) fn together<T: Send>(step: impl FnOnce() -> T + Send) -> T {
    let busy = AtomicBool::new(true);
    rayon::scope(|scope| {
        let (leader, busy) = (rayon::current_thread_index(), &busy);
        scope.spawn_broadcast(move |_, thread| {
            if Some(thread.index()) != leader {
                help(busy);
            }
        });
        let result = step();
        busy.store(false, Ordering::Relaxed);
        result
    })
}

/// Takes parts until the step is done, or there were none for a while.
fn help(busy: &AtomicBool) {
    let mut last = Instant::now();
    while busy.load(Ordering::Relaxed) && last.elapsed() < PATIENCE {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => last = Instant::now(),
            _ => std::hint::spin_loop(),
        }
    }
}
