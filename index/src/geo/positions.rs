//! The couriers' live positions and who is near.
//!
//! ```text
//! ping ──► its cell ──► moves + 1                     (two atomic steps, no lock)
//! refresh: moves changed? ─► read all cells ─► new picture ─► published with one pointer
//! query ─► picture (order, at most one refresh old) ─► cells of the few candidates (exact)
//! ```
//!
//! A ping that lands while a refresh reads is either in that picture or counted after the count the refresh began with,
//! so that the next refresh takes another.

use super::{
    Fix, Ping, Point,
    cell::Cell,
    grid::{Grid, Visitor},
    point::Distances,
};
use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering, Published};
use std::{
    collections::HashMap,
    sync::{OnceLock, PoisonError, RwLock},
};

#[cfg(not(loom))]
const CHUNK: usize = 4096;
#[cfg(loom)]
const CHUNK: usize = 2;
const CHUNKS: usize = 1024;

/// How many ids a [`Positions`] can hold; a slot is never given back.
pub const POSITIONS_MAX: usize = CHUNK * CHUNKS;

/// No search goes farther than this, whatever the caller says, in metres.
pub const RADIUS_M_MAX: f64 = 1_000_000.0;

/// A courier's place in a [`Positions`]: dense, given once, valid as long as the structure that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u32);

impl Slot {
    /// 0 for the first id that was inserted, and so on.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// All [`POSITIONS_MAX`] slots are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all {POSITIONS_MAX} position slots are taken")]
pub struct Full;

/// Somebody near, as their slot was at the moment of the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    pub id: u128,
    pub slot: Slot,
    /// Great-circle metres from the point that was asked about.
    pub distance_m: f64,
    pub fix: Fix,
    /// The caller's word, see [`Positions::set_tag`].
    pub tag: u64,
}

/// What [`Positions::nearest_widening`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Widened {
    /// Nearest first.
    pub seen: Vec<Seen>,
    /// The first radius that held as many as were asked for, or the widest.
    pub radius_m: f64,
}

struct Chunk {
    cells: Box<[Cell]>,
    ids: Box<[OnceLock<u128>]>,
}

/// Live positions by id. All methods take `&self`; share it with an `Arc`.
pub struct Positions {
    chunks: Box<[OnceLock<Chunk>]>,
    taken: AtomicU32,
    slots: RwLock<HashMap<u128, Slot>>,
    /// Counts changes of place. Every change is a read-modify-write: who sees the count sees all the cells counted in it.
    moves: AtomicU64,
    picture: Published<Grid>,
    /// The count that the picture is known to contain; its lock lets one refresh run at a time.
    pictured: Mutex<u64>,
}

impl Default for Positions {
    fn default() -> Self {
        Self {
            chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
            taken: AtomicU32::new(0),
            slots: RwLock::default(),
            moves: AtomicU64::new(0),
            picture: Published::new(Grid::default()),
            pictured: Mutex::new(0),
        }
    }
}

impl Positions {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The slot of `id`, given now if it has none. It is nowhere until its first ping.
    ///
    /// # Errors
    /// [`Full`]: no slot is left.
    pub fn insert(&self, id: u128) -> Result<Slot, Full> {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&id) {
            return Ok(*slot);
        }
        let index = slots.len();
        if index >= POSITIONS_MAX {
            return Err(Full);
        }
        let chunk = self.chunks[index / CHUNK]
            .get_or_init(|| Chunk { cells: (0..CHUNK).map(|_| Cell::new()).collect(), ids: (0..CHUNK).map(|_| OnceLock::new()).collect() });
        chunk.ids[index % CHUNK].get_or_init(|| id);
        let slot = Slot(index as u32);
        slots.insert(id, slot);
        self.taken.store(slots.len() as u32, Ordering::Release);
        Ok(slot)
    }

    /// The slot of `id`, if it has one. Takes a shared lock that only [`Positions::insert`] excludes; keep the slot with the connection.
    #[must_use]
    pub fn lookup(&self, id: u128) -> Option<Slot> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    /// How many ids have a slot.
    #[must_use]
    pub fn len(&self) -> usize {
        self.taken.load(Ordering::Acquire) as usize
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All slots that were given so far.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        (0..self.taken.load(Ordering::Acquire)).map(Slot)
    }

    /// The id that `slot` was given to.
    #[must_use]
    pub fn id(&self, slot: Slot) -> u128 {
        let (chunk, at) = self.place(slot);
        *chunk.ids[at].get().expect("insert sets the id before it hands out the slot")
    }

    /// Stores a fix if its device time is later than the last one's. Never waits for a query.
    ///
    /// # Panics
    /// Like all methods that take a slot: if it comes from another `Positions` with more ids.
    pub fn ping(&self, slot: Slot, fix: &Fix) -> Ping {
        let (ping, moved) = self.cell(slot).ping(fix);
        if moved {
            self.moves.fetch_add(1, Ordering::Release);
        }
        ping
    }

    /// The position is no longer known (the courier went offline). Device times seen so far stay seen.
    pub fn forget(&self, slot: Slot) {
        if self.cell(slot).forget() {
            self.moves.fetch_add(1, Ordering::Release);
        }
    }

    /// Sets the caller's word about this slot: flags such as city and availability, for the filters of searches. Seen by every later query.
    pub fn set_tag(&self, slot: Slot, tag: u64) {
        self.cell(slot).set_tag(tag);
    }

    /// The caller's word; 0 until set.
    #[must_use]
    pub fn tag(&self, slot: Slot) -> u64 {
        self.cell(slot).tag()
    }

    /// The newest fix, whole. Never waits for a ping.
    #[must_use]
    pub fn last(&self, slot: Slot) -> Option<Fix> {
        self.cell(slot).fix()
    }

    /// Takes a new picture of all positions if anybody moved since the last one; answers whether it did. Call it every few
    /// hundred milliseconds. Every ping that returned before this call is in the picture after it.
    pub fn refresh(&self) -> bool {
        let mut pictured = self.pictured.lock().unwrap_or_else(PoisonError::into_inner);
        // Acquire: all cells counted in here are visible below. Must be read before the cells.
        let moves = self.moves.load(Ordering::Acquire);
        if moves == *pictured {
            return false;
        }
        let taken = self.taken.load(Ordering::Acquire);
        let places = (0..taken).filter_map(|slot| self.cell(Slot(slot)).place_e7().map(|(lat, lon)| (slot, lat, lon)));
        self.picture.replace(Grid::build(places, |slot| self.id(Slot(slot))));
        *pictured = moves;
        true
    }

    /// The `k` nearest to `point` within `radius_m` that `filter` accepts, nearest first (equal distances by id).
    ///
    /// Distances, fixes and tags are live; who is considered comes from the last [`Positions::refresh`]: somebody who since moved by
    /// more than 25 m may be missing. `filter` sees each candidate at most once, in no particular order.
    #[must_use]
    pub fn nearest(&self, point: Point, k: usize, radius_m: f64, filter: impl FnMut(&Seen) -> bool) -> Vec<Seen> {
        if k == 0 || radius_m.is_nan() || radius_m < 0.0 {
            return Vec::new();
        }
        let reach_m = radius_m.min(RADIUS_M_MAX);
        let found = Vec::with_capacity(k.min(64));
        let mut best = Best { positions: self, from: Distances::from(point), k, filter, reach_m, found };
        self.picture.read(|grid| grid.search(point, reach_m, &mut best));
        best.found
    }

    /// Expanding search: like [`Positions::nearest`] within the first of `radii_m` that holds `k`, or else the widest.
    /// One pass: the nearest `k` of the widest circle tell which narrower one would have been enough.
    #[must_use]
    pub fn nearest_widening(&self, point: Point, k: usize, radii_m: &[f64], filter: impl FnMut(&Seen) -> bool) -> Widened {
        let widest = radii_m.iter().copied().fold(0.0, f64::max);
        let seen = self.nearest(point, k, widest, filter);
        let enough = seen.last().filter(|_| seen.len() == k).map(|last| last.distance_m);
        let radius_m = enough.map_or(widest, |last| radii_m.iter().copied().filter(|radius| *radius >= last).fold(widest, f64::min));
        Widened { seen, radius_m }
    }

    fn cell(&self, slot: Slot) -> &Cell {
        let (chunk, at) = self.place(slot);
        &chunk.cells[at]
    }

    fn place(&self, slot: Slot) -> (&Chunk, usize) {
        let chunk = self.chunks[slot.index() / CHUNK].get().expect("insert makes the chunk before it hands out the slot");
        (chunk, slot.index() % CHUNK)
    }
}

/// The nearest so far.
struct Best<'a, F> {
    positions: &'a Positions,
    from: Distances,
    k: usize,
    filter: F,
    reach_m: f64,
    found: Vec<Seen>,
}

impl<F: FnMut(&Seen) -> bool> Visitor for Best<'_, F> {
    fn expect(&self, slot: u32) {
        self.positions.cell(Slot(slot)).touch();
    }

    fn visit(&mut self, slot: u32, id: u128) -> f64 {
        let slot = Slot(slot);
        let cell = self.positions.cell(slot);
        let Some(fix) = cell.fix() else { return self.reach_m };
        let distance_m = self.from.to_m(fix.point);
        if distance_m > self.reach_m {
            return self.reach_m;
        }
        let seen = Seen { id, slot, distance_m, fix, tag: cell.tag() };
        let at = self.found.partition_point(|other| (other.distance_m, other.id) < (distance_m, id));
        if at < self.k && (self.filter)(&seen) {
            self.found.truncate(self.k - 1);
            self.found.insert(at, seen);
            if self.found.len() == self.k {
                self.reach_m = self.found[self.k - 1].distance_m;
            }
        }
        self.reach_m
    }
}
