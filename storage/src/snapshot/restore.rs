//! From a snapshot, and records of the log after it, to a folder that [`Store::open`](crate::Store::open) takes.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Header, Reader, SnapshotError, Summary};
use crate::base::Base;
use crate::changes;
use crate::disk::Disk;
use crate::log::{Hash, Position, Record};
use crate::view::Layer;
use crate::{Key, Value};

/// The state under construction. While it is there the folder does not open: half a state must not pass for a whole one.
pub const UNFINISHED: &str = "state.restore";
/// Rows of one redb transaction, in bytes: few syncs, and memory that a small server has.
const LOAD_BYTES: usize = 64 << 20;
const CACHE_BYTES: usize = 128 << 20;

/// A restore under way: a snapshot has been loaded, records may follow, [`Restoring::finish`] makes the folder whole.
pub struct Restoring {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    base: Base,
    layer: Layer,
    layer_bytes: usize,
    position: Position,
    snapshot: Summary,
}

impl Restoring {
    /// Loads the snapshot `from` into `dir`, which is made if need be.
    ///
    /// # Errors
    /// [`SnapshotError::NotEmpty`], or what is wrong with the snapshot or the disk. The folder then holds at most an unfinished state, which the next
    /// attempt replaces.
    pub fn begin(disk: Arc<dyn Disk>, dir: &Path, from: impl Read) -> Result<Self, SnapshotError> {
        disk.create_dir_all(dir)?;
        if disk.exists(&dir.join("state.redb"))? || disk.exists(&dir.join("log"))? {
            return Err(SnapshotError::NotEmpty(dir.to_owned()));
        }
        let draft = dir.join(UNFINISHED);
        if disk.exists(&draft)? {
            disk.remove(&draft)?;
        }
        let mut reader = Reader::open(from)?;
        let (base, _) = Base::open(&*disk, &draft, CACHE_BYTES)?;
        let mut rows: Vec<(Key, Value)> = Vec::new();
        let mut bytes = 0;
        while let Some(chunk) = reader.next_chunk()? {
            bytes += chunk.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
            rows.extend(chunk);
            if bytes >= LOAD_BYTES {
                base.load(&rows)?;
                rows.clear();
                bytes = 0;
            }
        }
        base.load(&rows)?;
        let snapshot = reader.summary().expect("a reader that has said None has checked the end and made its summary");
        Ok(Self { disk, dir: dir.to_owned(), base, layer: Layer::new(), layer_bytes: 0, position: snapshot.header.position, snapshot })
    }

    /// The snapshot it began with.
    #[must_use]
    pub fn snapshot(&self) -> Summary {
        self.snapshot
    }

    /// Where the state stands.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Applies the record that follows.
    ///
    /// # Errors
    /// [`SnapshotError::Record`] if it is not the one that follows, or its body is no change set.
    pub fn apply(&mut self, record: &Record) -> Result<(), SnapshotError> {
        self.apply_until(record, u64::MAX)
    }

    /// Applies the commands of `record` up to and including `seq`. A state that ends within a record has a hash of its own, for no record ends there.
    ///
    /// # Errors
    /// As [`Restoring::apply`].
    pub fn apply_until(&mut self, record: &Record, seq: u64) -> Result<(), SnapshotError> {
        let bad = |why: String| SnapshotError::Record { seq: record.first_seq, why };
        if let Some(why) = record.breaks_after(&self.position) {
            return Err(bad(why.to_owned()));
        }
        if seq < record.first_seq {
            return Ok(());
        }
        let commands = changes::decode(&record.body, record.count).map_err(|why| bad(why.to_string()))?;
        let wanted = usize::try_from(seq - record.first_seq).unwrap_or(usize::MAX).saturating_add(1);
        let applied = wanted.min(commands.len());
        for (key, change) in commands.into_iter().take(applied).flatten() {
            self.layer_bytes += key.len() + change.as_ref().map_or(0, |value| value.len());
            self.layer.insert(key, change);
        }
        let whole = record.position();
        self.position = if applied as u64 == u64::from(record.count) {
            whole
        } else {
            let seq = record.first_seq + applied as u64 - 1;
            Position { seq, hash: within(&whole.hash, seq), ..whole }
        };
        if self.layer_bytes >= LOAD_BYTES {
            self.fold(self.position)?;
        }
        Ok(())
    }

    fn fold(&mut self, position: Position) -> Result<(), SnapshotError> {
        self.base.fold(&self.layer, position)?;
        self.layer.clear();
        self.layer_bytes = 0;
        Ok(())
    }

    /// Makes the folder whole and durable; its store begins at the position returned, in the epoch of what was restored. Whoever restores a backup
    /// [opens a new epoch](crate::Store::open_epoch) before anything else: the copy must never be taken for the history that it was made from.
    ///
    /// # Errors
    /// The disk's.
    pub fn finish(mut self) -> Result<Position, SnapshotError> {
        let position = self.position;
        self.fold(position)?;
        drop(self.base);
        self.disk.rename(&self.dir.join(UNFINISHED), &self.dir.join("state.redb"))?;
        self.disk.sync_dir(&self.dir)?;
        Ok(position)
    }
}

/// The hash of a state that ends at `seq`, within the record with this hash.
fn within(record: &Hash, seq: u64) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"medina: within a record").update(&record.0).update(&seq.to_le_bytes());
    Hash(*hasher.finalize().as_bytes())
}

/// Restores the snapshot alone, in its own epoch: what a follower begins with.
///
/// # Errors
/// As [`Restoring::begin`].
pub fn restore(from: impl Read, disk: Arc<dyn Disk>, dir: &Path) -> Result<Header, SnapshotError> {
    let restoring = Restoring::begin(disk, dir, from)?;
    let header = restoring.snapshot().header;
    restoring.finish()?;
    Ok(header)
}
