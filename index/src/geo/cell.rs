//! One courier's live position: written without waiting for readers, read without waiting for a writer.
//!
//! ```text
//! state = version << 1 | writing      buffers[version & 1] is current, the other one is being written
//!
//! ping:   set writing ─► fill the other buffer ─► version + 1, writing off   (one store publishes)
//! query:  version ─► copy the current buffer ─► version again: same? whole copy : once more
//! ```
//!
//! A reader that meets a half-finished ping reads the previous fix and goes on, even if the writing thread sleeps. It tries
//! again only if a whole ping was published during its copy of 24 bytes. Two pings of the same courier take turns.

use super::Point;
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence, give_way};

/// What a device reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fix {
    pub point: Point,
    /// Device time, milliseconds since 1970.
    pub at_ms: i64,
    /// Degrees clockwise from north, 0..360.
    pub heading_deg: Option<u16>,
    /// Kept in cm/s up to 655 m/s.
    pub speed_mps: Option<f32>,
    /// Radius in metres, kept in decimetres up to 6.5 km.
    pub accuracy_m: Option<f32>,
}

/// What became of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ping {
    /// It is the newest fix now.
    Taken,
    /// A fix with the same or a later device time was there already; nothing changed.
    Late,
}

const NOWHERE: u64 = pack_point(i32::MIN, 0);
const WRITING: u32 = 1;
const UNKNOWN: u16 = u16::MAX;

const fn pack_point(lat_e7: i32, lon_e7: i32) -> u64 {
    ((lat_e7 as u32 as u64) << 32) | lon_e7 as u32 as u64
}

/// `(lat, lon)` in 1e-7 degrees.
fn unpack_point(word: u64) -> Option<(i32, i32)> {
    (word != NOWHERE).then_some(((word >> 32) as u32 as i32, word as u32 as i32))
}

fn pack_scaled(value: Option<f32>, per_unit: f32) -> u16 {
    // `as` saturates and takes NaN to 0; the last value is reserved for "unknown".
    value.map_or(UNKNOWN, |value| ((value * per_unit).round() as u16).min(UNKNOWN - 1))
}

fn unpack_scaled(word: u64, per_unit: f32) -> Option<f32> {
    let value = word as u16;
    (value != UNKNOWN).then(|| f32::from(value) / per_unit)
}

struct Buffer {
    point: AtomicU64,
    at_ms: AtomicU64,
    motion: AtomicU64,
}

/// A courier's slot: one cache line.
#[repr(align(64))]
pub(super) struct Cell {
    state: AtomicU32,
    tag: AtomicU64,
    buffers: [Buffer; 2],
}

#[derive(Clone, Copy)]
struct Words {
    point: u64,
    at_ms: i64,
    motion: u64,
}

impl Buffer {
    fn empty() -> Self {
        Self { point: AtomicU64::new(NOWHERE), at_ms: AtomicU64::new(i64::MIN as u64), motion: AtomicU64::new(u64::MAX) }
    }

    fn load(&self) -> Words {
        Words {
            point: self.point.load(Ordering::Relaxed),
            at_ms: self.at_ms.load(Ordering::Relaxed) as i64,
            motion: self.motion.load(Ordering::Relaxed),
        }
    }

    fn store(&self, words: Words) {
        self.point.store(words.point, Ordering::Relaxed);
        self.at_ms.store(words.at_ms as u64, Ordering::Relaxed);
        self.motion.store(words.motion, Ordering::Relaxed);
    }
}

impl Cell {
    pub(super) fn new() -> Self {
        Self { state: AtomicU32::new(0), tag: AtomicU64::new(0), buffers: [Buffer::empty(), Buffer::empty()] }
    }

    /// The caller's word about this courier. It is a fact of its own, not of a fix, hence a word of its own.
    pub(super) fn tag(&self) -> u64 {
        self.tag.load(Ordering::Acquire)
    }

    pub(super) fn set_tag(&self, tag: u64) {
        self.tag.store(tag, Ordering::Release);
    }

    /// Stores `fix` if it is the newest. The second answer: whether the courier is somewhere else now.
    pub(super) fn ping(&self, fix: &Fix) -> (Ping, bool) {
        let (lat_e7, lon_e7) = fix.point.to_e7();
        let heading = fix.heading_deg.map_or(UNKNOWN, |heading| heading % 360);
        let motion =
            u64::from(heading) << 32 | u64::from(pack_scaled(fix.speed_mps, 100.0)) << 16 | u64::from(pack_scaled(fix.accuracy_m, 10.0));
        let words = Words { point: pack_point(lat_e7, lon_e7), at_ms: fix.at_ms, motion };
        self.write(|current| (words.at_ms > current.at_ms).then_some(words)).map_or((Ping::Late, false), |moved| (Ping::Taken, moved))
    }

    /// Makes the courier be nowhere; fixes older than the last one stay late. Answers whether there was a position.
    pub(super) fn forget(&self) -> bool {
        let nowhere = |current: Words| (current.point != NOWHERE).then_some(Words { point: NOWHERE, ..current });
        self.write(nowhere).is_some()
    }

    pub(super) fn fix(&self) -> Option<Fix> {
        let words = self.read();
        let (lat_e7, lon_e7) = unpack_point(words.point)?;
        let heading = (words.motion >> 32) as u16;
        Some(Fix {
            point: Point::from_e7(lat_e7, lon_e7),
            at_ms: words.at_ms,
            heading_deg: (heading != UNKNOWN).then_some(heading),
            speed_mps: unpack_scaled(words.motion >> 16, 100.0),
            accuracy_m: unpack_scaled(words.motion, 10.0),
        })
    }

    /// Touches the cell, so that it is in the cache when it is read.
    pub(super) fn touch(&self) {
        #[cfg(not(loom))] // nothing to explore
        std::hint::black_box(self.state.load(Ordering::Relaxed));
    }

    /// Where the courier is, in 1e-7 degrees.
    pub(super) fn place_e7(&self) -> Option<(i32, i32)> {
        unpack_point(self.read().point)
    }

    fn read(&self) -> Words {
        loop {
            let before = self.state.load(Ordering::Acquire) >> 1;
            let words = self.buffers[(before & 1) as usize].load();
            // Pairs with the fence in `write`: who copied a word of a later ping also sees a later version here.
            fence(Ordering::Acquire);
            if self.state.load(Ordering::Relaxed) >> 1 == before {
                return words;
            }
        }
    }

    /// Replaces the current words by what `next` makes of them; `None` leaves all as it was. Answers whether the point changed.
    fn write(&self, next: impl FnOnce(Words) -> Option<Words>) -> Option<bool> {
        let state = self.begin();
        let version = state >> 1;
        let current = self.buffers[(version & 1) as usize].load();
        let Some(words) = next(current) else {
            self.state.store(state, Ordering::Release);
            return None;
        };
        // Pairs with the fence in `read`.
        fence(Ordering::Release);
        self.buffers[(version.wrapping_add(1) & 1) as usize].store(words);
        self.state.store(version.wrapping_add(1) << 1, Ordering::Release);
        Some(words.point != current.point)
    }

    /// Takes the writer's turn; answers the state without the mark.
    fn begin(&self) -> u32 {
        loop {
            let state = self.state.load(Ordering::Relaxed) & !WRITING;
            let marked = self.state.compare_exchange_weak(state, state | WRITING, Ordering::Acquire, Ordering::Relaxed);
            if marked.is_ok() {
                return state;
            }
            give_way();
        }
    }
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Cell>() == 64, "a slot is one cache line");
