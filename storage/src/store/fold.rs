//! The checkpoint: what has been published goes into the state file, on a thread of its own.
//!
//! ```text
//!   writer: fold_job() ───────────────► finish_fold() ──► readers rest on the new base
//!   folder:      └─► run / run_beside ──┘      └─► Folded::clear   (old segments, the folded layer)
//! ```
//! One redb commit carries the rows and the position that they reach, so that a crash sees all of a fold or nothing of it.

use std::sync::Arc;

use super::{Fatal, Store, state_failed};
use crate::base::{Base, BaseError, Snapshot};
use crate::disk::planted::{self, Bug};
use crate::log::{Position, Retired, Spare};
use crate::view::Layer;

/// Room for a fold: pages are copied when written and freed after, the file grows in steps, and the next log segment is made beside it.
const FOLD_ROOM_MIN: u64 = 8 << 20;
const FOLD_ROOM_PER_BYTE: u64 = 3;

/// A fold to run, on any thread.
pub struct FoldJob {
    layer: Layer,
    position: Position,
    base: Arc<Base>,
    spare: Spare,
}

/// A fold that ended well.
pub struct FoldDone {
    snapshot: Snapshot,
    position: Position,
}

/// What nobody needs after a fold: big, and slow to remove. Clear it off the writer.
#[must_use = "old segments stay on the disk until it is cleared"]
pub struct Folded {
    layer: Layer,
    segments: Retired,
}

impl Folded {
    /// Removes the old segments and frees the folded layer. Returns how many segments there were.
    ///
    /// # Errors
    /// [`Fatal`] if segments could not be removed.
    pub fn clear(self) -> Result<u32, Fatal> {
        drop(self.layer);
        Ok(self.segments.remove()?)
    }
}

impl Store {
    /// Whether a fold should begin.
    #[must_use]
    pub fn fold_due(&self) -> bool {
        !self.folding && self.recent_bytes >= self.options.fold_bytes
    }

    /// How full the recent layer is, in thousandths of what it may hold.
    #[must_use]
    pub fn strain(&self) -> u64 {
        self.recent_bytes as u64 * 1_000 / (self.options.recent_bytes_max as u64).max(1)
    }

    /// Begins a fold of everything published so far; `None` if one runs, a batch is open, there is nothing to fold, or the disk has no room for it. What is
    /// not published may yet be taken back by a new leader, so it stays out of the state file.
    pub fn fold_job(&mut self) -> Option<FoldJob> {
        if self.folding || self.batch.count > 0 || !self.has_room_to_fold() {
            return None;
        }
        let (layer, position) = self.layer_to_fold()?;
        self.folding = true;
        Some(FoldJob { layer, position, base: self.base.clone(), spare: self.log.spare() })
    }

    /// The fold under way gives up being gentle: the writer will soon have to wait for it.
    pub fn hurry_fold(&self) {
        self.base.pace().be_gentle(false);
    }

    /// redb cannot go on after a write that failed, so a fold is not begun where it might: commands wait in memory and in the log, and are refused once that
    /// is full, until there is room.
    fn has_room_to_fold(&self) -> bool {
        let needed = FOLD_ROOM_MIN + FOLD_ROOM_PER_BYTE * self.recent_bytes as u64;
        // A file system that cannot say is not a full one.
        self.disk.room(&self.dir).unwrap_or(u64::MAX) >= needed
    }

    /// Takes a finished fold over, between batches: readers see the new base, old log segments count no longer.
    pub fn finish_fold(&mut self, done: FoldDone) -> Folded {
        assert!(self.folding, "a fold that nobody began has ended");
        assert!(self.batch.count == 0, "readers would see an open batch: finish a fold between batches");
        self.folding = false;
        self.checkpoint = done.position;
        let layer = std::mem::take(&mut self.head.folding);
        self.rest_on(done.snapshot);
        Folded { layer, segments: self.log.retire(self.unneeded_below(done.position)) }
    }

    /// Segments go only below this sequence number: what recovery, those who hold the log, and the operator want to keep.
    fn unneeded_below(&self, checkpoint: Position) -> u64 {
        let segments = self.log.segments();
        let held = self.holds.bounded(segments, self.options.log_held_bytes_max);
        let mut kept = 0;
        let is_kept = |&&(_, bytes): &&(u64, u64)| {
            kept += bytes;
            kept <= self.options.log_kept_bytes
        };
        let kept = segments.iter().rev().take_while(is_kept).last().map_or(u64::MAX, |(first, _)| *first);
        held.unwrap_or(u64::MAX).min(kept).min(checkpoint.seq + 1)
    }

    /// Folds at once, on this thread (shutdown, tests, simulation).
    ///
    /// # Errors
    /// [`BaseError`] as text in a [`Fatal`].
    pub fn fold_now(&mut self) -> Result<(), Fatal> {
        if let Some(job) = self.fold_job() {
            let done = job.run().map_err(|error| Fatal(state_failed(&error)))?;
            self.finish_fold(done).clear()?;
        }
        Ok(())
    }
}

impl FoldJob {
    /// Writes the layer into redb in one durable commit, as fast as it goes.
    ///
    /// # Errors
    /// [`BaseError`]: the state file could not be written; the log still holds everything.
    pub fn run(self) -> Result<FoldDone, BaseError> {
        let mut claimed = self.position;
        claimed.seq += u64::from(planted::is(Bug::CheckpointSeqTooHigh));
        // The log's next segment, so that the writer need not write zeros when it rolls over. Without one it makes its own.
        let _ = self.spare.make();
        self.base.fold(&self.layer, claimed)?;
        let _ = self.spare.make();
        Ok(FoldDone { snapshot: self.base.snapshot()?, position: self.position })
    }

    /// The same beside a working writer, which goes first at the disk. [`Store::hurry_fold`] ends the courtesy.
    ///
    /// # Errors
    /// As [`FoldJob::run`].
    pub fn run_beside(self) -> Result<FoldDone, BaseError> {
        let base = self.base.clone();
        base.pace().be_gentle(true);
        let done = self.run();
        base.pace().be_gentle(false);
        done
    }
}
