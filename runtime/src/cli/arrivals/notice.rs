//! What the system notices, as far as it matters here.

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind};

/// Whether the system notices that a file was closed. Where it does not, a file counts as whole when
/// it has not changed for a while.
pub(super) const CLOSES: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Whether an event may be that a file is whole, that there is a new folder, or that one is gone.
pub(super) fn matters(event: &Event) -> bool {
    let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
    let named = EventKind::Modify(ModifyKind::Name(RenameMode::To));
    let folder = EventKind::Create(CreateKind::Folder);
    let whole = [closed, named, folder].contains(&event.kind);
    let perhaps = match event.kind {
        EventKind::Modify(ModifyKind::Metadata(_)) => false,
        EventKind::Create(_) | EventKind::Modify(_) => !CLOSES,
        _ => false,
    };
    whole || perhaps || goes(event.kind) || event.need_rescan()
}

/// Whether something is no longer where it was.
pub(super) fn goes(kind: EventKind) -> bool {
    let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::From));
    matches!(kind, EventKind::Remove(_)) || kind == renamed
}
