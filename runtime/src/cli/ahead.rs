//! Batches of files that are scored while those before them are taken.

use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result};
use crossbeam_channel::bounded;

use super::examine::{Examiner, Scored};
use super::signals::Signals;
use super::source::Source;

/// Bytes of a batch's images that a cache keeps from one step of their way to the next; with more, every step waits for
/// memory, and the allocator for pages.
const CACHED: usize = 4 << 20;
/// The fewest images of a batch for that: dense layers read their weights once for all of them.
const FEWEST: usize = 8;

/// Scores a source of so many files, and has batches taken in their order until there are no more, or none is
/// wanted.
///
/// Every thread that computes scores whole batches, together as many images as one batch has otherwise, or fewer that
/// are large: nothing waits for the slowest of them. Fewer files are one batch, whose images the engine shares out.
pub(super) fn score_ahead(
    source: &mut impl Source,
    files: usize,
    examiner: Examiner,
    signals: &Signals,
    mut take: impl FnMut(Vec<Result<Scored>>) -> Result<bool>,
) -> Result<()> {
    let batch = examiner.batch;
    let large = examiner.image_bytes().map_or(batch, |bytes| (CACHED / bytes).max(FEWEST));
    let apart = if files < 2 * FEWEST { vec![] } else { examiner.per_thread() };
    let enough = apart.len() > 1 && files >= apart.len() * FEWEST;
    let examiners = if enough { apart } else { vec![examiner] };
    let most = (batch / examiners.len()).min(large).max(1);
    let source = Mutex::new(source);
    thread::scope(|scope| {
        let (order, batches) = bounded(examiners.len());
        for mut examiner in examiners {
            let (source, order) = (&source, order.clone());
            scope.spawn(move || {
                loop {
                    let Ok(mut source) = source.lock() else { return };
                    let Some(batch) = source.batch(most, signals).transpose() else { return };
                    // It has its place before the next one is asked for.
                    let (scored, place) = bounded(1);
                    if order.send(place).is_err() {
                        return;
                    }
                    drop(source);
                    // Where nobody takes it any more, neither will anybody take the next one.
                    let _ = scored.send(batch.map(|batch| examiner.examine(batch)));
                }
            });
        }
        drop(order);
        for place in batches {
            let batch = place.recv().context("a thread that scores images broke down")?;
            if !take(batch?)? {
                break;
            }
        }
        Ok(())
    })
}
