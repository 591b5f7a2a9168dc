//! Where images come from, batch by batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::inputs::Item;
use super::signals::{NOTICED, Signals};

/// A batch of this many bytes of pixels is full, whatever the number of its images.
pub(super) const BATCH_BYTES: usize = 256 << 20;

/// Images, with what is wrong in the place of one that cannot be read.
pub(super) type Batch = Vec<Result<Item>>;

/// Where images come from.
pub(super) trait Source: Send {
    /// The next images, at least one and at most so many; none at the end, or when a signal has come. An
    /// error is one of the source: no image comes after it.
    fn batch(&mut self, most: usize, signals: &Signals) -> Result<Option<Batch>>;

    /// Images that came and had to make room for others, where the source may drop some.
    fn dropped(&self) -> Option<usize> {
        None
    }

    /// Whether images may go on to come without end.
    const ENDLESS: bool;

    /// About how many images there are, of a source that has an end.
    fn about(&self) -> usize {
        usize::MAX
    }
}

/// Takes images as long as there are any and a batch of so many has room.
pub(super) fn full(most: usize, mut items: impl Iterator<Item = Result<Item>>) -> Batch {
    let (mut batch, mut bytes) = (vec![], 0);
    while batch.len() < most && bytes < BATCH_BYTES {
        let Some(item) = items.next() else { break };
        bytes += item.as_ref().map_or(0, Item::bytes);
        batch.push(item);
    }
    batch
}

/// Waits for what comes next; it has timed out where a signal comes before that.
pub(super) fn wait<T>(arrivals: &Receiver<T>, signals: &Signals) -> Result<T, RecvTimeoutError> {
    while signals.received().is_none() {
        match arrivals.recv_timeout(NOTICED) {
            Err(RecvTimeoutError::Timeout) => {}
            arrived => return arrived,
        }
    }
    Err(RecvTimeoutError::Timeout)
}

/// What another thread brings: an image, what is wrong with one, or the end of all of them.
enum Arrival {
    Image(Result<Item>),
    Broken(anyhow::Error),
}

/// Images that another thread brings, as far as there is room for them to wait.
pub(super) struct Queue {
    arrivals: Receiver<Arrival>,
    /// What is wrong with the source, once the images before it have been taken.
    broken: Option<anyhow::Error>,
    dropped: Option<Arc<AtomicUsize>>,
    /// The images that are still wanted.
    left: usize,
}

/// Where the other thread puts them.
pub(super) struct Inlet {
    arrivals: Sender<Arrival>,
    /// The other end and the number of images that were dropped, where the oldest makes room.
    oldest: Option<(Receiver<Arrival>, Arc<AtomicUsize>)>,
}

impl Queue {
    /// A queue in which `room` images wait. Where it is full, the thread that brings them waits, or
    /// with `drop` the oldest image is dropped. It ends after `most` images.
    pub(super) fn new(room: usize, drop: bool, most: Option<usize>) -> (Inlet, Self) {
        let (sender, arrivals) = bounded(room);
        let dropped = drop.then(Arc::default);
        let oldest = dropped.clone().map(|dropped| (arrivals.clone(), dropped));
        let left = most.unwrap_or(usize::MAX);
        (Inlet { arrivals: sender, oldest }, Self { arrivals, broken: None, dropped, left })
    }
}

impl Source for Queue {
    const ENDLESS: bool = true;

    fn batch(&mut self, most: usize, signals: &Signals) -> Result<Option<Batch>> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        if self.left == 0 {
            return Ok(None);
        }
        let Ok(first) = wait(&self.arrivals, signals) else { return Ok(None) };
        let arrivals = std::iter::once(first).chain(self.arrivals.try_iter()).take(self.left);
        let broken = &mut self.broken;
        let images = arrivals.map_while(|arrival| match arrival {
            Arrival::Image(item) => Some(item),
            Arrival::Broken(error) => {
                *broken = Some(error);
                None
            }
        });
        let batch = full(most, images);
        self.left -= batch.len();
        match (batch.is_empty(), self.broken.take()) {
            (true, Some(error)) => Err(error),
            (_, broken) => {
                self.broken = broken;
                Ok(Some(batch))
            }
        }
    }

    fn dropped(&self) -> Option<usize> {
        self.dropped.as_ref().map(|dropped| dropped.load(Ordering::Relaxed))
    }
}

impl Inlet {
    /// Puts an image into the queue; says whether anyone still takes them.
    pub(super) fn put(&self, item: Result<Item>) -> bool {
        self.send(Arrival::Image(item))
    }

    /// Ends the queue with what is wrong with the source.
    pub(super) fn end(&self, error: anyhow::Error) {
        self.send(Arrival::Broken(error));
    }

    fn send(&self, mut arrival: Arrival) -> bool {
        let Some((oldest, dropped)) = &self.oldest else {
            return self.arrivals.send(arrival).is_ok();
        };
        loop {
            match self.arrivals.try_send(arrival) {
                Ok(()) => return true,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(back)) => arrival = back,
            }
            if oldest.try_recv().is_ok() {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use image::DynamicImage;
    use vae_infer::images::{Picture, Pixels};

    use super::super::options::BATCH;
    use super::*;

    fn item(name: u32) -> Result<Item> {
        let pixels = Pixels::Integer(DynamicImage::new_luma8(1, 1));
        let name = name.to_string();
        Ok(Item { stem: name.clone().into(), picture: Picture { name, pixels } })
    }

    /// The names of a batch.
    fn names(batch: Option<Batch>) -> Vec<String> {
        let items = batch.into_iter().flatten();
        items.map(|item| item.map_or_else(|e| e.to_string(), |item| item.picture.name)).collect()
    }

    #[test]
    fn the_oldest_make_room_and_are_counted() -> Result<()> {
        let signals = Signals::watch()?;
        let (inlet, mut queue) = Queue::new(3, true, None);
        assert!((0..7).all(|name| inlet.put(item(name))));
        assert_eq!(names(queue.batch(BATCH, &signals)?), ["4", "5", "6"]);
        inlet.put(item(7));
        drop(inlet);
        assert_eq!(names(queue.batch(BATCH, &signals)?), ["7"]);
        assert_eq!(queue.dropped(), Some(4));
        assert!(queue.batch(BATCH, &signals)?.is_none());
        Ok(())
    }

    #[test]
    fn what_is_wrong_with_the_source_comes_after_its_images() -> Result<()> {
        let signals = Signals::watch()?;
        let (inlet, mut queue) = Queue::new(8, false, None);
        inlet.put(item(0));
        inlet.put(Err(anyhow!("a bad one")));
        inlet.end(anyhow!("it broke"));
        assert_eq!(names(queue.batch(BATCH, &signals)?), ["0", "a bad one"]);
        let error = queue.batch(BATCH, &signals).err().expect("it broke");
        assert_eq!((error.to_string(), queue.dropped()), ("it broke".into(), None));
        Ok(())
    }

    #[test]
    fn no_more_than_are_wanted_are_taken() -> Result<()> {
        let signals = Signals::watch()?;
        let (inlet, mut queue) = Queue::new(100, false, Some(66));
        assert!((0..100).all(|name| inlet.put(item(name))));
        assert_eq!(names(queue.batch(BATCH, &signals)?).len(), BATCH);
        assert_eq!(names(queue.batch(BATCH, &signals)?), ["64", "65"]);
        assert!(queue.batch(BATCH, &signals)?.is_none());
        drop(queue);
        assert!(!inlet.put(item(100)), "nobody takes them any more");
        Ok(())
    }
}
