//! The log's one writer: recovery, append, sync, trim.

use super::error::Doing;
use super::format::{self, BODY_BYTES_MAX, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::recovery;
use super::segment::{self, Segment, Spare};
use super::{Hash, LogConfig, LogError, Position, Record};
use crate::clock::Timestamp;
use crate::disk::planted::{self, Bug};
use crate::disk::{Disk, Open};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The log, open for appending. One at a time per folder: the caller holds the folder's lock.
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    config: LogConfig,
    spare: Spare,
    /// First sequence number and size of every segment kept; the last is the current one. Never empty.
    segments: Vec<(u64, u64)>,
    current: Segment,
    /// Where the next record goes in the current segment.
    at: u64,
    end: Position,
    unsynced: bool,
    poisoned: bool,
    encoded: Vec<u8>,
}

impl Log {
    /// Opens (or creates) the log in `dir`, checks the chain from `after`, and hands every record with `first_seq > after.seq` to `replay`,
    /// in order. An empty folder begins after `after`, as after a restore.
    ///
    /// All that was replayed is durable when this returns `Ok`. After an error, throw away what was replayed.
    ///
    /// # Errors
    /// [`LogError::Corrupt`], [`LogError::Missing`], [`LogError::Short`], [`LogError::Diverged`], [`LogError::NewerFormat`],
    /// [`LogError::OtherCell`]: an operator has to act; no record was changed. What `replay` returns is passed on.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogConfig,
        after: Position,
        replay: &mut dyn FnMut(&Record) -> Result<(), LogError>,
    ) -> Result<Self, LogError> {
        disk.create_dir_all(dir).doing(|| format!("create {}", dir.display()))?;
        segment::clear_unfinished(&*disk, dir)?;
        // What is read must also be there after a power cut: an earlier process may have died between rename and directory sync.
        disk.sync_dir(dir).doing(|| format!("sync {}", dir.display()))?;
        let spare = Spare::new(Arc::clone(&disk), dir, segment::size_for(config.segment_bytes, 0));
        let names = segment::list(&*disk, dir)?;
        let Some((_, older)) = names.split_last() else {
            let header = SegmentHeader::new(config.cell, after, spare_size(&config, 0));
            let current = spare.segment(header).map_err(|(error, _)| error)?;
            return Ok(Self::at_start_of(current, disk, dir, config, spare, vec![]));
        };
        let mut segments = Vec::with_capacity(names.len());
        for &first_seq in older {
            let path = segment::path_of(dir, first_seq);
            let len = disk.open(&path, Open::Read).and_then(|file| file.len());
            segments.push((first_seq, len.doing(|| format!("measure {}", path.display()))?));
        }
        let Some(end) = recovery::run(&*disk, dir, config, after, &names, replay)? else {
            return Self::open(disk, dir, config, after, &mut |_| Ok(()));
        };
        let mut log = Self::at_start_of(end.segment, Arc::clone(&disk), dir, config, spare, segments);
        (log.at, log.end) = (end.at, end.position);
        Ok(log)
    }

    fn at_start_of(
        current: Segment,
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogConfig,
        spare: Spare,
        mut segments: Vec<(u64, u64)>,
    ) -> Self {
        segments.push((current.header.first_seq(), current.header.bytes));
        Self {
            disk,
            dir: dir.to_path_buf(),
            config,
            spare,
            segments,
            at: SEGMENT_HEADER_BYTES as u64,
            end: current.header.start,
            current,
            unsynced: false,
            poisoned: false,
            encoded: Vec::new(),
        }
    }

    /// Where the log stands, the record not yet synced included.
    #[must_use]
    pub fn end(&self) -> Position {
        self.end
    }

    /// Writes a record of `count` sequence numbers after the last one, not yet durable. Returns where the log then stands.
    ///
    /// # Panics
    /// If the record before has not been synced: recovery can tell a torn record from a damaged one only if no other is in flight.
    ///
    /// # Errors
    /// [`LogError::TooLarge`], [`LogError::OutOfOrder`]: nothing was written. A full disk while a new segment is prepared
    /// ([`LogError::is_disk_full`]) leaves the log as it was; any other I/O error poisons it.
    pub fn append(&mut self, epoch: u64, count: u32, time: Timestamp, body: &[u8]) -> Result<Position, LogError> {
        self.write(epoch, count, time, body, None)
    }

    /// Writes another node's record, the very same: it keeps its hash. Otherwise as [`Log::append`].
    ///
    /// # Errors
    /// Also [`LogError::OutOfOrder`] if it does not follow this log's last record, or is not what its hash says; nothing was written.
    pub fn append_same(&mut self, record: &Record) -> Result<Position, LogError> {
        if let Some(why) = record.breaks_after(&self.end) {
            return Err(LogError::OutOfOrder { seq: self.end.seq, why });
        }
        self.write(record.epoch, record.count, record.time, &record.body, Some(record.hash))
    }

    fn write(&mut self, epoch: u64, count: u32, time: Timestamp, body: &[u8], told: Option<Hash>) -> Result<Position, LogError> {
        self.usable()?;
        assert!(!self.unsynced, "at most one record of the log is unsynced");
        self.check(epoch, count, time, body)?;
        let extent = format::extent_of(body.len());
        if self.at + extent as u64 > self.current.header.bytes {
            self.roll(extent)?;
        }
        let place = (self.at, self.current.header.salt);
        let fields = (epoch, count, time);
        let end = format::encode(&mut self.encoded, &self.end, fields, body, place);
        if told.is_some_and(|told| told != end.hash) {
            return Err(LogError::OutOfOrder { seq: self.end.seq, why: "it is not the record that its hash names" });
        }
        let written = self.current.file.write_at(self.at, &self.encoded);
        self.poisoned = written.is_err();
        written.doing(|| format!("append to {}", self.current.path.display()))?;
        self.at += extent as u64;
        self.end = end;
        self.unsynced = true;
        Ok(end)
    }

    fn check(&self, epoch: u64, count: u32, time: Timestamp, body: &[u8]) -> Result<(), LogError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(LogError::TooLarge { bytes: body.len(), max: BODY_BYTES_MAX });
        }
        let why = if count == 0 {
            "it has no sequence number"
        } else if epoch < self.end.epoch {
            "its epoch is lower"
        } else if time < self.end.time {
            "its time is earlier"
        } else if self.end.seq.checked_add(u64::from(count)).is_none() {
            "there are no sequence numbers left"
        } else {
            return Ok(());
        };
        Err(LogError::OutOfOrder { seq: self.end.seq, why })
    }

    fn roll(&mut self, extent: usize) -> Result<(), LogError> {
        let bytes = spare_size(&self.config, extent);
        let header = SegmentHeader::new(self.config.cell, self.end, bytes);
        self.current = self.spare.segment(header).map_err(|(error, unknown)| {
            self.poisoned = unknown || !error.is_disk_full();
            error
        })?;
        self.at = SEGMENT_HEADER_BYTES as u64;
        let first_seq = self.current.header.first_seq();
        // A segment without a record begins where the new one does: that one has taken its name.
        self.segments.pop_if(|(last, _)| *last == first_seq);
        self.segments.push((first_seq, bytes));
        Ok(())
    }

    /// Makes the last record durable.
    ///
    /// # Errors
    /// Poisons the log: every later call fails, and the process should stop. A second sync would prove nothing.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.usable()?;
        if !planted::is(Bug::FsyncDropped) && self.unsynced {
            let synced = self.current.file.sync_data();
            self.poisoned = synced.is_err();
            synced.doing(|| format!("sync {}", self.current.path.display()))?;
        }
        self.unsynced = false;
        Ok(())
    }

    /// Removes the segments whose every record has `seq < below_seq`, oldest first; never the current one. Returns how many.
    ///
    /// # Errors
    /// The disk's; what was removed until then stays removed.
    pub fn trim(&mut self, below_seq: u64) -> Result<u32, LogError> {
        self.usable()?;
        self.retire(below_seq).remove()
    }

    /// As [`Log::trim`], but the files are left to the caller, for another thread: each costs a sync of the folder.
    pub fn retire(&mut self, below_seq: u64) -> Retired {
        let older = self.segments.windows(2).take_while(|pair| pair[1].0 <= below_seq).count();
        let names = if self.poisoned { Vec::new() } else { self.segments.drain(..older).map(|(first, _)| first).collect() };
        Retired { disk: Arc::clone(&self.disk), dir: self.dir.clone(), names }
    }

    /// First sequence number of the oldest segment kept (whether or not a record is in it yet).
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.segments[0].0
    }

    /// First sequence number and size of every segment, oldest first.
    pub(crate) fn segments(&self) -> &[(u64, u64)] {
        &self.segments
    }

    /// Bytes that the segments take, preallocated space included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Lets another thread make the next segment ahead of time.
    #[must_use]
    pub fn spare(&self) -> Spare {
        self.spare.clone()
    }

    /// Whether no write or sync has failed: then the log holds exactly what was acknowledged, and more can be appended.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.poisoned
    }

    fn usable(&self) -> Result<(), LogError> {
        if self.poisoned { Err(LogError::Poisoned) } else { Ok(()) }
    }
}

/// Segments that the log no longer counts, and that are still there. Until they are removed, and if they never are, they are only too much: the next opening
/// takes them for the log's oldest.
#[must_use = "the files stay until they are removed"]
pub struct Retired {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    names: Vec<u64>,
}

impl Retired {
    /// Removes them, oldest first. Returns how many.
    ///
    /// # Errors
    /// The disk's; what was removed until then stays removed.
    pub fn remove(self) -> Result<u32, LogError> {
        for first_seq in &self.names {
            let path = segment::path_of(&self.dir, *first_seq);
            // One at a time, so that a crash never leaves a hole between two segments.
            self.disk.remove(&path).and_then(|()| self.disk.sync_dir(&self.dir)).doing(|| format!("remove {}", path.display()))?;
        }
        Ok(u32::try_from(self.names.len()).unwrap_or(u32::MAX))
    }
}

fn spare_size(config: &LogConfig, extent: usize) -> u64 {
    segment::size_for(config.segment_bytes, extent)
}
