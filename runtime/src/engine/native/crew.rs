//! The threads that run a graph.

use std::ops::Range;
use std::sync::Arc;

use super::cut::{BYTE, PIECES, Piece, cut, shared_out};
use super::plan::Plan;
use super::threads::{Taken, Threads};

/// The fewest images of a thread where most of the work is in dense layers, whose weights each reads.
const DENSE_SHARE: usize = 8;
/// A thread takes so many images at once, where there are enough, that their products take this many times as long as to
/// read the weights, and no more than this many.
const PRODUCTS: u64 = 32;
const AT_ONCE: usize = 16;
/// The fewest operations of a thread.
const SHARE: u64 = 1_000_000;
/// The fewest operations of one image for each of the threads that share it: they take a moment to wake.
const PART: u64 = 7_500_000;

/// Threads, and what a graph gives them to do: settled when it is loaded.
pub(super) struct Crew {
    threads: usize,
    /// Operations for one image.
    work: u64,
    /// The fewest images of a thread, and those that it takes at once.
    least: usize,
    at_once: usize,
    /// The threads that share one image, and the pieces of every step for them.
    team: usize,
    pieces: Vec<Vec<Piece>>,
    /// The threads of the last call, for the next one.
    kept: Option<Arc<Threads>>,
}

impl Crew {
    pub(super) fn new(plan: &Plan, threads: usize) -> Self {
        let flops = |dense: bool| -> u64 {
            let steps = plan.steps.iter().filter(|step| step.op.is_dense() == dense);
            steps.map(|step| step.flops).sum()
        };
        let (dense, windowed) = (flops(true), flops(false));
        let (pieces, shared) = if threads > 1 { cut(plan, threads) } else { (vec![], 0) };
        let work = dense + windowed;
        let weights: u64 = plan.steps.iter().map(|step| step.op.weights() as u64).sum();
        let at_once = (PRODUCTS * BYTE * weights).div_ceil(work.max(1));
        Self {
            threads,
            work,
            least: if dense > windowed { DENSE_SHARE } else { 1 },
            at_once: at_once.clamp(1, AT_ONCE as u64) as usize,
            team: (shared / PART).clamp(1, threads as u64) as usize,
            pieces,
            kept: None,
        }
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// The threads that a batch is worth sharing among, and its images by shares, of which they take the next one when they
    /// are free. Nothing where it is not worth sharing.
    pub(super) fn shares(&self, images: usize) -> Option<(usize, Vec<Range<usize>>)> {
        let worth = (images as u64 * self.work / SHARE) as usize;
        let threads = (images / self.least).min(worth).min(self.threads);
        if threads < 2 {
            return None;
        }
        // Of equal shares every thread takes as many.
        let each = (images / self.at_once / threads).clamp(1, PIECES as usize);
        let shares: Vec<_> = shared_out(images, each * threads, threads).collect();
        Some((threads.min(shares.len()), shares))
    }

    /// The threads that share an image; 1 where a thread has images of its own.
    pub(super) fn team(&self, images: usize) -> usize {
        if images == 1 { self.team } else { 1 }
    }

    /// The pieces of every step for such a team.
    pub(super) fn pieces(&self) -> &[Vec<Piece>] {
        &self.pieces
    }

    /// The threads of a call beside the caller's own.
    pub(super) fn take(&mut self) -> Result<Taken, String> {
        let taken = Taken::new(self.threads - 1);
        let taken = taken.map_err(|e| format!("its threads cannot be started: {e}"))?;
        self.kept = Some(taken.threads());
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    /// The lengths of the shares of so many images, which must follow one another from the first to the last.
    fn shares(crew: &Crew, images: usize) -> Vec<usize> {
        let Some((threads, shares)) = crew.shares(images) else { return vec![] };
        assert!(shares.iter().cloned().flatten().eq(0..images), "{shares:?}");
        assert!((2..=crew.threads.min(shares.len())).contains(&threads), "{threads}: {shares:?}");
        shares.into_iter().map(|share| share.len()).collect()
    }

    #[test]
    fn images_are_shared_by_all_threads_and_the_last_shares_are_small() {
        let crew = |threads, work, least, at_once| Crew {
            threads,
            work,
            least,
            at_once,
            team: 1,
            pieces: vec![],
            kept: None,
        };
        let windowed = crew(2, 5_000_000, 1, 1);
        assert_eq!(shares(&windowed, 1), NONE);
        assert_eq!(shares(&windowed, 3), [2, 1]);
        assert_eq!(shares(&windowed, 64), [16, 12, 9, 7, 5, 4, 4, 4, 3]);
        assert_eq!(shares(&crew(8, 5_000_000, 1, 4), 9), [2, 2, 2, 2, 1]);
        let dense = crew(2, 2_000_000, 8, 16);
        assert_eq!(shares(&dense, 15), NONE);
        assert_eq!(shares(&dense, 16), [8, 8]);
        assert_eq!(shares(&dense, 48), [24, 24]);
        assert_eq!(shares(&dense, 64), [16; 4]);
        assert_eq!(shares(&crew(4, 5_000_000, 1, 12), 64), [16; 4]);
        assert_eq!(shares(&crew(8, 100_000, 1, 1), 19), NONE, "too little to do");
        assert_eq!(shares(&crew(8, 100_000, 1, 1), 30)[..3], [5, 5, 4], "three threads");
        assert_eq!(shares(&crew(1, 5_000_000, 1, 1), 64), NONE);
    }
}
