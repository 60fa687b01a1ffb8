//! The store: one writer's group commit over the log, published pictures for readers, the fold into redb, recovery.
//!
//! ```text
//!   begin(now) ─ run(command)* ─ sync ──► log append + fsync ─ publish_to ──► readers       commit = both at once
//!                                   │
//!            fold_job() ─ run (any thread) ─ finish_fold()      the checkpoint
//! ```
//! Everything here is synchronous and single-threaded but [`FoldJob::run`], so that a simulator can drive it call by call.

mod flight;
mod fold;
mod follow;
mod holds;
mod replay;
mod tables;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::base::{Base, BaseError};
use crate::changes;
use crate::clock::Timestamp;
use crate::disk::Disk;
use crate::log::{Log, LogConfig, LogError, Position};
use crate::random::Random;
use crate::touched::Touched;
use crate::txn::Txn;
use crate::upgrade;
use crate::view::{Layer, View};
use crate::{Change, Key};

use flight::Flight;
pub use fold::{FoldDone, FoldJob, Folded};
pub use follow::{Applied, ApplyError, CutError};
pub use holds::Holds;
use replay::Replayed;
pub use tables::Tables;

/// How a store is laid out and when it folds.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which cell (city group) the log belongs to; written into every segment.
    pub cell: u64,
    /// Size of a log segment, preallocated.
    pub segment_bytes: u64,
    /// redb's page cache.
    pub cache_bytes: usize,
    /// A fold is due once the recent layer holds this much.
    pub fold_bytes: usize,
    /// Above this the writer must refuse commands until a fold ends.
    pub recent_bytes_max: usize,
    /// How much log below the checkpoint is kept, for followers and for looking back.
    pub log_kept_bytes: u64,
    /// How large the log may grow for those who [hold](Holds) it; beyond this it is trimmed all the same.
    pub log_held_bytes_max: u64,
    /// Seed of ids and randomness: from the operating system in production, fixed in a simulation.
    pub seed: [u8; 32],
}

/// The city group of a server that serves one: which history its log is.
pub const CELL: u64 = 1;

impl Options {
    /// Sizes for a small server.
    #[must_use]
    pub fn with_seed(seed: [u8; 32]) -> Self {
        Self {
            cell: CELL,
            segment_bytes: 16 << 20,
            cache_bytes: 128 << 20,
            fold_bytes: 16 << 20,
            recent_bytes_max: 128 << 20,
            log_kept_bytes: 256 << 20,
            log_held_bytes_max: 2 << 30,
            seed,
        }
    }
}

/// Why a data folder does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another process uses this data folder ({0}); one folder serves one process")]
    Locked(PathBuf),
    #[error(
        "the state was migrated to format {found} by release {release}, and this program knows up to {known}: start that release or a newer one, or restore \
         the snapshot that it took before it migrated"
    )]
    NewerState { found: u32, known: u32, release: String },
    #[error("{0} holds an unfinished restore: run `medina restore` again into an empty folder")]
    Unfinished(PathBuf),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    State(#[from] BaseError),
    #[error("the data folder cannot be used: {0}")]
    Io(#[from] std::io::Error),
}

/// Whether the batch is durable is not known: the process must stop and recover from what the disk has.
#[derive(Debug, thiserror::Error)]
#[error("the log could not be made durable: {0}")]
pub struct Fatal(#[from] pub LogError);

/// Readers' side: the newest published picture.
#[derive(Clone)]
pub struct Views(Arc<ArcSwap<View>>);

impl Views {
    /// The newest picture; whole batches, durable.
    #[must_use]
    pub fn now(&self) -> Arc<View> {
        self.0.load_full()
    }
}

/// The writer's side.
pub struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    log: Log,
    base: Arc<Base>,
    /// Up to where the state file reached when it was opened or last folded.
    checkpoint: Position,
    head: View,
    published: Views,
    /// Durable here and not published yet, oldest first.
    flights: VecDeque<Flight>,
    random: Random,
    options: Options,
    epoch: u64,
    recent_bytes: usize,
    folding: bool,
    batch: Batch,
    holds: Holds,
    _lock: Box<dyn Send + Sync>,
}

#[derive(Default)]
struct Batch {
    now: Timestamp,
    count: u32,
    body: Vec<u8>,
    tables: Tables,
    /// Its share of the recent layer's bytes.
    recent_bytes: usize,
}

/// So many full recent layers are replayed into memory: one that was being folded, one above it, and one for what their accounting leaves out.
const REPLAYED_MAX: usize = 3;

/// Memory of an entry beyond its bytes, generously: three words of a node, its links above, what fills key and value up to words, and the piece's rest.
const ENTRY_OVERHEAD_BYTES: usize = 80;

fn state_failed(error: &BaseError) -> LogError {
    LogError::Io { what: "fold into the state file".to_owned(), source: std::io::Error::other(error.to_string()) }
}

fn entry_bytes(key: &Key, change: &Change) -> usize {
    ENTRY_OVERHEAD_BYTES + key.len() + change.as_ref().map_or(0, |value| value.len())
}

impl Store {
    /// Opens or creates `dir`: locks it, opens the state, replays the log after its checkpoint.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has been changed but a torn tail of the log, which is cut.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: Options) -> Result<Self, OpenError> {
        disk.create_dir_all(dir)?;
        let lock = disk.lock(&dir.join("lock")).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => OpenError::Locked(dir.to_owned()),
            _ => OpenError::Io(error),
        })?;
        if disk.exists(&dir.join(crate::snapshot::UNFINISHED))? {
            return Err(OpenError::Unfinished(dir.to_owned()));
        }
        Self::open_locked(disk, dir, options, lock)
    }

    fn open_locked(disk: Arc<dyn Disk>, dir: &Path, options: Options, lock: Box<dyn Send + Sync>) -> Result<Self, OpenError> {
        let (base, mut checkpoint) = Base::open(&*disk, &dir.join("state.redb"), options.cache_bytes)?;
        let mut replayed = Replayed::default();
        let mut reached = checkpoint;
        let config = LogConfig { segment_bytes: options.segment_bytes, cell: options.cell };
        let log = Log::open(disk.clone(), &dir.join("log"), config, checkpoint, &mut |record| {
            let commands = changes::decode(&record.body, record.count).map_err(|why| LogError::Corrupt {
                segment: dir.join("log"),
                offset: 0,
                why: format!("the record at sequence number {} is {why}", record.first_seq),
            })?;
            commands.into_iter().flatten().for_each(|(key, change)| replayed.add(key, change));
            reached =
                Position { epoch: record.epoch, seq: record.first_seq + u64::from(record.count) - 1, hash: record.hash, time: record.time };
            // A long log must not need as much memory as it is long. What one fold and the layer above it held before is taken as it is: it is folded
            // beside the first commands.
            if replayed.bytes() >= REPLAYED_MAX * options.recent_bytes_max {
                let (layer, _) = std::mem::take(&mut replayed).into_layer();
                base.fold(&layer, reached).map_err(|error| state_failed(&error))?;
                checkpoint = reached;
            }
            Ok(())
        })?;
        let (recent, recent_bytes) = replayed.into_layer();
        let touched = Touched::new();
        let head = View { recent, folding: Layer::new(), base: base.snapshot()?, position: reached, touched, notes: None };
        let format = upgrade::format_of(&head);
        if format.format > upgrade::KNOWN {
            return Err(OpenError::NewerState { found: format.format, known: upgrade::KNOWN, release: format.release });
        }
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            log,
            base: Arc::new(base),
            checkpoint,
            published: Views(Arc::new(ArcSwap::from_pointee(head.clone()))),
            flights: VecDeque::new(),
            random: Random::from_seed(options.seed),
            epoch: reached.epoch.max(1),
            head,
            options,
            recent_bytes,
            folding: false,
            batch: Batch::default(),
            holds: Holds::default(),
            _lock: lock,
        })
    }

    /// The handle that readers keep.
    #[must_use]
    pub fn views(&self) -> Views {
        self.published.clone()
    }

    /// Where those who still need the log below the checkpoint say so.
    #[must_use]
    pub fn holds(&self) -> Holds {
        self.holds.clone()
    }

    /// The last command that is durable here, published or not.
    #[must_use]
    pub fn position(&self) -> Position {
        self.head.position
    }

    /// The picture that the next command will see (the open batch included).
    #[must_use]
    pub fn head(&self) -> &View {
        &self.head
    }

    /// The disk below, for what lives beside the state.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Randomness outside a command (the engine's own needs, under the same seed).
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Opens a batch whose commands happen at `now`, or at the last batch's time if that is later: time never runs backwards in the log.
    pub fn begin(&mut self, now: Timestamp) {
        assert!(self.batch.count == 0, "a batch is open: commit it first");
        self.batch.now = now.max(self.head.position.time);
    }

    /// Runs one command in the open batch. `Ok` keeps its writes and takes a sequence number (none if nothing was written), `Err` forgets them.
    ///
    /// # Errors
    /// The command's own.
    pub fn run<T, E>(&mut self, command: impl FnOnce(&mut Txn<'_>) -> Result<T, E>) -> Result<(u64, T), E> {
        let last = self.head.position.seq + u64::from(self.batch.count);
        let mut txn = Txn::new(&self.head, &mut self.random, self.batch.now, last + 1);
        let value = command(&mut txn)?;
        let changes = txn.into_changes();
        if changes.is_empty() {
            return Ok((last, value));
        }
        changes::encode(changes.iter(), &mut self.batch.body);
        self.batch.count += 1;
        for (key, change) in changes {
            self.batch.tables.add_key(&key);
            self.batch.recent_bytes += entry_bytes(&key, &change);
            self.head.touched.touch(&key, last + 1);
            self.head.recent.insert(key, change);
        }
        Ok((last + 1, value))
    }

    /// The open batch as its record will hold it: how many commands, and their change sets. For who checks what a crash made of it.
    #[must_use]
    pub fn batch(&self) -> (u32, &[u8]) {
        (self.batch.count, &self.batch.body)
    }

    /// Bytes of the open batch, for a writer that bounds them.
    #[must_use]
    pub fn batch_bytes(&self) -> usize {
        self.batch.body.len()
    }

    /// Makes the open batch durable with one append and one sync, and publishes it. Returns how many commands it held.
    ///
    /// # Errors
    /// [`Fatal`]: the caller must stop the process; nothing may be acknowledged.
    pub fn commit(&mut self) -> Result<u32, Fatal> {
        let count = self.sync()?;
        self.publish_to(u64::MAX);
        Ok(count)
    }

    /// After a failed commit: whether nothing of the batch has reached the log, for want of room. Then the batch is forgotten as if its commands had been
    /// refused, and the store goes on.
    pub fn forget_batch(&mut self, fatal: &Fatal) -> bool {
        if !(self.log.is_usable() && fatal.0.is_disk_full()) {
            return false;
        }
        self.head = self.durable();
        self.batch.count = 0;
        self.batch.body.clear();
        self.batch.tables = Tables::default();
        self.batch.recent_bytes = 0;
        true
    }

    /// Whether the recent layer is full: refuse commands until a fold ends.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.recent_bytes >= self.options.recent_bytes_max
    }

    /// Bytes in memory that the next fold will write.
    #[must_use]
    pub fn recent_bytes(&self) -> usize {
        self.recent_bytes
    }
}
