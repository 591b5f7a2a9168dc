//! Files as they arrive in a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow};
use crossbeam_channel::{Receiver, bounded};
use notify::{Config, ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};
use vae_infer::{Error, images};

use super::inputs;
use super::say::say;
use super::source::Inlet;
use notice::{CLOSES, goes, matters};
use stamp::{Seen, Stamp, is_still};

mod notice;
mod stamp;

/// Notices that wait; when there are more, the folder is looked through instead.
const NOTICES: usize = 4096;

/// A folder that is watched. It lives in a thread that brings the images of new files to a queue.
pub(super) struct Arrivals {
    /// As it was named.
    folder: PathBuf,
    /// Where it is, in the words of whoever notices: absolute, or without links.
    roots: [PathBuf; 2],
    watcher: RecommendedWatcher,
    notices: Receiver<notify::Result<Event>>,
    /// Whether notices got lost.
    lost: Arc<AtomicBool>,
    /// Files that were taken.
    seen: Seen,
    /// Files that were there at the start and are not wanted as they were. Notice of one of them, as
    /// it was, is that it was still being written then: it is taken after all.
    before: Seen,
    inlet: Inlet,
}

/// The queue is not read any more, or has been ended.
struct Ended;

impl Arrivals {
    /// Begins to watch a folder. Without `existing`, what is there already is not taken.
    pub(super) fn watch(folder: &Path, existing: bool, inlet: Inlet) -> Result<()> {
        let (sender, notices) = bounded(NOTICES);
        let lost = Arc::new(AtomicBool::new(false));
        let losing = Arc::clone(&lost);
        let notice = move |notice: notify::Result<Event>| {
            // It must never wait for those who wait for the watcher.
            if notice.as_ref().map_or(true, matters) && sender.try_send(notice).is_err() {
                losing.store(true, Ordering::Relaxed);
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let cannot = || format!("cannot watch `{}`", folder.display());
        let mut watcher =
            RecommendedWatcher::new(notice, config).map_err(explained).with_context(cannot)?;
        let absolute = std::path::absolute(folder).map_err(Error::read(folder))?;
        let canonical = folder.canonicalize().map_err(Error::read(folder))?;
        let watched = watcher.watch(&absolute, RecursiveMode::Recursive);
        watched.map_err(explained).with_context(cannot)?;
        let there = images::within_folder(folder)?;
        let mut before = Seen::default();
        for path in there.iter().filter(|_| !existing) {
            // One that is gone by now is none that was there.
            let _ = Stamp::of(path).map(|stamp| before.add(path, stamp));
        }
        say(format!("watching `{}`", folder.display()));
        let (folder, roots) = (folder.to_owned(), [absolute, canonical]);
        let seen = Seen::default();
        let arrivals = Self { folder, roots, watcher, notices, lost, seen, before, inlet };
        thread::spawn(move || arrivals.run(&there));
        Ok(())
    }

    /// Takes the files that were found, and then those that are noticed.
    fn run(mut self, found: &[PathBuf]) {
        let mut on = self.take_found(found);
        while on.is_ok() {
            let Ok(notice) = self.notices.recv() else { return };
            on = self.heed(notice);
            if on.is_ok() && self.lost.swap(false, Ordering::Relaxed) {
                on = self.look_again();
            }
        }
    }

    fn heed(&mut self, notice: notify::Result<Event>) -> Result<(), Ended> {
        let event = match notice {
            Ok(event) if event.need_rescan() => return self.look_again(),
            Ok(event) => event,
            Err(error) => return self.end(explained(error)),
        };
        if event.paths.iter().any(|path| self.roots.contains(path)) && goes(event.kind) {
            return self.end(anyhow!("it is not there any more"));
        }
        for path in event.paths.iter().filter(|_| !goes(event.kind)) {
            let Some(path) = self.named(path) else { continue };
            if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                self.enter(&path)?;
            } else if images::is_image(&path) && (CLOSES || is_still(&path)) {
                self.take(&path)?;
            }
        }
        Ok(())
    }

    /// A path below the folder as the folder was named; none for one that is hidden or elsewhere.
    fn named(&self, path: &Path) -> Option<PathBuf> {
        let below = self.roots.iter().find_map(|root| path.strip_prefix(root).ok())?;
        let hidden = below.iter().any(|part| part.as_encoded_bytes().starts_with(b"."));
        (!hidden).then(|| self.folder.join(below))
    }

    /// Takes what a folder holds that has not been taken yet. It is watched first, or a file could
    /// come in between.
    fn enter(&mut self, folder: &Path) -> Result<(), Ended> {
        if CLOSES {
            let watched = std::path::absolute(folder)
                .map_err(notify::Error::io)
                .and_then(|folder| self.watcher.watch(&folder, RecursiveMode::Recursive));
            match watched {
                Err(error) if folder.is_dir() => return self.end(explained(error)),
                _ => {}
            }
        }
        match images::within_folder(folder) {
            Ok(files) => self.take_found(&files),
            Err(_) if !folder.exists() => Ok(()),
            Err(error) => self.put(Err(error.into())),
        }
    }

    fn look_again(&mut self) -> Result<(), Ended> {
        let folder = self.folder.clone();
        say(format!("notices of files were lost: looking through `{}`", folder.display()));
        self.enter(&folder)
    }

    fn take_found(&mut self, files: &[PathBuf]) -> Result<(), Ended> {
        files.iter().try_for_each(|path| match Stamp::of(path) {
            Ok(stamp) if self.seen.has(path, stamp) || self.before.has(path, stamp) => Ok(()),
            _ if is_still(path) => self.take(path),
            _ => Ok(()),
        })
    }

    /// Takes a file, unless it was taken already as it is.
    fn take(&mut self, path: &Path) -> Result<(), Ended> {
        loop {
            let before = match Stamp::of(path) {
                Ok(stamp) if !self.seen.add(path, stamp) => return Ok(()),
                Ok(stamp) => stamp,
                Err(error) => return self.put(Err(Error::read(path)(error).into())),
            };
            let below = path.strip_prefix(&self.folder).unwrap_or(path);
            let items = inputs::read(path, &below.with_extension(""));
            if Stamp::of(path).is_ok_and(|after| after != before) {
                // What was read may be of two contents.
                if is_still(path) { continue } else { return Ok(()) }
            }
            return match items {
                Ok(items) => items.into_iter().try_for_each(|item| self.put(Ok(item))),
                Err(error) => self.put(Err(error)),
            };
        }
    }

    fn put(&self, item: Result<inputs::Item>) -> Result<(), Ended> {
        if self.inlet.put(item) { Ok(()) } else { Err(Ended) }
    }

    fn end(&self, error: anyhow::Error) -> Result<(), Ended> {
        let folder = self.folder.display();
        self.inlet.end(error.context(format!("cannot watch `{folder}` any longer")));
        Err(Ended)
    }
}

fn explained(error: notify::Error) -> anyhow::Error {
    match error.kind {
        ErrorKind::MaxFilesWatch => {
            anyhow!("the system watches no more folders (hint: sysctl fs.inotify.max_user_watches)")
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests;
