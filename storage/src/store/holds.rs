//! Who still needs the log below the checkpoint, and how much of it that is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Sequence numbers from which on somebody (the archive, a follower, the newest snapshot) still needs the log; clones are one list. Trimming respects them up
/// to [`Options::log_held_bytes_max`](super::Options::log_held_bytes_max): who stays away must not fill the disk.
#[derive(Clone, Debug, Default)]
pub struct Holds(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    from: BTreeMap<String, u64>,
    /// The log's segments, oldest first, as of the last fold: first sequence number, bytes.
    segments: Vec<(u64, u64)>,
    bytes_max: u64,
}

impl Holds {
    /// `who` needs the log from `seq` on, and no longer what is before it.
    pub fn hold(&self, who: &str, seq: u64) {
        self.inner().from.insert(who.to_owned(), seq);
    }

    /// `who` needs nothing any more.
    pub fn release(&self, who: &str) {
        self.inner().from.remove(who);
    }

    /// The lowest sequence number that somebody needs.
    #[must_use]
    pub fn lowest(&self) -> Option<u64> {
        self.inner().from.values().min().copied()
    }

    /// Whether `who` held, at the last fold, three quarters of what may be held: time to do something about it before it is not waited for any more.
    #[must_use]
    pub fn is_outgrown(&self, who: &str) -> bool {
        let inner = self.inner();
        let held = inner.from.get(who).map_or(0, |from| bytes_from(&inner.segments, *from));
        held > inner.bytes_max / 4 * 3
    }

    /// The lowest sequence number that somebody needs and that at most `bytes_max` of the log follow: who needs more has to begin again elsewhere. `None` if
    /// there is no such holder.
    pub(super) fn bounded(&self, segments: &[(u64, u64)], bytes_max: u64) -> Option<u64> {
        let mut inner = self.inner();
        inner.segments.clear();
        inner.segments.extend_from_slice(segments);
        inner.bytes_max = bytes_max;
        inner.from.values().filter(|from| bytes_from(segments, **from) <= bytes_max).min().copied()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stays if everything below `from` goes.
fn bytes_from(segments: &[(u64, u64)], from: u64) -> u64 {
    let gone = segments.windows(2).take_while(|pair| pair[1].0 <= from).count();
    segments[gone..].iter().map(|(_, bytes)| bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_needs_too_much_is_not_waited_for() {
        let holds = Holds::default();
        let segments = [(1, 10), (100, 10), (200, 10), (300, 10)];
        assert_eq!((holds.lowest(), holds.bounded(&segments, 100)), (None, None));
        for (who, from) in [("dead", 5), ("slow", 150), ("live", 310)] {
            holds.hold(who, from);
        }
        assert_eq!(holds.lowest(), Some(5));
        for (bytes_max, bounded) in [(40, Some(5)), (39, Some(150)), (30, Some(150)), (29, Some(310)), (10, Some(310)), (9, None)] {
            assert_eq!(holds.bounded(&segments, bytes_max), bounded, "{bytes_max}");
        }
        holds.bounded(&segments, 40);
        assert_eq!(["dead", "slow", "live", "nobody"].map(|who| holds.is_outgrown(who)), [true, false, false, false]);
        holds.bounded(&segments, 36);
        assert!(holds.is_outgrown("slow"), "30 are more than three quarters of 36");
        holds.release("dead");
        assert_eq!(holds.bounded(&segments, 40), Some(150));
    }
}
