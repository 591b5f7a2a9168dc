//! The threads that run a graph.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::ThreadPool;
use rayon::prelude::*;

use super::cut::{Piece, cut};
use super::plan::Plan;

/// The fewest images of a thread's share where most of the work is in dense layers: each reads all weights.
const DENSE_SHARE: usize = 16;
/// The fewest operations of a share.
const SHARE: u64 = 1_000_000;
/// The fewest operations of one image for each of the threads that share it: they take a moment to wake.
const PART: u64 = 7_500_000;
/// How long a thread waits awake for a piece of the image that is being computed.
const PATIENCE: Duration = Duration::from_micros(50);

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
    /// Threads that sleep until there is something for them, once there was.
    pool: Option<ThreadPool>,
    /// Whether an image is being computed together.
    busy: Arc<AtomicBool>,
}

impl Crew {
    pub(super) fn new(plan: &Plan, threads: usize) -> Self {
        let flops = |dense: bool| -> u64 {
            let steps = plan.steps.iter().filter(|step| step.op.is_dense() == dense);
            steps.map(|step| step.flops).sum()
        };
        let (dense, windowed) = (flops(true), flops(false));
        let (pieces, shared) = if threads > 1 { cut(plan, threads) } else { (vec![], 0) };
        Self {
            threads,
            work: dense + windowed,
            least: if dense > windowed { DENSE_SHARE } else { 1 },
            team: (shared / PART).clamp(1, threads as u64) as usize,
            pieces,
            pool: None,
            busy: Arc::default(),
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

    /// The pieces of every step, for a batch that is one image and worth sharing.
    pub(super) fn pieces(&self, images: usize) -> Option<&[Vec<Piece>]> {
        (images == 1 && self.team > 1).then_some(&self.pieces)
    }

    /// Starts the threads, where they have not been started.
    pub(super) fn start(&mut self) -> Result<(), String> {
        if self.pool.is_none() {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build();
            self.pool = Some(pool.map_err(|e| format!("its threads cannot be started: {e}"))?);
        }
        Ok(())
    }

    /// Runs every share on a thread of its own.
    pub(super) fn each<T: Send>(&self, shares: &mut [T], run: impl Fn(&mut T) + Send + Sync) {
        match &self.pool {
            Some(pool) => pool.install(|| shares.par_iter_mut().for_each(run)),
            None => shares.iter_mut().for_each(run),
        }
    }

    /// Runs what shares its pieces among the threads of a team. They are woken now: between two steps there is
    /// no time for it.
    pub(super) fn together(&self, run: impl FnOnce() + Send) {
        let Some(pool) = &self.pool else { return run() };
        pool.install(|| {
            let leader = rayon::current_thread_index();
            self.busy.store(true, Ordering::Relaxed);
            for _ in 1..self.team {
                let busy = Arc::clone(&self.busy);
                rayon::spawn(move || {
                    if rayon::current_thread_index() != leader {
                        help(&busy);
                    }
                });
            }
            run();
            self.busy.store(false, Ordering::Relaxed);
        });
    }
}

/// Takes pieces until the image is done, or there were none for a while.
fn help(busy: &AtomicBool) {
    let mut last = Instant::now();
    while busy.load(Ordering::Relaxed) && last.elapsed() < PATIENCE {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => last = Instant::now(),
            _ => std::hint::spin_loop(),
        }
    }
}
