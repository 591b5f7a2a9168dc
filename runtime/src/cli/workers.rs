//! Batches that threads work on while those before them are taken.

use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result};
use crossbeam_channel::bounded;

/// Bytes of a batch's images that a cache keeps from one step of their way to the next; with more, every step waits for
/// memory, and the allocator for pages.
const CACHED: usize = 4 << 20;
/// The fewest images of a batch for that: dense layers read their weights once for all of them.
const FEWEST: usize = 8;

/// What works on batches: one for every thread that computes, or a single one that shares each batch out.
pub(super) struct Workers<W> {
    workers: Vec<W>,
    /// The most images that one of them has at a time.
    pub(super) most: usize,
}

impl<W: Send> Workers<W> {
    /// For so many images at least, `bytes` each where a batch is to stay in a cache, of which `batch` may be under
    /// way; `apart` makes the worker's like for every thread.
    ///
    /// Those of one thread each have together as many images as one batch has otherwise, or fewer that are large:
    /// nothing waits for the slowest of them. Fewer images are one batch, which the engine shares out.
    pub(super) fn new(
        whole: W,
        apart: impl FnOnce(&W) -> Vec<W>,
        batch: usize,
        images: usize,
        bytes: Option<usize>,
    ) -> Self {
        let large = bytes.map_or(batch, |bytes| (CACHED / bytes).max(FEWEST));
        let apart = if images < 2 * FEWEST { vec![] } else { apart(&whole) };
        let enough = apart.len() > 1 && images >= apart.len() * FEWEST;
        let workers = if enough { apart } else { vec![whole] };
        let most = (batch / workers.len()).min(large).max(1);
        Self { workers, most }
    }

    /// Has batches worked on, and taken in their order until there are no more, or none is wanted.
    pub(super) fn run<B: Send, T: Send>(
        self,
        batches: impl Iterator<Item = Result<B>> + Send,
        work: impl Fn(&mut W, B) -> Result<T> + Sync,
        mut take: impl FnMut(T) -> Result<bool>,
    ) -> Result<()> {
        let batches = Mutex::new(batches);
        thread::scope(|scope| {
            let (order, places) = bounded(self.workers.len());
            for mut worker in self.workers {
                let (batches, work, order) = (&batches, &work, order.clone());
                scope.spawn(move || {
                    loop {
                        let Ok(mut batches) = batches.lock() else { return };
                        let Some(batch) = batches.next() else { return };
                        // It has its place before the next one is asked for.
                        let (done, place) = bounded(1);
                        if order.send(place).is_err() {
                            return;
                        }
                        drop(batches);
                        // Where nobody takes it any more, neither will anybody take the next one.
                        let _ = done.send(batch.and_then(|batch| work(&mut worker, batch)));
                    }
                });
            }
            drop(order);
            for place in places {
                let done = place.recv().context("a thread that works on images broke down")?;
                if !take(done?)? {
                    break;
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    /// Workers that count what they did.
    fn workers(threads: usize, images: usize) -> Workers<usize> {
        Workers::new(0, |_| vec![0; threads], 64, images, None)
    }

    #[test]
    fn few_images_are_one_batch_and_large_ones_are_small_batches() {
        let of = |workers: Workers<_>| (workers.workers.len(), workers.most);
        assert_eq!(of(workers(2, 15)), (1, 64));
        assert_eq!(of(workers(2, 16)), (2, 32));
        assert_eq!(of(workers(4, 31)), (1, 64));
        assert_eq!(of(workers(0, 1000)), (1, 64), "an engine that cannot be shared");
        let large = |bytes| Workers::new(0, |_| vec![0; 2], 64, 1000, Some(bytes)).most;
        assert_eq!([large(1), large(CACHED / 20), large(CACHED)], [32, 20, FEWEST]);
    }

    #[test]
    fn what_is_done_is_taken_in_order_up_to_the_first_error() {
        for threads in [0, 2, 3] {
            let mut taken = vec![];
            let batches = (0..100).map(|i| if i == 70 { bail!("broken") } else { Ok(i) });
            let work = |done: &mut usize, i: u64| {
                thread::sleep(std::time::Duration::from_micros(i % 7 * 50));
                *done += 1;
                Ok(i * i)
            };
            let ended = workers(threads, 100).run(batches, work, |square| {
                taken.push(square);
                Ok(true)
            });
            assert_eq!(ended.map_err(|e| e.to_string()), Err("broken".into()));
            assert_eq!(taken, (0..70).map(|i| i * i).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_more_is_done_than_is_wanted() -> Result<()> {
        let (asked, mut taken) = (Mutex::new(0), 0);
        let batches = std::iter::from_fn(|| {
            *asked.lock().ok()? += 1;
            Some(Ok(()))
        });
        workers(2, 100).run(
            batches,
            |_, ()| Ok(()),
            |()| {
                taken += 1;
                Ok(taken < 5)
            },
        )?;
        let asked = asked.into_inner()?;
        assert!(taken == 5 && asked < 5 + 2 * 2 + 2, "{asked} were asked for");
        Ok(())
    }
}
