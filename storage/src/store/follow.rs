//! A store that follows another node's log: it takes the very same records, opens epochs, and gives its own end up where histories part.

use std::path::Path;

use super::{Fatal, OpenError, Store, Tables, entry_bytes};
use crate::changes;
use crate::clock::Timestamp;
use crate::disk::Open;
use crate::disk::planted::{self, Bug};
use crate::log::{self, LogConfig, LogError, LogReader, Position, Record};
use crate::replica::epoch;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is durable here, and readers see it.
    New,
    /// It was here before; nothing was changed.
    Already,
}

/// Why a record was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It does not continue this node's history: ask the leader where the two part.
    #[error("the record at {seq} cannot be applied here: {why}")]
    Refused { seq: u64, why: String },
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

/// Why an end could not be cut.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// The state file already holds what would have to go: set the whole folder aside and begin from the leader's snapshot.
    #[error("the state file reaches to {checkpoint}, beyond the common record {common}")]
    Folded { checkpoint: u64, common: u64 },
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the end could not be set aside: {0}")]
    Io(#[from] std::io::Error),
}

impl Store {
    /// Takes the leader's next record: checks that it continues this history (sequence number, hash of the record before, epoch, its own hash), appends
    /// the very same record here, syncs, publishes. A record that is here already changes nothing.
    ///
    /// # Errors
    /// [`ApplyError::Refused`]: nothing was changed. [`ApplyError::Fatal`]: stop the process.
    pub fn apply(&mut self, record: &Record) -> Result<Applied, ApplyError> {
        assert!(self.batch.count == 0, "a follower runs no commands of its own");
        let refused = |why: &str| ApplyError::Refused { seq: record.first_seq, why: why.to_owned() };
        let is_old = record.last_seq() <= self.head.position.seq;
        if is_old && !planted::is(Bug::BatchTwice) {
            return Ok(Applied::Already);
        }
        if let Some(why) = record.breaks_after(&self.head.position).filter(|_| !is_old) {
            return Err(refused(why));
        }
        let commands = changes::decode(&record.body, record.count).map_err(|why| refused(&format!("it is {why}")))?;
        if !is_old {
            match self.log.append_same(record) {
                Err(LogError::OutOfOrder { why, .. }) => return Err(refused(why)),
                Err(error) => return Err(Fatal(error).into()),
                Ok(position) => self.head.position = position,
            }
            self.log.sync().map_err(Fatal)?;
            self.epoch = self.epoch.max(record.epoch);
        }
        for (key, change) in commands.into_iter().flatten() {
            self.recent_bytes += entry_bytes(&key, &change);
            self.head.touched.touch(&key, record.last_seq());
            self.head.recent.insert(key, change);
        }
        self.fly(record.count, record.body.clone(), Tables::ALL);
        self.publish_to(u64::MAX);
        Ok(Applied::New)
    }

    /// Begins epoch `epoch`, durable before it returns: a record of its own that says where the epoch before ended. Nothing is done if this history has
    /// reached that epoch already, so it can be tried again after a crash.
    ///
    /// # Errors
    /// [`Fatal`]: stop the process.
    pub fn open_epoch(&mut self, epoch: u64, now: Timestamp) -> Result<Position, Fatal> {
        if epoch <= self.head.position.epoch {
            return Ok(self.head.position);
        }
        let before = self.head.position;
        self.epoch = epoch;
        self.begin(now);
        let ran: Result<_, std::convert::Infallible> = self.run(|txn| {
            epoch::put(txn, epoch, before);
            Ok(())
        });
        let Ok(_) = ran;
        self.commit()?;
        Ok(self.head.position)
    }

    /// Up to where the state file reaches: what is there cannot be cut.
    #[must_use]
    pub fn checkpoint(&self) -> Position {
        self.checkpoint
    }

    /// The folder of the log, for a [`LogReader`] beside this store.
    #[must_use]
    pub fn log_dir(&self) -> std::path::PathBuf {
        self.dir.join("log")
    }

    /// Gives up every record after `common`, where this history and the leader's part: each becomes lines of text in the file `aside` (made whole and
    /// durable first), then they are cut from the log and the store opens again at `common`.
    ///
    /// After a crash in the midst, open the store and cut again; give `aside` a name that says where the log ended, so that a shorter second
    /// account does not replace the first.
    ///
    /// # Errors
    /// [`CutError`]; before the file is whole nothing has been changed.
    pub fn cut(self, common: Position, aside: &Path, tell: &mut dyn FnMut(&Record) -> String) -> Result<Self, CutError> {
        if self.checkpoint.seq > common.seq {
            return Err(CutError::Folded { checkpoint: self.checkpoint.seq, common: common.seq });
        }
        if self.head.position == common {
            return Ok(self);
        }
        let Self { disk, dir, log, base, options, flights, head, published, _lock: lock, .. } = self;
        drop((log, base, flights, head, published));
        let log_dir = dir.join("log");
        let mut reader = LogReader::open(disk.clone(), &log_dir, common.seq + 1)?;
        let draft = aside.with_extension("draft");
        if disk.exists(&draft)? {
            disk.remove(&draft)?;
        }
        let file = disk.open(&draft, Open::CreateNew)?;
        let (mut at, mut first) = (0, true);
        while let Some(record) = reader.next()? {
            if std::mem::take(&mut first) && (record.first_seq != common.seq + 1 || record.prev != common.hash) {
                return Err(LogError::Diverged { seq: common.seq }.into());
            }
            let text = tell(&record);
            file.write_at(at, text.as_bytes())?;
            at += text.len() as u64;
        }
        file.sync_data()?;
        disk.rename(&draft, aside)?;
        if let Some(folder) = aside.parent() {
            disk.sync_dir(folder)?;
        }
        log::cut(&*disk, &log_dir, LogConfig { segment_bytes: options.segment_bytes, cell: options.cell }, common)?;
        Ok(Self::open_locked(disk, &dir, options, lock)?)
    }
}
