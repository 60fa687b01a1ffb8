//! Where two histories part.

use std::path::Path;
use std::sync::Arc;

use crate::disk::Disk;
use crate::log::{Hash, LogError, LogReader, Position};

/// Whether a log holds a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Yes,
    /// Another record stands there, or the log ends before.
    No,
    /// The log begins later: nothing can be said.
    Trimmed,
}

/// Whether a record of the log in `dir` ends at `seq` with `hash`; `end` is where the log stands. Sequence number 0 is in every history, and
/// [`Holds::Trimmed`] if the log no longer begins there.
///
/// # Errors
/// [`LogError`].
pub fn holds(disk: &Arc<dyn Disk>, dir: &Path, end: Position, seq: u64, hash: Hash) -> Result<Holds, LogError> {
    if seq > end.seq {
        return Ok(Holds::No);
    }
    if (seq, hash) == (end.seq, end.hash) {
        return Ok(Holds::Yes);
    }
    let mut reader = match LogReader::open(disk.clone(), dir, seq + 1) {
        Ok(reader) => reader,
        Err(LogError::Missing { .. }) => return Ok(Holds::Trimmed),
        Err(error) => return Err(error),
    };
    // The record before `seq + 1` may be the last of an older segment: then the header of this one names it.
    let next = reader.until(end.seq).next()?;
    let before = next.map_or_else(|| reader.position().hash, |record| if record.first_seq == seq + 1 { record.prev } else { Hash::ZERO });
    Ok(if before == hash { Holds::Yes } else { Holds::No })
}

/// Where each record of the log in `dir` ends, ascending, from the oldest that is kept up to `end`.
///
/// # Errors
/// [`LogError`].
pub fn places(disk: &Arc<dyn Disk>, dir: &Path, first_seq: u64, end: Position) -> Result<Vec<Position>, LogError> {
    let mut reader = LogReader::open(disk.clone(), dir, first_seq)?;
    reader.until(end.seq);
    let mut places = vec![reader.position()];
    while reader.next()?.is_some() {
        places.push(reader.position());
    }
    Ok(places)
}
