//! The threads that run a graph.

use std::sync::Arc;

use super::cut::{Piece, cut};
use super::plan::Plan;
use super::threads::{Taken, Threads};

/// The fewest images of a thread's share where most of the work is in dense layers: each reads all weights.
const DENSE_SHARE: usize = 8;
/// The fewest operations of a share.
const SHARE: u64 = 1_000_000;
/// The fewest operations of one image for each of the threads that share it: they take a moment to wake.
const PART: u64 = 7_500_000;

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
        Self {
            threads,
            work: dense + windowed,
            least: if dense > windowed { DENSE_SHARE } else { 1 },
            team: (shared / PART).clamp(1, threads as u64) as usize,
            pieces,
            kept: None,
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
