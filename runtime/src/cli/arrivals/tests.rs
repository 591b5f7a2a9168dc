use notify::EventKind;
use notify::event::{AccessKind, AccessMode, Flag};

use super::*;
use crate::cli::signals::Signals;
use crate::cli::source::{Queue, Source};

/// A folder of one image that was taken already, before anything watches it.
fn arrivals() -> Result<(tempfile::TempDir, Arrivals, Queue)> {
    let folder = tempfile::tempdir()?;
    write(folder.path(), "old.pgm")?;
    let mut seen = Seen::default();
    let old = folder.path().join("old.pgm");
    seen.add(&old, Stamp::of(&old)?);
    let (_, notices) = bounded(1);
    let (inlet, queue) = Queue::new(8, false, None);
    let canonical = folder.path().canonicalize()?;
    let arrivals = Arrivals {
        folder: folder.path().into(),
        roots: [folder.path().into(), canonical],
        watcher: RecommendedWatcher::new(|_| {}, Config::default())?,
        notices,
        lost: Arc::default(),
        seen,
        before: Seen::default(),
        inlet,
    };
    Ok((folder, arrivals, queue))
}

fn write(folder: &Path, name: &str) -> Result<()> {
    Ok(std::fs::write(folder.join(name), "P2 1 1 255 7")?)
}

fn names(queue: &mut Queue) -> Result<Vec<String>> {
    let batch = queue.batch(usize::MAX, &Signals::watch()?)?.unwrap_or_default();
    batch.into_iter().map(|item| Ok(item?.stem.display().to_string())).collect()
}

/// The system has dropped notices: what is there and was not taken is found, and taken once.
#[test]
fn lost_notices_are_made_up_for() -> Result<()> {
    let (folder, mut arrivals, mut queue) = arrivals()?;
    std::fs::create_dir(folder.path().join("sub"))?;
    for name in ["b.pgm", "a.pgm", "sub/c.pgm", ".hidden.pgm", "d.part"] {
        write(folder.path(), name)?;
    }
    let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
    assert!(matters(&overflow) && arrivals.heed(Ok(overflow)).is_ok());
    assert_eq!(names(&mut queue)?, ["a", "b", "sub/c"]);
    // The notice of one of them was not lost after all.
    let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
    let late = |name| Event::new(closed).add_path(folder.path().join(name));
    assert!(matters(&late("a.pgm")) && arrivals.heed(Ok(late("a.pgm"))).is_ok());
    write(folder.path(), "e.pgm")?;
    assert!(arrivals.heed(Ok(late("e.pgm"))).is_ok());
    assert_eq!(names(&mut queue)?, ["e"]);
    Ok(())
}

#[test]
fn a_queue_that_nobody_reads_ends_it() -> Result<()> {
    let (folder, mut arrivals, queue) = arrivals()?;
    drop(queue);
    write(folder.path(), "a.pgm")?;
    assert!(arrivals.enter(folder.path()).is_err());
    Ok(())
}
