//! The log: the truth that everything else is a view of.
//!
//! A folder of preallocated segments, each a header and a run of records; every record carries the hash of the one before it. `FORMAT.md`
//! has the bytes. Reading order: [`format`](self) (bytes in memory), `scan` (what stands at an offset: record, end, torn tail, corruption),
//! `segment` (files), `recovery`, `writer` ([`Log`]), `reader` ([`LogReader`]).
//!
//! What is promised: a record is there after a crash if [`Log::sync`] returned `Ok` after its append; at most one record (the one not yet
//! synced) may be there or not; a damaged record that was synced is never taken for the end of the log.

mod cut;
mod error;
mod format;
mod reader;
mod recovery;
mod scan;
mod segment;
mod writer;

pub(crate) use cut::cut;
pub use error::LogError;
pub use reader::LogReader;
pub use segment::Spare;
pub use writer::{Log, Retired};

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// BLAKE3 of a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Before the first record.
    pub const ZERO: Self = Self([0; 32]);
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a state stands: everything up to and including `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Who led: raised by each promotion and restore.
    pub epoch: u64,
    pub seq: u64,
    /// Of the record that ends at `seq`.
    pub hash: Hash,
    pub time: Timestamp,
}

impl Position {
    /// Before anything happened.
    pub const ZERO: Self = Self { epoch: 0, seq: 0, hash: Hash::ZERO, time: Timestamp::from_millis(0) };
}

impl Default for Position {
    fn default() -> Self {
        Self::ZERO
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Size of a segment file in bytes; rounded up to whole sectors of 512. A record that does not fit gets a segment of its size.
    pub segment_bytes: u64,
    /// Which city's history this is; a log of another cell is refused.
    pub cell: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, cell: 0 }
    }
}

/// One batch: `count` sequence numbers from `first_seq` on, committed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub epoch: u64,
    pub first_seq: u64,
    /// At least 1.
    pub count: u32,
    pub time: Timestamp,
    /// Hash of the record before.
    pub prev: Hash,
    pub hash: Hash,
    pub body: Vec<u8>,
}

impl Record {
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.first_seq + u64::from(self.count) - 1
    }

    /// Where a state stands that contains this record.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, seq: self.last_seq(), hash: self.hash, time: self.time }
    }

    /// Why this record cannot stand right after `before`; `None` if it can.
    #[must_use]
    pub fn breaks_after(&self, before: &Position) -> Option<&'static str> {
        if self.first_seq != before.seq + 1 {
            Some("its sequence number does not follow the record before it")
        } else if self.prev != before.hash {
            Some("it does not carry the hash of the record before it")
        } else if self.epoch < before.epoch {
            Some("its epoch is lower than that of the record before it")
        } else if self.time < before.time {
            Some("its time is earlier than that of the record before it")
        } else {
            None
        }
    }
}
