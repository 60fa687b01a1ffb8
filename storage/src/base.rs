//! The state on disk: one redb table on the file seam. Every value carries a CRC-32C over its key and itself, because redb does not verify its
//! checksums when it reads.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use redb::{
    CursorError, Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageBackend, Table,
    TableDefinition,
};

use crate::disk::{Disk, DiskFile, Open};
use crate::fault::{Fault, catch, raise};
use crate::log::Position;
use crate::pace::Pace;
use crate::view::{Direction, Layer, Source};
use crate::{Key, Value};

const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");
/// Table 0 is storage's own; its only key so far is the checkpoint's.
const CHECKPOINT: &[u8] = &[0, 0, 1];

/// What went wrong with the state file.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    #[error("the state file could not be read or written: {0}")]
    Redb(#[from] redb::Error),
    #[error("the state file does not open: {0}")]
    Open(#[from] redb::DatabaseError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the state file's checkpoint cannot be read; restore from a snapshot")]
    Checkpoint,
    #[error("the state file is damaged ({0}); keep the folder, and restore a snapshot into another one")]
    Damaged(Fault),
}

struct Backend(Box<dyn DiskFile>, Arc<Pace>);

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("state file")
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.1.write_back(&*self.0)?;
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.1.wrote(offset, data.len());
        self.0.write_at(offset, data)
    }
}

/// The open state file.
pub(crate) struct Base {
    /// `None` only while it is dropped.
    database: Option<Database>,
    pace: Arc<Pace>,
}

impl Drop for Base {
    /// redb writes when it is closed, and panics over some damage. While another panic unwinds, that would end the process without a word: then the file is
    /// left as after a crash, which it survives.
    fn drop(&mut self) {
        let database = self.database.take();
        if std::thread::panicking() {
            std::mem::forget(database);
        }
    }
}

impl Base {
    fn database(&self) -> &Database {
        self.database.as_ref().expect("only drop takes it")
    }

    /// Opens or creates the file, and says up to where it reaches.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, cache_bytes: usize) -> Result<(Self, Position), BaseError> {
        if !disk.exists(path)? {
            Self::create(disk, path)?;
        }
        let file = disk.open(path, Open::Write)?;
        // The process before may have stopped over a sync that failed when the file grew: the system then shows a length that the disk need not have, and a
        // later sync does not bring it back. redb takes its layout from the length, so it is made durable first.
        file.set_len(file.len()?)?;
        file.sync_data()?;
        // redb panics over some kinds of damage.
        let pace = Arc::<Pace>::default();
        let opened = catch(|| Database::builder().set_cache_size(cache_bytes).create_with_backend(Backend(file, pace.clone())));
        let database = opened.map_err(BaseError::Damaged)??;
        let base = Self { database: Some(database), pace };
        let position = match catch(|| base.snapshot().map(|snapshot| snapshot.get(CHECKPOINT))).map_err(BaseError::Damaged)?? {
            Some(bytes) => postcard::from_bytes(&bytes).map_err(|_| BaseError::Checkpoint)?,
            None => return Err(BaseError::Checkpoint),
        };
        Ok((base, position))
    }

    /// Makes an empty state under another name and renames it when it is whole: redb's own creation is not safe against a crash in its midst.
    fn create(disk: &dyn Disk, path: &Path) -> Result<(), BaseError> {
        let draft = path.with_extension("new");
        if disk.exists(&draft)? {
            disk.remove(&draft)?;
        }
        let pace = Arc::<Pace>::default();
        let database = Database::builder().create_with_backend(Backend(disk.open(&draft, Open::CreateNew)?, pace.clone()))?;
        let base = Self { database: Some(database), pace };
        base.fold(&Layer::new(), Position::ZERO)?;
        drop(base);
        disk.rename(&draft, path)?;
        if let Some(folder) = path.parent() {
            disk.sync_dir(folder)?;
        }
        Ok(())
    }

    /// How its folds share the machine.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Writes `layer` in one durable commit, together with the position that it reaches.
    pub(crate) fn fold(&self, layer: &Layer, position: Position) -> Result<(), BaseError> {
        let mut write = self.database().begin_write().map_err(redb::Error::from)?;
        write.set_durability(Durability::Immediate).map_err(redb::Error::from)?;
        // Without it a crash costs a walk over the whole file at the next start.
        write.set_quick_repair(true);
        {
            let mut rows = write.open_table(ROWS).map_err(redb::Error::from)?;
            let mut sealed = Vec::with_capacity(512);
            merge(&mut rows, layer, &mut sealed)?;
            let position = postcard::to_stdvec(&position).expect("a position is plain data and always encodes");
            seal(CHECKPOINT, &position, &mut sealed);
            rows.insert(CHECKPOINT, sealed.as_slice()).map_err(redb::Error::from)?;
        }
        write.commit().map_err(redb::Error::from)?;
        Ok(())
    }

    /// Puts rows (sorted, and after all that is there) into a state under construction, in one commit.
    pub(crate) fn load(&self, sorted: &[(Key, Value)]) -> Result<(), BaseError> {
        let write = self.database().begin_write().map_err(redb::Error::from)?;
        {
            let mut rows = write.open_table(ROWS).map_err(redb::Error::from)?;
            let mut sealed = Vec::with_capacity(512);
            let mut end = rows.upper_bound_mut(Bound::<&[u8]>::Unbounded).map_err(redb::Error::from)?;
            for (key, value) in sorted {
                seal(key, value, &mut sealed);
                end.insert_before(&key[..], sealed.as_slice()).map_err(redb::Error::from)?;
            }
            end.close().map_err(redb::Error::from)?;
        }
        write.commit().map_err(redb::Error::from)?;
        Ok(())
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot, BaseError> {
        let read = self.database().begin_read().map_err(redb::Error::from)?;
        Ok(Snapshot(Arc::new(read.open_table(ROWS).map_err(redb::Error::from)?)))
    }
}

/// Brings a layer into the tree, in key order. New keys that follow one another with no old one between them (rows named by time, mostly) go in as one
/// run, for about a third of what single ones cost redb.
fn merge(rows: &mut Table<'_, &'static [u8], &'static [u8]>, layer: &Layer, sealed: &mut Vec<u8>) -> Result<(), redb::Error> {
    let mut changes = layer.iter().peekable();
    // How many new keys to pass before a run is tried again: twice as many after each that had no second key.
    let (mut skipped, mut skips) = (0, 0);
    while let Some((key, change)) = changes.next() {
        let Some(value) = change else {
            rows.remove(&key[..])?;
            continue;
        };
        seal(&key, &value, sealed);
        let was_there = rows.insert(&key[..], sealed.as_slice())?.is_some();
        if was_there || skipped < skips {
            skipped += u32::from(!was_there);
            continue;
        }
        let mut run = rows.upper_bound_mut(Bound::Included(&key[..]))?;
        let mut is_run = false;
        while let Some((key, Some(value))) = changes.peek() {
            seal(key, value, sealed);
            match run.insert_before(&key[..], sealed.as_slice()) {
                Ok(()) => drop(changes.next()),
                Err(CursorError::UnorderedKey) => break,
                Err(error) => return Err(error.into()),
            }
            is_run = true;
        }
        run.close()?;
        (skipped, skips) = (0, if is_run { 0 } else { (skips * 2).clamp(1, RUN_SKIPS_MAX) });
    }
    Ok(())
}

/// A run is looked for at least once in so many new keys.
const RUN_SKIPS_MAX: u32 = 32;

fn seal(key: &[u8], value: &[u8], into: &mut Vec<u8>) {
    into.clear();
    into.extend_from_slice(&crc32c::crc32c_append(crc32c::crc32c(key), value).to_le_bytes());
    into.extend_from_slice(value);
}

fn unseal(key: &[u8], sealed: &[u8]) -> Value {
    opened(key, sealed).unwrap_or_else(|| raise(Fault::damaged(key, "its checksum does not match"))).into()
}

/// The value, if its checksum is right.
fn opened<'a>(key: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (crc, value) = sealed.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*crc) == crc32c::crc32c_append(crc32c::crc32c(key), value)).then_some(value)
}

/// The state as of one fold; holding it keeps its pages.
#[derive(Clone)]
pub(crate) struct Snapshot(Arc<ReadOnlyTable<&'static [u8], &'static [u8]>>);

impl Snapshot {
    /// Shows every entry in the tree's order, with its value if the checksum is right. Returns how many entries the tree says it has.
    pub(crate) fn walk(&self, mut each: impl FnMut(&[u8], Option<&[u8]>)) -> Result<u64, redb::StorageError> {
        for entry in self.0.iter()? {
            let (key, sealed) = entry?;
            each(key.value(), opened(key.value(), sealed.value()));
        }
        self.0.len()
    }

    /// Whether a search by key arrives at an entry.
    pub(crate) fn finds(&self, key: &[u8]) -> Result<bool, redb::StorageError> {
        Ok(self.0.get(key)?.is_some())
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Value> {
        match self.0.get(key) {
            Ok(found) => found.map(|guard| unseal(key, guard.value())),
            Err(error) => raise(Fault::Unreadable(error.to_string())),
        }
    }

    pub(crate) fn scan<'a>(&'a self, from: &[u8], to: &[u8], direction: Direction) -> Source<'a> {
        if from >= to {
            return Box::new(std::iter::empty());
        }
        let range = match self.0.range::<&[u8]>(from..to) {
            Ok(range) => range,
            Err(error) => raise(Fault::Unreadable(error.to_string())),
        };
        let entries = range.map(|entry| match entry {
            Ok((key, sealed)) => {
                let value = unseal(key.value(), sealed.value());
                (Key::from(key.value()), Some(value))
            }
            Err(error) => raise(Fault::Unreadable(error.to_string())),
        });
        crate::view::ordered(entries, direction)
    }
}
