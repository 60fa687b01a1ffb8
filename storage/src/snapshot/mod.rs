//! A consistent copy of the state at one position, as a stream of bytes: what backups, restores and a follower's bootstrap are made of.
//!
//! A [`View`](crate::View) is immutable and holds its pages, so writing one out from any thread waits for nobody and makes nobody wait (a long copy
//! only keeps redb from reusing pages: write to a local disk first, ship after). `FORMAT.md`, "Snapshot", has the bytes. Every byte is under a
//! checksum, and a reader believes nothing that it has not checked.
//!
//! Reading order: `format` (bytes), [`write`], [`Reader`], [`Restoring`].

mod format;
mod read;
mod restore;
mod write;

pub use read::{Reader, check};
pub use restore::{Restoring, UNFINISHED, restore};
pub use write::write;

use crate::base::BaseError;
use crate::fault::Fault;
use crate::log::{Hash, Position};

/// What a snapshot says of itself at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which city's history it is of.
    pub cell: u64,
    /// The last command that it contains.
    pub position: Position,
}

/// What a snapshot turned out to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub header: Header,
    pub rows: u64,
    /// Keys and values, uncompressed, in bytes.
    pub plain_bytes: u64,
    /// The stream's length in bytes.
    pub bytes: u64,
    /// Of the rows: [`View::digest`](crate::View::digest) of the state that was copied.
    pub digest: Hash,
}

/// Why a snapshot could not be written, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the snapshot could not be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// The bytes are not what was written.
    #[error("the snapshot is damaged at byte {at}: {why}. Use another one")]
    Corrupt { at: u64, why: &'static str },
    #[error("the snapshot was written in format {found}, this program knows up to {known}: use the newer release that wrote it")]
    NewerFormat { found: u16, known: u16 },
    /// The state that was to be copied is itself damaged: nothing of it may be taken for a backup.
    #[error("the state cannot be copied: {0}")]
    State(#[from] Fault),
    #[error("the restored state could not be written: {0}")]
    Base(#[from] BaseError),
    #[error("{0} holds a state or a log already: restore into an empty folder")]
    NotEmpty(std::path::PathBuf),
    /// A record of the log does not belong behind what has been restored so far.
    #[error("record {seq} of the archived log cannot be applied: {why}")]
    Record { seq: u64, why: String },
}
