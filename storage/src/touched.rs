//! Which rows an answer was drawn from, and whether it still stands.
//!
//! An answer that was made of a few rows is right until one of them changes, however much else is written. A sketch knows: a change leaves the
//! number of its command in the slot of its key and in that of its table, before any reader can see it. An answer keeps the slots of what it
//! was drawn from and the moment of its picture; it stands in every picture in which these slots hold nothing later.
//!
//! ```text
//!   run(command) ─ touch(key) ─► slot = seq ─┐ before
//!   publish ───────────────────► View(seq) ◄─┘
//!   stands(answer of moment m) in View(v): every slot ≤ m and ≤ v
//! ```
//! Two keys may share a slot: then an answer is drawn again that still stood. An answer that does not stand is never taken for one that does:
//! numbers in slots are those of the last change or later ones (of commands that are not published yet, or were forgotten).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// By key, and by table: a power of two each. 528 KiB a store.
const KEY_SLOTS: u32 = 1 << 16;
const TABLE_SLOTS: u32 = 1 << 11;

/// Where changes of a row, or of any row of a table, leave their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trace(u32);

impl Trace {
    /// Of one row, by its encoded key.
    #[must_use]
    pub fn of_key(key: &[u8]) -> Self {
        Self(TABLE_SLOTS + (crc32c::crc32c(key) & (KEY_SLOTS - 1)))
    }

    /// Of a whole table or index.
    #[must_use]
    pub fn of_table(id: u16) -> Self {
        Self(u32::from(id) & (TABLE_SLOTS - 1))
    }

    fn of_first_bytes(key: &[u8]) -> Self {
        Self::of_table(key.first_chunk::<2>().map_or(0, |id| u16::from_be_bytes(*id)))
    }
}

/// The picture that an answer was drawn from: of which store, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    store: u64,
    /// The last command in the picture.
    pub seq: u64,
}

impl Moment {
    /// Another moment of the same store.
    #[must_use]
    pub fn at(self, seq: u64) -> Self {
        Self { seq, ..self }
    }

    /// Whether both are of one store. Sequence numbers of different ones cannot be compared.
    #[must_use]
    pub fn is_beside(self, other: Self) -> bool {
        self.store == other.store
    }
}

/// What an answer was drawn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    pub since: Moment,
    traces: Box<[Trace]>,
}

impl Footprint {
    /// Of an answer for which the caller names the rows.
    #[must_use]
    pub fn new(since: Moment, traces: impl Into<Box<[Trace]>>) -> Self {
        Self { since, traces: traces.into() }
    }

    /// The rows' traces.
    #[must_use]
    pub fn traces(&self) -> &[Trace] {
        &self.traces
    }
}

/// The slots of one store; clones are one.
#[derive(Clone)]
pub(crate) struct Touched(Arc<Slots>);

struct Slots {
    store: u64,
    numbers: Box<[AtomicU64]>,
}

impl Touched {
    /// Nothing has changed yet.
    pub(crate) fn new() -> Self {
        static STORES: AtomicU64 = AtomicU64::new(0);
        let store = STORES.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Slots { store, numbers: (0..TABLE_SLOTS + KEY_SLOTS).map(|_| AtomicU64::new(0)).collect() }))
    }

    /// The row under `key` is changed by command `seq`. To be called before anybody can see the change.
    pub(crate) fn touch(&self, key: &[u8], seq: u64) {
        // Relaxed: who sees the change has it from the publication that follows, and with it this.
        for trace in [Trace::of_key(key), Trace::of_first_bytes(key)] {
            self.0.numbers[trace.0 as usize].store(seq, Ordering::Relaxed);
        }
    }

    pub(crate) fn moment(&self, seq: u64) -> Moment {
        Moment { store: self.0.store, seq }
    }

    /// Whether nothing with these traces has changed between `since` and `now`, whichever is earlier.
    pub(crate) fn stands(&self, traces: &[Trace], since: Moment, now: u64) -> bool {
        let least = since.seq.min(now);
        since.store == self.0.store && traces.iter().all(|trace| self.0.numbers[trace.0 as usize].load(Ordering::Relaxed) <= least)
    }
}

/// What was read of a picture.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<Trace>>);

impl Notes {
    pub(crate) fn key(&self, key: &[u8]) {
        self.add(&[Trace::of_key(key)]);
    }

    /// A scan looks at what is not there as well: the whole table.
    pub(crate) fn range(&self, from: &[u8], to: &[u8]) {
        let (first, last) = (Trace::of_first_bytes(from), Trace::of_first_bytes(to));
        // The end is exclusive: of a whole table it is the next one's beginning.
        match last.0.checked_sub(first.0) {
            Some(0) => self.add(&[first]),
            Some(1) if to.len() == 2 => self.add(&[first]),
            _ => self.add(&(0..TABLE_SLOTS).map(Trace).collect::<Vec<_>>()),
        }
    }

    pub(crate) fn add(&self, traces: &[Trace]) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for trace in traces {
            if !notes.contains(trace) {
                notes.push(*trace);
            }
        }
    }

    pub(crate) fn taken(&self) -> Vec<Trace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
