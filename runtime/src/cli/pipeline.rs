//! Files on their way to a model: threads read, decode and prepare the next images while those before
//! them are computed.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::{thread, vec};

use anyhow::{Context, Result, anyhow};
use crossbeam_channel::{Receiver, RecvError, RecvTimeoutError, Sender, bounded, unbounded};
use vae_infer::ImageSpec;

use super::inputs::{File, Item};
use super::options::BATCH;
use super::progress::Progress;
use super::signals::Signals;
use super::source::{Batch, Source, full, wait};

/// Prepared images that wait, so that no batch has to.
const WAITING: usize = 2 * BATCH;
/// The most images that a thread hands over at once: a thread that wakes another one takes as long as
/// it takes to decode a small image.
const PART: usize = 8;
/// Parts of more bytes than this hold one image each.
const PART_BYTES: usize = 4 << 20;
/// Jobs are given out while the images that they may bring take no more than this, or one at a time.
const WAITING_BYTES: usize = 256 << 20;

/// The images of files, in the order of the files. After one that cannot be read, the next one follows.
///
/// Each job is a few files, and whichever thread is free takes the next one. What a job brings goes
/// through a channel of its own, and the channels are emptied in the order of the jobs. The number of
/// jobs that are given out bounds the number of images, however long one of them takes.
pub(super) struct Pipeline {
    files: Arc<[File]>,
    /// About how many images they hold.
    pub(super) about: usize,
    /// The files of a job.
    group: usize,
    /// The first file that is part of no job yet.
    next: usize,
    jobs: Sender<Job>,
    /// The jobs that are not done, in their order.
    waiting: VecDeque<(Range<usize>, Receiver<Part>)>,
    /// The most jobs that wait, and how many of them are few.
    room: usize,
    few: usize,
    /// The bytes of the largest part so far.
    largest: usize,
    /// The part that is being taken.
    part: vec::IntoIter<Result<Item>>,
    progress: Progress,
}

/// Files that a thread reads.
struct Job {
    files: Range<usize>,
    parts: Sender<Part>,
}

/// Images of a job, in their order.
struct Part {
    items: Vec<Result<Item>>,
    last: bool,
}

impl Pipeline {
    /// Begins to read files, of about so many images, with so many threads. With `spec`, images come at the network's
    /// size and with its channels; without it, as they were decoded.
    pub(super) fn new(
        files: Arc<[File]>,
        about: usize,
        spec: Option<&ImageSpec>,
        threads: usize,
    ) -> Result<Self> {
        let tensor = spec.map(tensor_bytes);
        let part = tensor.map_or(1, |bytes| (PART_BYTES / bytes).clamp(1, PART));
        // Few files are shared out too.
        let group = files.len().div_ceil(4 * threads).clamp(1, part);
        let room = if spec.is_some() { (WAITING / group).max(2 * threads) } else { threads + 1 };
        let few = (room / 2).max(threads);
        let (jobs, taken) = unbounded::<Job>();
        for _ in 0..threads.min(files.len().div_ceil(group)) {
            let (files, spec, taken) = (Arc::clone(&files), spec.cloned(), taken.clone());
            let decode = move || decode(&files, spec.as_ref(), part, &taken);
            let thread = thread::Builder::new().name("decode".into()).spawn(decode);
            thread.context("no thread can be started to read images")?;
        }
        let progress = Progress::of(files.len());
        let largest = tensor.unwrap_or(0) * part;
        let (waiting, part) = (VecDeque::new(), Vec::new().into_iter());
        let mut pipeline = Self {
            files,
            about,
            group,
            next: 0,
            jobs,
            waiting,
            room,
            few,
            largest,
            part,
            progress,
        };
        pipeline.give_out();
        Ok(pipeline)
    }

    /// The images in batches of at most so many, to the end or the first error.
    pub(super) fn batches(mut self, most: usize) -> impl Iterator<Item = Result<Vec<Item>>> + Send {
        let mut broken = None;
        let mut ended = false;
        std::iter::from_fn(move || {
            if ended {
                return broken.take().map(Err);
            }
            let blocking = |parts: &Receiver<Part>| {
                parts.recv().map_err(|RecvError| RecvTimeoutError::Disconnected)
            };
            let items = self.full(most, blocking).into_iter();
            let whole: Vec<_> =
                items.map_while(|item| item.map_err(|e| broken = Some(e)).ok()).collect();
            ended = broken.is_some();
            // The images before one that is broken come first, however many a batch has.
            if whole.is_empty() { broken.take().map(Err) } else { Some(Ok(whole)) }
        })
    }

    /// The images one after the other, to the end or the first error.
    pub(super) fn images(self) -> impl Iterator<Item = Result<Item>> + Send {
        self.batches(PART).flat_map(|batch| {
            let (items, error) = match batch {
                Ok(items) => (items, None),
                Err(error) => (vec![], Some(Err(error))),
            };
            items.into_iter().map(Ok).chain(error)
        })
    }

    fn full(
        &mut self,
        most: usize,
        wait: impl Fn(&Receiver<Part>) -> Result<Part, RecvTimeoutError>,
    ) -> Batch {
        self.progress.show(self.taken());
        full(most, std::iter::from_fn(|| self.item(&wait)))
    }

    /// The number of files whose images have been taken.
    fn taken(&self) -> usize {
        self.waiting.front().map_or(self.next, |(files, _)| files.start)
    }

    /// The next image; none at the end, or where the wait for it was given up.
    fn item(
        &mut self,
        wait: impl Fn(&Receiver<Part>) -> Result<Part, RecvTimeoutError>,
    ) -> Option<Result<Item>> {
        loop {
            if let Some(item) = self.part.next() {
                return Some(item);
            }
            self.give_out();
            let (files, parts) = self.waiting.front()?;
            let (items, last) = match wait(parts) {
                Ok(Part { items, last }) => (items, last),
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => {
                    let path = self.files[files.start].path().display();
                    (
                        vec![Err(anyhow!(
                            "the threads that read images have ended before `{path}`"
                        ))],
                        true,
                    )
                }
            };
            self.largest = self.largest.max(items.iter().flatten().map(Item::bytes).sum());
            if last {
                self.waiting.pop_front();
            }
            self.part = items.into_iter();
        }
    }

    /// Gives out jobs as long as there is room for what they bring. It does so for many at once where few are
    /// left: a thread that has nothing to do takes a moment to wake.
    fn give_out(&mut self) {
        if self.waiting.len() > self.few {
            return;
        }
        while self.next < self.files.len()
            && self.waiting.len() < self.room
            && (self.waiting.is_empty() || self.waiting.len() * self.largest < WAITING_BYTES)
        {
            let files = self.next..self.files.len().min(self.next + self.group);
            self.next = files.end;
            let (parts, taken) = bounded(1);
            self.waiting.push_back((files.clone(), taken));
            // Where no thread is left to take it, its channel has no sender, which says so in time.
            let _ = self.jobs.send(Job { files, parts });
        }
    }
}

impl Source for Pipeline {
    const ENDLESS: bool = false;

    fn batch(&mut self, most: usize, signals: &Signals) -> Result<Option<Batch>> {
        if signals.received().is_some() {
            return Ok(None);
        }
        let batch = self.full(most, |parts| wait(parts, signals));
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn about(&self) -> usize {
        self.about
    }
}

/// The bytes of an image's tensor.
pub(super) fn tensor_bytes(spec: &ImageSpec) -> usize {
    size_of::<f32>() * spec.shape().iter().product::<usize>()
}

/// Does jobs until there are no more, or nobody waits for them. A part has at most `most` images.
fn decode(files: &[File], spec: Option<&ImageSpec>, most: usize, jobs: &Receiver<Job>) {
    for Job { files: range, parts } in jobs {
        let mut items = Vec::with_capacity(most);
        for file in &files[range] {
            let (read, error) = match file.read() {
                Ok(read) => (read, None),
                Err(error) => (vec![], Some(Err(error))),
            };
            for item in read.into_iter().map(|item| item.prepared(spec)).chain(error) {
                if items.len() == most {
                    let items = std::mem::replace(&mut items, Vec::with_capacity(most));
                    if parts.send(Part { items, last: false }).is_err() {
                        return;
                    }
                }
                items.push(item);
            }
        }
        if parts.send(Part { items, last: true }).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use image::GrayImage;

    use super::super::inputs::Inputs;
    use super::*;

    /// Files of one pixel each that is as bright as its number.
    fn files(folder: &Path, count: u8) -> Result<Vec<PathBuf>> {
        let file = |k: u8| {
            let path = folder.join(format!("{k:03}.pgm"));
            GrayImage::from_pixel(1, 1, image::Luma([k])).save(&path)?;
            Ok(path)
        };
        (0..count).map(file).collect()
    }

    fn pipeline(paths: &[PathBuf], threads: usize, prepared: bool) -> Result<Pipeline> {
        let spec = ImageSpec::new(1, 1, 1);
        Inputs::find(paths)?.read_by(threads, prepared.then_some(&spec))
    }

    #[test]
    fn images_come_in_order_and_no_more_wait_than_there_is_room_for() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let paths = files(folder.path(), 250)?;
        for (threads, prepared, room) in
            [(1, true, 128), (3, true, 128), (1, false, 2), (3, false, 4)]
        {
            let mut pipeline = pipeline(&paths, threads, prepared)?;
            let mut names = vec![];
            while let Some(item) = pipeline.item(|parts| Ok(parts.recv()?)) {
                names.push(PathBuf::from(item?.picture.name));
                let given_out = pipeline.next - (names.len() - 1);
                assert!(given_out <= room + PART, "{given_out} by {threads} threads");
            }
            assert_eq!(names, paths);
            assert_eq!(pipeline.taken(), 250);
        }
        Ok(())
    }

    #[test]
    fn large_images_wait_for_each_other() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut pipeline = pipeline(&files(folder.path(), 250)?, 7, false)?;
        assert_eq!((pipeline.room, pipeline.waiting.len()), (8, 8));
        pipeline.largest = WAITING_BYTES;
        for taken in 1..20 {
            pipeline.item(|parts| Ok(parts.recv()?)).context("there are more")??;
            pipeline.give_out();
            assert_eq!(pipeline.waiting.len(), 8_usize.saturating_sub(taken).max(1));
        }
        Ok(())
    }

    #[test]
    fn threads_end_when_nobody_waits_for_them() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let pipeline = pipeline(&files(folder.path(), 250)?, 3, true)?;
        let files = Arc::downgrade(&pipeline.files);
        drop(pipeline);
        while files.strong_count() > 0 {
            thread::yield_now();
        }
        Ok(())
    }
}
