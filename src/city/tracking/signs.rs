//! Signs of life: when each device was last heard of, by a clock that only goes forward. A ping writes its own without a lock; the watch reads them all.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use index::geo::{POSITIONS_MAX, Slot};

use crate::city::couriers::CourierId;

const CHUNK: usize = 4_096;
/// Nobody listens for this device: its courier does not work.
const UNWATCHED: u64 = 0;

/// One device's. The times are milliseconds of the monotonic clock, plus 1 so that 0 says "none".
#[derive(Default)]
pub(super) struct Sign {
    courier: OnceLock<CourierId>,
    heard_ms: AtomicU64,
    /// What `heard_ms` was when the courier was marked as silent.
    silent_ms: AtomicU64,
    /// The highest sequence number that the device gave to a fix, plus 1.
    seq: AtomicU64,
    doubted: AtomicBool,
}

impl Sign {
    /// Whether a fix of this number is later than all before it. `None` from devices that do not count.
    pub(super) fn counts_on(&self, seq: Option<u64>) -> Option<bool> {
        let next = seq?.saturating_add(1);
        Some(self.seq.fetch_max(next, Ordering::AcqRel) < next)
    }

    pub(super) fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Acquire)
    }

    pub(super) fn doubt(&self, doubted: bool) {
        self.doubted.store(doubted, Ordering::Release);
    }
}

/// A device that somebody listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    pub courier: CourierId,
    /// When it was heard of last.
    pub at_ms: u64,
    /// Whether its courier is marked as silent, and whether it was heard of since.
    pub marked: Option<bool>,
}

/// All devices', by slot.
pub struct Signs {
    chunks: Box<[OnceLock<Box<[Sign]>>]>,
    /// Slots below this may have a sign.
    end: AtomicUsize,
}

impl Default for Signs {
    fn default() -> Self {
        Self { chunks: (0..POSITIONS_MAX.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect(), end: AtomicUsize::new(0) }
    }
}

impl Signs {
    pub(super) fn of(&self, slot: Slot) -> &Sign {
        let index = slot.index();
        let chunk = self.chunks[index / CHUNK].get_or_init(|| (0..CHUNK).map(|_| Sign::default()).collect());
        &chunk[index % CHUNK]
    }

    /// The device was heard of; from now on somebody listens for it. Never back: two connections of one device may come in either order.
    pub(super) fn heard(&self, slot: Slot, courier: CourierId, now_ms: u64) {
        let sign = self.of(slot);
        sign.courier.get_or_init(|| courier);
        sign.heard_ms.fetch_max(now_ms.saturating_add(1), Ordering::AcqRel);
        self.end.fetch_max(slot.index() + 1, Ordering::AcqRel);
    }

    /// Known to be silent from before this process: the first sign is a return.
    pub(super) fn mute(&self, slot: Slot, courier: CourierId) {
        self.heard(slot, courier, 0);
        self.mark(slot, 0);
    }

    /// The courier was marked as silent because nothing came after `at_ms`.
    pub(super) fn mark(&self, slot: Slot, at_ms: u64) {
        self.of(slot).silent_ms.store(at_ms.saturating_add(1), Ordering::Release);
    }

    /// The courier was welcomed back.
    pub(super) fn unmark(&self, slot: Slot) {
        self.of(slot).silent_ms.store(UNWATCHED, Ordering::Release);
    }

    /// Nobody listens any more.
    pub(super) fn forget(&self, slot: Slot) {
        let sign = self.of(slot);
        sign.heard_ms.store(UNWATCHED, Ordering::Release);
        sign.silent_ms.store(UNWATCHED, Ordering::Release);
    }

    /// When this device was heard of last; `None` if nobody listens for it.
    pub(super) fn last(&self, slot: Slot) -> Option<u64> {
        self.of(slot).heard_ms.load(Ordering::Acquire).checked_sub(1)
    }

    /// Everybody who is listened for.
    pub fn watched(&self) -> impl Iterator<Item = Heard> + '_ {
        let end = self.end.load(Ordering::Acquire);
        let signs = self.chunks.iter().filter_map(OnceLock::get).flat_map(|chunk| chunk.iter()).take(end);
        signs.filter_map(|sign| {
            let heard_ms = sign.heard_ms.load(Ordering::Acquire);
            let silent_ms = sign.silent_ms.load(Ordering::Acquire);
            let at_ms = heard_ms.checked_sub(1)?;
            Some(Heard { courier: *sign.courier.get()?, at_ms, marked: (silent_ms != UNWATCHED).then_some(heard_ms > silent_ms) })
        })
    }
}
