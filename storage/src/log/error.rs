//! What can be wrong with a log, in the operator's words.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why the log cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("log: {what}: {source}")]
    Io { what: String, source: io::Error },
    /// Bytes that were written and synced are not what was written.
    #[error(
        "log segment {} is damaged at byte {offset}: {why}. Nothing was changed. Check the disk, keep a copy of the data folder, \
         then bring the state back with `medina restore`",
        segment.display()
    )]
    Corrupt { segment: PathBuf, offset: u64, why: String },
    /// A hole: later records are there.
    #[error(
        "the log lacks record {wanted}; the next one there is {found}. A segment file was lost or moved: put it back, or bring the state \
         back with `medina restore`"
    )]
    Missing { wanted: u64, found: u64 },
    /// The log ends before a record that is known to have been durable.
    #[error(
        "the log ends at record {end}, but record {wanted} was durable. The end of the log was lost: bring the state back with `medina restore`"
    )]
    Short { wanted: u64, end: u64 },
    /// The state is not a state of this log.
    #[error(
        "the state at record {seq} and the log tell different histories. They come from different copies or nodes: bring the state back \
         with `medina restore`"
    )]
    Diverged { seq: u64 },
    #[error(
        "the log was written in format {found}, this program knows up to {known}: start the newer release that wrote it, or restore a \
         snapshot taken before the upgrade"
    )]
    NewerFormat { found: u16, known: u16 },
    #[error("the log belongs to cell {found}, not to cell {wanted}: this is the data folder of another city")]
    OtherCell { wanted: u64, found: u64 },
    #[error("a record of {bytes} bytes is larger than the {max} a record may have")]
    TooLarge { bytes: usize, max: usize },
    /// The caller's mistake; nothing was written.
    #[error("the record cannot follow record {seq}: {why}")]
    OutOfOrder { seq: u64, why: &'static str },
    /// A write or sync has failed before: what the disk holds is known only after a new start.
    #[error("the log stopped after a failed write or sync; the process has to start again and recover from what the disk has")]
    Poisoned,
    /// The caller could not use a record.
    #[error("record {seq} could not be replayed: {source}")]
    Replay { seq: u64, source: Box<dyn Error + Send + Sync> },
}

impl LogError {
    /// Whether room on the disk cures it.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }

    /// For the `replay` of [`super::Log::open`].
    pub fn replay(seq: u64, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Replay { seq, source: source.into() }
    }
}

/// Puts what was being done in front of an I/O error.
pub(super) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, LogError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, LogError> {
        self.map_err(|source| LogError::Io { what: what(), source })
    }
}
