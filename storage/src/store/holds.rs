//! Who still needs the log below the checkpoint.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Sequence numbers from which on somebody (the archive, a follower) still needs the log; clones are one list. Trimming respects them up to
/// [`Options::log_held_bytes_max`](super::Options::log_held_bytes_max): who stays away must not fill the disk.
#[derive(Clone, Debug, Default)]
pub struct Holds(Arc<Mutex<BTreeMap<String, u64>>>);

impl Holds {
    /// `who` needs the log from `seq` on, and no longer what is before it.
    pub fn hold(&self, who: &str, seq: u64) {
        self.list().insert(who.to_owned(), seq);
    }

    /// `who` needs nothing any more.
    pub fn release(&self, who: &str) {
        self.list().remove(who);
    }

    /// The lowest sequence number that somebody needs.
    #[must_use]
    pub fn lowest(&self) -> Option<u64> {
        self.list().values().min().copied()
    }

    fn list(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
