//! Batches that threads work on while those before them are taken.

use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, bail};
use crossbeam_channel::bounded;

use super::source::BATCH_BYTES;

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
    /// For about so many images of `bytes` each, of which `batch` may go through a model at once; `per_thread` makes
    /// workers like the first one, of one thread each.
    ///
    /// Those have together as many images as one batch has otherwise, or fewer that are large: nothing waits for
    /// the slowest of them. Few images, and very large ones, are one batch, which the engine shares out.
    pub(super) fn new(
        whole: W,
        per_thread: impl FnOnce(&W) -> Vec<W>,
        batch: usize,
        images: usize,
        bytes: usize,
    ) -> Self {
        let apart = if images < 2 * FEWEST { vec![] } else { per_thread(&whole) };
        let roomy = |workers: usize| workers * bytes <= BATCH_BYTES && images >= workers * FEWEST;
        let workers = if apart.len() > 1 && roomy(apart.len()) { apart } else { vec![whole] };
        let each = |all: usize| all / workers.len();
        let large = (CACHED / bytes).max(FEWEST);
        let share = images.div_ceil(workers.len()).max(FEWEST);
        let most = each(batch).min(each(BATCH_BYTES / bytes)).min(large).min(share).max(1);
        Self { workers, most }
    }

    /// Has batches worked on, and taken in their order until there are no more, or none is wanted.
    pub(super) fn run<B: Send, T: Send>(
        self,
        batches: impl Iterator<Item = Result<B>> + Send,
        work: impl Fn(&mut W, B) -> Result<T> + Sync,
        mut take: impl FnMut(T) -> Result<bool>,
    ) -> Result<()> {
        const BROKEN: &str = "a thread that works on images broke down";
        let batches = Mutex::new(batches);
        thread::scope(|scope| {
            let (order, places) = bounded(self.workers.len());
            let mut threads = vec![];
            for mut worker in self.workers {
                let (batches, work, order) = (&batches, &work, order.clone());
                let work = move || {
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
                };
                let thread = thread::Builder::new().name("work".into()).spawn_scoped(scope, work);
                threads.push(thread.context("no thread can be started to work on images")?);
            }
            drop(order);
            let mut taken = Ok(());
            for place in places {
                let wanted = place.recv().context(BROKEN).and_then(|done| take(done?));
                if !matches!(wanted, Ok(true)) {
                    taken = wanted.map(drop);
                    break;
                }
            }
            // All of them are waited for: the scope panics with one that is not.
            let broken = threads.into_iter().filter_map(|thread| thread.join().err()).count();
            taken.and_then(|()| if broken == 0 { Ok(()) } else { bail!(BROKEN) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Workers that count what they did.
    fn workers(threads: usize, images: usize) -> Workers<usize> {
        Workers::new(0, |_| vec![0; threads], 64, images, 1)
    }

    #[test]
    fn few_images_are_one_batch_and_large_ones_are_small_batches() {
        let of = |workers: Workers<_>| (workers.workers.len(), workers.most);
        assert_eq!(of(workers(2, 5)), (1, 8));
        assert_eq!(of(workers(2, 15)), (1, 15));
        assert_eq!(
            [16, 33, 63, 64, 1000].map(|images| of(workers(2, images)).1),
            [8, 17, 32, 32, 32]
        );
        assert_eq!(of(workers(4, 31)), (1, 31));
        assert_eq!(of(workers(4, 32)), (4, 8));
        assert_eq!(of(workers(0, 1000)), (1, 64), "an engine that cannot be shared");
        let large = |threads, bytes| of(Workers::new(0, |_| vec![0; threads], 64, 1000, bytes));
        assert_eq!(large(2, CACHED / 20), (2, 20));
        assert_eq!(large(2, CACHED), (2, FEWEST));
        assert_eq!(large(8, BATCH_BYTES / 16), (8, 2));
        assert_eq!(large(8, BATCH_BYTES / 7), (1, 7));
        assert_eq!(large(8, 2 * BATCH_BYTES), (1, 1));
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
        let take = |()| {
            taken += 1;
            Ok(taken < 5)
        };
        workers(2, 100).run(batches, |_, ()| Ok(()), take)?;
        let asked = asked.into_inner()?;
        assert!(taken == 5 && asked < 5 + 2 * 2 + 2, "{asked} were asked for");
        Ok(())
    }

    #[test]
    fn a_worker_or_a_source_that_panics_is_an_error() {
        let work = |_: &mut usize, i: u32| if i == 3 { panic!("a worker") } else { Ok(i) };
        let of_worker = workers(2, 100).run((0..9).map(Ok), work, |_| Ok(true));
        let batches = (0..9_u32).map(|i| if i == 3 { panic!("a source") } else { Ok(i) });
        let of_source = workers(2, 100).run(batches, |_, i| Ok(i), |_| Ok(true));
        for ended in [of_worker, of_source] {
            let error = ended.expect_err("a thread broke down").to_string();
            assert!(error.ends_with("broke down"), "{error}");
        }
    }
}
