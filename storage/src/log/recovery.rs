//! Opening a log that is there: the chain is checked, records are replayed, the end is found and made clean.

use super::error::Doing;
use super::format::SEGMENT_HEADER_BYTES;
use super::scan::{self, Found};
use super::segment::{self, Segment};
use super::{LogConfig, LogError, Position, Record};
use crate::disk::planted::{self, Bug};
use crate::disk::{Disk, Open};
use std::path::Path;

/// What replays a record.
pub(super) type Replay<'a> = &'a mut dyn FnMut(&Record) -> Result<(), LogError>;

/// Where the log ends, and the segment to go on in.
pub(super) struct End {
    pub segment: Segment,
    pub at: u64,
    pub position: Position,
}

/// Recovers the log whose segments begin at `names` (ascending, at least one), from the segment that `after` is in.
/// `None` only with a bug planted: segments were removed, begin again.
pub(super) fn run(
    disk: &dyn Disk,
    dir: &Path,
    config: LogConfig,
    after: Position,
    names: &[u64],
    replay: Replay<'_>,
) -> Result<Option<End>, LogError> {
    let wanted = after.seq.saturating_add(1);
    let Some(first) = names.iter().rposition(|&first_seq| first_seq <= wanted) else {
        return Err(LogError::Missing { wanted, found: names[0] });
    };
    let mut recovery = Recovery { disk, dir, cell: config.cell, after, replay, position: None, image: Vec::new(), last: 0 };
    for pair in names[first..].windows(2) {
        if recovery.sealed(pair[0], pair[1])? == Sealed::PretendEnd {
            return Ok(None);
        }
    }
    let (segment, at) = recovery.current(names[names.len() - 1])?;
    Ok(Some(End { segment, at: at as u64, position: recovery.finish()? }))
}

#[derive(PartialEq, Eq)]
enum Sealed {
    Whole,
    /// Only the planted bug: the segments after are gone.
    PretendEnd,
}

/// One walk over the segments from the one that `after` is in.
struct Recovery<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    cell: u64,
    after: Position,
    replay: Replay<'a>,
    /// Where the walk stands; `None` before the first segment.
    position: Option<Position>,
    image: Vec<u8>,
    /// Offset of the last record of the segment walked last, or of its end if it has none.
    last: usize,
}

impl Recovery<'_> {
    /// A segment that another follows: everything in it was synced, so nothing in it may be torn.
    fn sealed(&mut self, first_seq: u64, next: u64) -> Result<Sealed, LogError> {
        let (segment, at, found) = self.walk(first_seq, Open::Read)?;
        let position = self.position.unwrap_or(segment.header.start);
        let complete = position.seq + 1 == next;
        if position.seq >= next {
            return Err(segment.corrupt(at, "its records reach into the next segment"));
        }
        match found {
            // Bytes behind the last record are nobody's: the next segment's header will prove that none is missing.
            _ if complete => Ok(Sealed::Whole),
            Found::Blank => Err(LogError::Missing { wanted: position.seq + 1, found: next }),
            Found::Corrupt(_) | Found::Torn if planted::is(Bug::CorruptionTruncated) => {
                let later = segment::list(self.disk, self.dir)?;
                for later in later.iter().filter(|later| **later > first_seq) {
                    let path = segment::path_of(self.dir, *later);
                    self.disk.remove(&path).doing(|| "remove".to_owned())?;
                }
                Ok(Sealed::PretendEnd)
            }
            Found::Corrupt(why) => Err(segment.corrupt(at, why)),
            Found::Torn | Found::Record(..) => Err(segment.corrupt(at, "the record is damaged, and later segments follow")),
        }
    }

    /// The newest segment: its end is the log's, and may be torn. Returns it with the offset of the end, clean and durable.
    fn current(&mut self, first_seq: u64) -> Result<(Segment, usize), LogError> {
        let (segment, at, found) = self.walk(first_seq, Open::Write)?;
        let io = || format!("clean the end of {}", segment.path.display());
        match found {
            Found::Blank | Found::Record(..) => {}
            Found::Corrupt(why) if !planted::is(Bug::CorruptionTruncated) => {
                return Err(segment.corrupt(at, why));
            }
            Found::Torn | Found::Corrupt(_) => self.image[at..].fill(0),
        }
        // Also without a torn tail: a process that was killed may have left its last record unsynced; and after a failed sync the kernel
        // shows what the disk does not have, and will not write it again unless it is written again ("fsyncgate").
        segment.file.write_at(self.last as u64, &self.image[self.last..]).and_then(|()| segment.file.sync_data()).doing(io)?;
        Ok((segment, at))
    }

    /// Checks and replays the records of a segment. Returns where they end and what stands there.
    fn walk(&mut self, first_seq: u64, how: Open) -> Result<(Segment, usize, Found), LogError> {
        let segment = Segment::open(self.disk, self.dir, first_seq, how, Some(self.cell))?;
        let mut position = self.position.unwrap_or(segment.header.start);
        if position != segment.header.start {
            return Err(segment.corrupt(0, "the segment does not follow the one before it"));
        }
        self.meet_after(&position)?;
        segment.load(&mut self.image)?;
        let mut at = SEGMENT_HEADER_BYTES;
        self.last = at;
        loop {
            match scan::look(&self.image, segment.header.salt, at) {
                Found::Record(record, next) => {
                    if let Some(why) = record.breaks_after(&position) {
                        return Ok((segment, at, Found::Corrupt(why)));
                    }
                    position = record.position();
                    self.position = Some(position);
                    self.meet_after(&position)?;
                    if record.first_seq > self.after.seq {
                        (self.replay)(&record)?;
                    } else if record.last_seq() > self.after.seq {
                        return Err(LogError::Diverged { seq: self.after.seq });
                    }
                    self.last = at;
                    at = next;
                }
                found => {
                    self.position = Some(position);
                    return Ok((segment, at, found));
                }
            }
        }
    }

    /// Where the log passes `after`, both must tell the same history.
    fn meet_after(&self, position: &Position) -> Result<(), LogError> {
        if position.seq == self.after.seq && *position != self.after {
            return Err(LogError::Diverged { seq: self.after.seq });
        }
        Ok(())
    }

    fn finish(self) -> Result<Position, LogError> {
        let end = self.position.unwrap_or(self.after);
        if end.seq < self.after.seq {
            return Err(LogError::Short { wanted: self.after.seq, end: end.seq });
        }
        Ok(end)
    }
}
