//! The threads that run a graph.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use super::MOST_IMAGES;
use super::cut::{Piece, cut};
use super::plan::Plan;

/// The fewest images of a thread's share where most of the work is in dense layers: each reads all weights.
const DENSE_SHARE: usize = 16;
/// The fewest operations of a share.
const SHARE: u64 = 1_000_000;
/// The fewest operations of one image for each of the threads that share it: they take a moment to wake.
const PART: u64 = 7_500_000;
/// The most images for every thread where it counts that each would read all weights.
const MOST_SHARED: usize = 128;
/// How long a thread waits awake for a piece of what is being computed, or for one that has taken the last.
const PATIENCE: Duration = Duration::from_micros(200);

/// Threads, and what a graph gives them to do: settled when it is loaded.
pub(super) struct Crew {
    threads: usize,
    /// Operations for one image.
    work: u64,
    /// The fewest images of a share.
    least: usize,
    /// The threads that share one image, and the pieces of every step for them.
    team: usize,
    pieces: Vec<Vec<Piece>>,
    /// The pieces of every step for threads that share a group of images: where all layers are dense, so that each
    /// thread reads some of the weights instead of all.
    grouped: Vec<Vec<Piece>>,
    /// The threads beside the caller's, once there was something for them.
    pool: Option<Arc<Pool>>,
}

/// Threads that sleep until there is something for them.
struct Pool {
    threads: ThreadPool,
    /// How many wait awake for pieces of what is being computed.
    awake: Arc<AtomicUsize>,
}

/// The pools that are in use: graphs for as many threads share them, as a model's two do.
static POOLS: Mutex<Vec<Weak<Pool>>> = Mutex::new(vec![]);

/// The caller's thread and those that are awake to help it.
pub(super) struct Team<'a>(&'a Pool);

impl Crew {
    pub(super) fn new(plan: &Plan, threads: usize) -> Self {
        let flops = |dense: bool| -> u64 {
            let steps = plan.steps.iter().filter(|step| step.op.is_dense() == dense);
            steps.map(|step| step.flops).sum()
        };
        let (dense, windowed) = (flops(true), flops(false));
        let (pieces, shared) = if threads > 1 { cut(plan, 1, threads) } else { (vec![], 0) };
        let (grouped, _) = match threads > 1 && windowed == 0 {
            true => cut(plan, MOST_IMAGES, threads),
            false => (vec![], 0),
        };
        Self {
            threads,
            work: dense + windowed,
            least: if dense > windowed { DENSE_SHARE } else { 1 },
            team: (shared / PART).clamp(1, threads as u64) as usize,
            pieces,
            grouped,
            pool: None,
        }
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// The threads that a batch is worth sharing among.
    pub(super) fn shares(&self, images: usize) -> usize {
        let work = images as u64 * self.work / SHARE;
        (images / self.least).min(work as usize).clamp(1, self.threads)
    }

    /// The threads that share an image, or one group of images after the other; 1 where a thread has images of its
    /// own.
    fn team(&self, images: usize) -> usize {
        let work = images as u64 * self.work / PART;
        match images {
            0 => 1,
            1 => self.team,
            _ if self.grouped.is_empty() || images > self.threads * MOST_SHARED => 1,
            _ => work.clamp(1, self.threads as u64) as usize,
        }
    }

    /// The pieces of every step, for a batch that is worth sharing so.
    pub(super) fn pieces(&self, images: usize) -> Option<&[Vec<Piece>]> {
        let pieces = if images == 1 { &self.pieces } else { &self.grouped };
        (self.team(images) > 1).then_some(pieces)
    }

    /// Starts the threads, where they have not been started.
    pub(super) fn start(&mut self) -> Result<(), String> {
        if self.pool.is_none() {
            let pool = Pool::of(self.threads - 1);
            self.pool = Some(pool.map_err(|e| format!("its threads cannot be started: {e}"))?);
        }
        Ok(())
    }

    /// Runs every share on a thread of its own, the first on the caller's.
    pub(super) fn each<T: Send>(&self, shares: &mut [T], run: impl Fn(&mut T) + Send + Sync) {
        let (Some(pool), Some((own, others))) = (&self.pool, shares.split_first_mut()) else {
            return shares.iter_mut().for_each(run);
        };
        let (run, left) = (&run, &AtomicUsize::new(others.len()));
        pool.threads.in_place_scope(|scope| {
            for share in others {
                scope.spawn(move |_| {
                    run(share);
                    left.fetch_sub(1, Ordering::Release);
                });
            }
            run(own);
            wait(|| left.load(Ordering::Acquire) > 0);
        });
    }

    /// Runs what shares the pieces of so many images with a team. Its threads are woken now: between two steps
    /// there is no time for it.
    pub(super) fn together(&self, images: usize, run: impl FnOnce(Option<&Team>)) {
        let Some(pool) = &self.pool else { return run(None) };
        for _ in pool.awake.load(Ordering::Relaxed)..self.team(images) - 1 {
            let awake = Arc::clone(&pool.awake);
            pool.threads.spawn(move || help(&awake));
        }
        run(Some(&Team(pool)));
    }
}

impl Pool {
    /// The pool of so many threads.
    fn of(threads: usize) -> Result<Arc<Self>, ThreadPoolBuildError> {
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        let as_many = |pool: &Arc<Self>| pool.threads.current_num_threads() == threads;
        if let Some(pool) = pools.iter().filter_map(Weak::upgrade).find(as_many) {
            return Ok(pool);
        }
        let builder = ThreadPoolBuilder::new().num_threads(threads);
        let pool = Arc::new(Self { threads: builder.build()?, awake: Arc::default() });
        pools.push(Arc::downgrade(&pool));
        Ok(pool)
    }
}

impl Team<'_> {
    /// Runs all pieces of a step, each by whichever thread is free and awake.
    pub(super) fn share<T: Send>(&self, pieces: Vec<T>, run: impl Fn(T) + Send + Sync) {
        let (queue, at_work) = (&Mutex::new(pieces.into_iter()), &AtomicUsize::new(0));
        let take = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let (take, run) = (&take, &run);
        self.0.threads.in_place_scope(|scope| {
            let mut helping = 0;
            while let Some(piece) = take() {
                // Who wakes later takes what is left then.
                while helping < self.0.awake.load(Ordering::Relaxed) {
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

/// Takes pieces until there were none for a while.
fn help(awake: &AtomicUsize) {
    awake.fetch_add(1, Ordering::Relaxed);
    let mut last = Instant::now();
    while last.elapsed() < PATIENCE {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => last = Instant::now(),
            _ => std::hint::spin_loop(),
        }
    }
    awake.fetch_sub(1, Ordering::Relaxed);
}

/// Waits awake for others, but not for long.
fn wait(going_on: impl Fn() -> bool) {
    let begin = Instant::now();
    while going_on() && begin.elapsed() < PATIENCE {
        std::hint::spin_loop();
    }
}
