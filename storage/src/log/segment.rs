//! Segment files: names, creation ahead of use, loading.

use super::LogError;
use super::error::Doing;
use super::format::{BadHeader, FORMAT, SECTOR, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::disk::planted::{self, Bug};
use crate::disk::{Disk, DiskFile, Open};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SUFFIX: &str = ".log";
const UNFINISHED: &str = ".tmp";

pub(super) fn path_of(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:020}{SUFFIX}"))
}

/// First sequence numbers of the segments in `dir`, ascending.
pub(super) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, LogError> {
    let names = disk.list(dir).doing(|| format!("list {}", dir.display()))?;
    Ok(names.iter().filter_map(|name| seq_of(name)).collect())
}

fn seq_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(SUFFIX)?;
    let plain = number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| number.parse().ok())?
}

/// Removes what a crash left unfinished.
pub(super) fn clear_unfinished(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    let names = disk.list(dir).doing(|| format!("list {}", dir.display()))?;
    for name in names.iter().filter(|name| name.ends_with(UNFINISHED)) {
        disk.remove(&dir.join(name)).doing(|| format!("remove {name}"))?;
    }
    Ok(())
}

/// A segment opened for reading or writing, its header checked against its name, its length and the cell.
pub(super) struct Segment {
    pub path: PathBuf,
    pub file: Box<dyn DiskFile>,
    pub header: SegmentHeader,
}

impl Segment {
    pub fn open(disk: &dyn Disk, dir: &Path, first_seq: u64, how: Open, cell: Option<u64>) -> Result<Self, LogError> {
        let path = path_of(dir, first_seq);
        let file = disk.open(&path, how).doing(|| format!("open {}", path.display()))?;
        let len = file.len().doing(|| format!("measure {}", path.display()))?;
        let damaged = |why: &str| LogError::Corrupt { segment: path.clone(), offset: 0, why: why.to_owned() };
        if len < SEGMENT_HEADER_BYTES as u64 {
            return Err(damaged("the file is too short to be a segment"));
        }
        let mut sector = [0; SEGMENT_HEADER_BYTES];
        file.read_at(0, &mut sector).doing(|| format!("read {}", path.display()))?;
        let header = SegmentHeader::decode(&sector).map_err(|bad| match bad {
            BadHeader::Damaged(why) => damaged(why),
            BadHeader::NewerFormat(found) => LogError::NewerFormat { found, known: FORMAT },
        })?;
        if header.first_seq() != first_seq {
            return Err(damaged("the segment begins at another record than its name says"));
        }
        if header.bytes != len {
            return Err(damaged("the file has not the length that its header says"));
        }
        if let Some(wanted) = cell
            && wanted != header.cell
        {
            return Err(LogError::OtherCell { wanted, found: header.cell });
        }
        Ok(Self { path, file, header })
    }

    /// The whole file, to look at with [`super::scan::look`].
    pub fn load(&self, image: &mut Vec<u8>) -> Result<(), LogError> {
        let len = usize::try_from(self.header.bytes).map_err(|_| self.corrupt(0, "too large"))?;
        image.resize(len, 0);
        self.file.read_at(0, image).doing(|| format!("read {}", self.path.display()))
    }

    pub fn corrupt(&self, offset: usize, why: &str) -> LogError {
        LogError::Corrupt { segment: self.path.clone(), offset: offset as u64, why: why.to_owned() }
    }
}

/// Makes segment files ahead of use: zeros on the disk, so that an append changes no metadata and a sync costs half.
///
/// Clones share one spare file. [`Spare::make`] on another thread (the folder's, say) takes the tens of milliseconds
/// that a new segment costs away from the writer.
#[derive(Clone)]
pub struct Spare {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    bytes: u64,
    state: Arc<Mutex<SpareState>>,
}

#[derive(Default)]
struct SpareState {
    ready: Option<PathBuf>,
    making: bool,
    made: u64,
}

impl Spare {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: &Path, bytes: u64) -> Self {
        Self { disk, dir: dir.to_path_buf(), bytes, state: Arc::default() }
    }

    /// Makes the spare segment if there is none; says whether it did.
    ///
    /// # Errors
    /// The disk's, such as a full one. The log goes on and makes its next segment itself.
    pub fn make(&self) -> Result<bool, LogError> {
        let Some(path) = self.begin() else {
            return Ok(false);
        };
        let made = zeros(&*self.disk, &path, self.bytes, true);
        let mut state = self.state();
        state.making = false;
        made?;
        state.ready = Some(path);
        Ok(true)
    }

    fn begin(&self) -> Option<PathBuf> {
        let mut state = self.state();
        if state.making || state.ready.is_some() {
            return None;
        }
        state.making = true;
        state.made += 1;
        Some(self.dir.join(format!("spare-{}{UNFINISHED}", state.made)))
    }

    fn take(&self, bytes: u64) -> Option<PathBuf> {
        if bytes == self.bytes { self.state().ready.take() } else { None }
    }

    fn state(&self) -> MutexGuard<'_, SpareState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment that begins after `header.start`, durable and with its name: from the spare, or made now.
    ///
    /// The flag in the error says that the disk may hold the segment all the same.
    pub(super) fn segment(&self, header: SegmentHeader) -> Result<Segment, (LogError, bool)> {
        let disk = &*self.disk;
        let path = path_of(&self.dir, header.first_seq());
        let prepare = || {
            let unfinished = match self.take(header.bytes) {
                Some(spare) => spare,
                None => {
                    let new = path.with_extension(&UNFINISHED[1..]);
                    zeros(disk, &new, header.bytes, false)?;
                    new
                }
            };
            let file = disk.open(&unfinished, Open::Write).doing(|| format!("open {}", unfinished.display()))?;
            file.write_at(0, &header.encode()).and_then(|()| file.sync_data()).doing(|| format!("write {}", unfinished.display()))?;
            Ok((file, unfinished))
        };
        let (file, unfinished) = prepare().map_err(|error| (error, false))?;
        disk.rename(&unfinished, &path)
            .and_then(|()| sync_dir_after_rename(disk, &self.dir))
            .doing(|| format!("name {}", path.display()))
            .map_err(|error| (error, true))?;
        Ok(Segment { path, file, header })
    }
}

fn sync_dir_after_rename(disk: &dyn Disk, dir: &Path) -> std::io::Result<()> {
    if planted::is(Bug::DirSyncDropped) {
        return Ok(());
    }
    disk.sync_dir(dir)
}

/// A file of zeros, written (not merely allocated: an unwritten extent would be converted at each first sync) and synced.
/// A file left by an attempt that failed is made anew. Made `ahead` of use, it goes to the device step by step: the log's syncs do not wait behind all of it.
fn zeros(disk: &dyn Disk, path: &Path, bytes: u64, ahead: bool) -> Result<(), LogError> {
    static ZEROS: [u8; 1 << 18] = [0; 1 << 18];
    let write = || {
        if disk.exists(path)? {
            disk.remove(path)?;
        }
        let file = disk.open(path, Open::CreateNew)?;
        let mut at = 0;
        while at < bytes {
            let step = (bytes - at).min(ZEROS.len() as u64);
            file.write_at(at, &ZEROS[..step as usize])?;
            if ahead {
                file.write_back(at, step)?;
            }
            at += step;
        }
        file.sync_data()
    };
    let written = write();
    if written.is_err() {
        // Best effort: on a full disk the room is needed; what stays is removed by the next opening.
        disk.remove(path).ok();
    }
    written.doing(|| format!("prepare {}", path.display()))
}

/// The size of the file for a segment that must hold a first record of `extent` bytes.
pub(super) fn size_for(segment_bytes: u64, extent: usize) -> u64 {
    let least = (SEGMENT_HEADER_BYTES + extent).next_multiple_of(SECTOR) as u64;
    segment_bytes.next_multiple_of(SECTOR as u64).max(least)
}
