//! Bugs planted on purpose, so that the simulator can prove that it finds them.
//!
//! Only with the cargo feature `planted`; without it [`is`] is a constant `false` and no product binary carries a bug.
//! The switch is per thread, so that tests beside each other do not disturb each other: who starts a thread hands it on
//! (`let bug = planted::current();` before, `planted::set(bug);` inside).

/// One bug each; at most one is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// `Log::sync` answers without syncing.
    FsyncDropped,
    /// Commands are answered before the record is durable.
    AckBeforeSync,
    /// The folder is not synced after a rename.
    DirSyncDropped,
    /// A checkpoint claims to hold one record more than it does.
    CheckpointSeqTooHigh,
    /// The CRC of the last record's body is not checked.
    TornTailAccepted,
    /// A damaged record in the middle is taken for the end of the log.
    CorruptionTruncated,
    /// The idempotency row is written in another commit than its command.
    IdempotencyApart,
    /// A follower applies a batch twice.
    BatchTwice,
    /// One of the code above the storage, by its own name for it.
    Above(&'static str),
}

impl Bug {
    /// Every one of the storage and the engine.
    pub const ALL: [Self; 8] = [
        Self::FsyncDropped,
        Self::AckBeforeSync,
        Self::DirSyncDropped,
        Self::CheckpointSeqTooHigh,
        Self::TornTailAccepted,
        Self::CorruptionTruncated,
        Self::IdempotencyApart,
        Self::BatchTwice,
    ];
}

#[cfg(feature = "planted")]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local!(static BUG: Cell<Option<Bug>> = const { Cell::new(None) });

    /// Turns `bug` on for this thread (`None` turns it off).
    pub fn set(bug: impl Into<Option<Bug>>) {
        BUG.set(bug.into());
    }

    /// What is on in this thread.
    #[must_use]
    pub fn current() -> Option<Bug> {
        BUG.get()
    }
}

#[cfg(not(feature = "planted"))]
mod switch {
    use super::Bug;

    /// Does nothing: the feature `planted` is off.
    pub fn set(_bug: impl Into<Option<Bug>>) {}

    /// Always `None`: the feature `planted` is off.
    #[must_use]
    pub const fn current() -> Option<Bug> {
        None
    }
}

pub use switch::{current, set};

/// Whether `bug` is on in this thread.
#[must_use]
pub fn is(bug: Bug) -> bool {
    current() == Some(bug)
}
