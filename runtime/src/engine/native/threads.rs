//! Threads that compute beside the caller's.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::panics;

/// How long a thread waits awake for a piece of what is being computed, or for one that has taken the last.
const PATIENCE: Duration = Duration::from_micros(200);

/// Threads that sleep until there is something for them.
pub(super) struct Threads {
    pool: ThreadPool,
    /// Whether a call has them.
    taken: AtomicBool,
    helpers: Arc<Helpers>,
}

/// Those of the threads that take pieces of a step.
#[derive(Default)]
struct Helpers {
    /// They were called, and have not gone.
    called: AtomicUsize,
    /// They wait for a piece, or compute one.
    awake: AtomicUsize,
}

thread_local! {
    /// Whether this thread is one of them.
    static HELPS: Cell<bool> = const { Cell::new(false) };
}

/// Threads for the time of a call.
pub(super) struct Taken(Arc<Threads>);

/// The caller's thread and some that help it.
pub(super) struct Team<'a> {
    threads: &'a Threads,
    size: usize,
}

/// All that there are. The two graphs of a model take the same ones in turn, and calls at the same time others.
static KNOWN: Mutex<Vec<Weak<Threads>>> = Mutex::new(vec![]);

impl Taken {
    /// As many threads as are wanted beside the caller's, which no other call has.
    pub(super) fn new(count: usize) -> Result<Self, ThreadPoolBuildError> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|threads| threads.strong_count() > 0);
        let fits = |threads: &Arc<Threads>| {
            let as_many = threads.pool.current_num_threads() == count;
            as_many && !threads.taken.swap(true, Ordering::Acquire)
        };
        if let Some(threads) = known.iter().filter_map(Weak::upgrade).find(fits) {
            return Ok(Self(threads));
        }
        let pool = ThreadPoolBuilder::new().num_threads(count).start_handler(|_| panics::silence());
        let (taken, helpers) = (AtomicBool::new(true), Arc::default());
        let threads = Arc::new(Threads { pool: pool.build()?, taken, helpers });
        known.push(Arc::downgrade(&threads));
        Ok(Self(threads))
    }

    /// What keeps the threads for the next call.
    pub(super) fn threads(&self) -> Arc<Threads> {
        Arc::clone(&self.0)
    }

    /// Runs all pieces on up to so many threads, the caller's among them. The others stay awake for a while, as the
    /// model's other graph comes next.
    pub(super) fn share<T: Send>(
        &self,
        threads: usize,
        pieces: Vec<T>,
        run: impl Fn(T) + Send + Sync,
    ) {
        self.0.call(threads - 1);
        self.0.share(|| threads - 1, pieces, run);
    }

    /// The caller's thread with others, which are woken now: within a step there is no time for it.
    pub(super) fn team(&self, size: usize) -> Team<'_> {
        self.0.call(size - 1);
        Team { threads: &self.0, size }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
    }
}

impl Threads {
    /// Calls as many helpers as are wanted, where some of them have gone or never came. Every thread is asked: of calls
    /// that any may take, one that is awake would take them all.
    fn call(&self, count: usize) {
        let helpers = &self.helpers;
        if helpers.called.load(Ordering::Relaxed) < count {
            helpers.called.store(count, Ordering::Relaxed);
            let helpers = Arc::clone(helpers);
            self.pool.spawn_broadcast(move |_| helpers.help(count));
        }
    }

    /// Runs all pieces, each by whichever thread is free: the caller's, or one of as many as help at the time.
    fn share<T: Send>(
        &self,
        helpers: impl Fn() -> usize,
        pieces: Vec<T>,
        run: impl Fn(T) + Send + Sync,
    ) {
        let most = pieces.len().saturating_sub(1);
        let (queue, at_work) = (&Mutex::new(pieces.into_iter()), &AtomicUsize::new(0));
        let take = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let (take, run) = (&take, &run);
        self.pool.in_place_scope(|scope| {
            let mut helping = 0;
            while let Some(piece) = take() {
                // Who comes later takes what is left then.
                while helping < helpers().min(most) {
                    helping += 1;
                    at_work.fetch_add(1, Ordering::Relaxed);
                    scope.spawn(move |_| {
                        while let Some(piece) = take() {
                            run(piece);
                        }
                        at_work.fetch_sub(1, Ordering::Release);
                    });
                }
                run(piece);
            }
            wait(|| at_work.load(Ordering::Acquire) > 0);
        });
    }
}

impl Team<'_> {
    /// Runs all pieces of a step, each by whichever thread is free and awake.
    pub(super) fn share<T: Send>(&self, pieces: Vec<T>, run: impl Fn(T) + Send + Sync) {
        self.threads.call(self.size - 1);
        let awake = &self.threads.helpers.awake;
        self.threads.share(|| awake.load(Ordering::Relaxed), pieces, run);
    }
}

impl Helpers {
    /// Takes pieces until there were none for a while, where there are not as many helpers as are wanted.
    fn help(&self, wanted: usize) {
        if HELPS.get() {
            return;
        }
        let join = |awake| (awake < wanted).then_some(awake + 1);
        if self.awake.fetch_update(Ordering::Relaxed, Ordering::Relaxed, join).is_err() {
            return;
        }
        HELPS.set(true);
        let mut last = Instant::now();
        while last.elapsed() < PATIENCE {
            match rayon::yield_now() {
                Some(rayon::Yield::Executed) => last = Instant::now(),
                _ => std::hint::spin_loop(),
            }
        }
        HELPS.set(false);
        self.awake.fetch_sub(1, Ordering::Relaxed);
        // Others may have been called and gone in the meantime.
        let leave = |called: usize| called.checked_sub(1);
        let _ = self.called.fetch_update(Ordering::Relaxed, Ordering::Relaxed, leave);
    }
}

/// Waits awake for others, but not for long.
fn wait(going_on: impl Fn() -> bool) {
    let begin = Instant::now();
    while going_on() && begin.elapsed() < PATIENCE {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::caught;
    use super::*;

    #[test]
    fn calls_at_the_same_time_have_threads_of_their_own() {
        let first = Taken::new(3).expect("threads");
        let second = Taken::new(3).expect("threads");
        assert!(!Arc::ptr_eq(&first.0, &second.0));
        let kept = first.threads();
        drop(first);
        let third = Taken::new(3).expect("threads");
        assert!(Arc::ptr_eq(&kept, &third.0), "those that are free are taken");
    }

    #[test]
    fn helpers_are_called_once_and_go() {
        let taken = Taken::new(3).expect("threads");
        let helpers = &taken.0.helpers;
        let mut most = 0;
        for _ in 0..100 {
            taken.share(4, vec![0; 9], drop);
            taken.team(3).share(vec![0; 9], drop);
            most = most.max(helpers.awake.load(Ordering::Relaxed));
        }
        assert!(most <= 3, "{most} of three threads help");
        while [&helpers.called, &helpers.awake].iter().any(|n| n.load(Ordering::Relaxed) > 0) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_team_computes_every_piece_once_and_its_panic_is_the_callers() {
        let taken = Taken::new(2).expect("threads");
        let team = taken.team(3);
        for pieces in [1, 2, 3, 50] {
            let done: Vec<AtomicUsize> = (0..pieces).map(|_| AtomicUsize::new(0)).collect();
            team.share(done.iter().collect(), |piece: &AtomicUsize| {
                piece.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(100));
            });
            assert!(done.iter().all(|piece| piece.load(Ordering::Relaxed) == 1), "{pieces}");
        }
        let broken = caught(|| team.share(vec![0; 9], |_| panic!("a piece")));
        assert_eq!(broken, Err("the engine gave up: a piece".into()));
        let broken = caught(|| taken.share(3, vec![0; 9], |_| panic!("a share")));
        assert_eq!(broken, Err("the engine gave up: a share".into()));
        let done = AtomicUsize::new(0);
        taken.share(3, vec![1; 9], |share| {
            done.fetch_add(share, Ordering::Relaxed);
        });
        assert_eq!(done.into_inner(), 9);
    }
}
