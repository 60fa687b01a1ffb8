//! Reading the log beside its writer: verification, followers, events.

use super::error::Doing;
use super::format::{Head, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use super::scan::{self, Found};
use super::segment::{self, Segment};
use super::{LogError, Position, Record};
use crate::disk::{Disk, Open};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads records from a sequence number on, checking the chain, without disturbing the writer.
///
/// Beside a live writer, bound it with [`LogReader::until`] to what is published: the file shows a record before it is durable.
pub struct LogReader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment: Segment,
    at: usize,
    position: Position,
    from_seq: u64,
    until_seq: Option<u64>,
    raw: Vec<u8>,
}

impl LogReader {
    /// The first sequence number that the log in `dir` still has; `None` if it has no segment.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn oldest(disk: &dyn Disk, dir: &Path) -> Result<Option<u64>, LogError> {
        Ok(segment::list(disk, dir)?.first().copied())
    }

    /// # Errors
    /// [`LogError::Missing`] if the log begins after `from_seq` (it was trimmed) or is not there; otherwise as [`super::Log::open`].
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, from_seq: u64) -> Result<Self, LogError> {
        let names = segment::list(&*disk, dir)?;
        let missing = LogError::Missing { wanted: from_seq, found: names.first().copied().unwrap_or(0) };
        let first_seq = names.iter().rfind(|first_seq| **first_seq <= from_seq.max(1));
        let first_seq = *first_seq.ok_or(missing)?;
        let segment = Segment::open(&*disk, dir, first_seq, Open::Read, None)?;
        Ok(Self {
            disk,
            dir: dir.to_path_buf(),
            position: segment.header.start,
            segment,
            at: SEGMENT_HEADER_BYTES,
            from_seq,
            until_seq: None,
            raw: Vec::new(),
        })
    }

    /// From now on, records up to and including `seq` must be there, and later ones are not read yet. May be raised again and again.
    pub fn until(&mut self, seq: u64) -> &mut Self {
        self.until_seq = Some(seq);
        self
    }

    /// Where the reader stands: after the last record it has passed.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next record that ends at or after `from_seq`; `None` at the end, or at the bound. Ask again when the log has grown.
    ///
    /// # Errors
    /// [`LogError::Corrupt`]; [`LogError::Missing`] if the next segment has been trimmed away;
    /// [`LogError::Short`] if the log ends before the bound.
    #[expect(clippy::should_implement_trait, reason = "the end is not final, and errors are")]
    pub fn next(&mut self) -> Result<Option<Record>, LogError> {
        let mut looked_twice = false;
        while self.until_seq.is_none_or(|until| self.position.seq < until) {
            let Some((record, extent)) = self.read()? else {
                if self.turn()? {
                    continue;
                }
                match self.after_a_hole()? {
                    None => return self.ended(),
                    // The writer may have filled this segment and begun that one since this one was read.
                    Some(_) if !looked_twice => looked_twice = true,
                    Some(found) => {
                        let wanted = self.position.seq + 1;
                        return Err(LogError::Missing { wanted, found });
                    }
                }
                continue;
            };
            looked_twice = false;
            if let Some(why) = record.breaks_after(&self.position) {
                return Err(self.segment.corrupt(self.at, why));
            }
            self.at += extent;
            self.position = record.position();
            if record.last_seq() >= self.from_seq {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// The record here and its extent; `None` if there is none (yet).
    fn read(&mut self) -> Result<Option<(Record, usize)>, LogError> {
        let (at, salt) = (self.at, self.segment.header.salt);
        let room = (self.segment.header.bytes as usize).saturating_sub(at);
        if room >= RECORD_HEADER_BYTES {
            self.fill(RECORD_HEADER_BYTES)?;
            if let Some(head) = Head::decode(&self.raw, at as u64, salt)
                && head.extent() <= room
            {
                self.fill(head.extent())?;
                if let Some(record) = head.record(&self.raw, at as u64, salt, false) {
                    return Ok(Some((record, head.extent())));
                }
            } else if self.raw[..8] == [0; 8] {
                return Ok(None);
            }
        }
        self.segment.load(&mut self.raw)?;
        match scan::look(&self.raw, salt, at) {
            Found::Record(record, next) => Ok(Some((record, next - at))),
            Found::Blank | Found::Torn => Ok(None),
            // As in recovery: behind the last record of a segment that another follows, bytes are nobody's.
            Found::Corrupt(_) if self.next_exists()? => Ok(None),
            Found::Corrupt(why) => Err(self.segment.corrupt(at, why)),
        }
    }

    fn fill(&mut self, len: usize) -> Result<(), LogError> {
        self.raw.resize(len, 0);
        self.segment.file.read_at(self.at as u64, &mut self.raw).doing(|| format!("read {}", self.segment.path.display()))
    }

    fn next_exists(&self) -> Result<bool, LogError> {
        let path = segment::path_of(&self.dir, self.position.seq + 1);
        let exists = || self.disk.exists(&path).doing(|| format!("look for {}", path.display()));
        Ok(path != self.segment.path && exists()?)
    }

    /// Goes on to the segment that begins where this one ends, if there is one. A larger one may have taken the place of this one
    /// while it was empty.
    fn turn(&mut self) -> Result<bool, LogError> {
        let empty = self.at == SEGMENT_HEADER_BYTES;
        if !empty && !self.next_exists()? {
            return Ok(false);
        }
        let cell = Some(self.segment.header.cell);
        let next = self.position.seq + 1;
        let segment = Segment::open(&*self.disk, &self.dir, next, Open::Read, cell)?;
        if empty && segment.header == self.segment.header {
            return Ok(false);
        }
        if segment.header.start != self.position {
            return Err(segment.corrupt(0, "the segment does not follow the one before it"));
        }
        self.segment = segment;
        self.at = SEGMENT_HEADER_BYTES;
        Ok(true)
    }

    fn after_a_hole(&self) -> Result<Option<u64>, LogError> {
        let names = segment::list(&*self.disk, &self.dir)?;
        Ok(names.into_iter().find(|first| *first > self.position.seq + 1))
    }

    fn ended(&self) -> Result<Option<Record>, LogError> {
        match self.until_seq {
            Some(wanted) => Err(LogError::Short { wanted, end: self.position.seq }),
            None => Ok(None),
        }
    }
}
