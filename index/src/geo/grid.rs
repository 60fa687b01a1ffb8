//! A picture of all positions for finding neighbours: a pyramid of hashed grids over one array in Z-order.
//!
//! Positions are mapped to 32-bit keys per axis (the whole turn of 360° is 2^32, so longitude wraps by itself). A cell of
//! level `s` is the square of keys that agree above bit `s`; in Z-order its entries are one run of the array. The finest level
//! is chosen so that a courier shares its cell with a few others; each next level has cells of twice the side.
//!
//! A search grows a box of cells around the point: two rings on the finest level, then two rings of the next, and so on, so that
//! a dense street costs nine cells and an empty desert a few dozen. What is outside the box is farther than [`Bounds::gap_m`].

use super::point::{EARTH_RADIUS_M, Point, distance_m};
use std::{cmp::Reverse, collections::BinaryHeap, f64::consts::PI};

const FINEST_SHIFT_MIN: u32 = 12; // 38 m of latitude
const FINEST_SHIFT_MAX: u32 = 22;
const COARSEST_SHIFT: u32 = 29; // an eighth of the turn: two rings reach 90° to each side
const RINGS: i64 = 2;
const CELLS_MAX: usize = ((2 * RINGS + 1) * (2 * RINGS + 1)) as usize;
/// How many entries a courier's own cell holds, itself included, averaged over couriers, at the finest level.
const COMPANY: usize = 4;

const METRES_PER_KEY: f64 = 2.0 * PI * EARTH_RADIUS_M / 4_294_967_296.0;
/// Beyond this a plane is too wrong to sort by.
const PLANE_M_MAX: f32 = 20_000.0;
/// How much the plane may be wrong within [`PLANE_M_MAX`], up to 80° of latitude.
const PLANE_TRUST: f64 = 0.98;
/// A courier who moved no farther than this since the picture was taken is not missed: a second at 25 m/s.
pub(super) const DRIFT_M: f64 = 25.0;

#[derive(Clone, Copy)]
struct Entry {
    x: u32,
    y: u32,
    slot: u32,
}

/// A run of entries; `len` 0 marks a free place in the table.
#[derive(Clone, Copy, Default)]
struct Run {
    key: u64,
    start: u32,
    len: u32,
}

struct Level {
    shift: u32,
    hash_shift: u32,
    table: Box<[Run]>,
}

#[derive(Default)]
pub(super) struct Grid {
    levels: Vec<Level>,
    entries: Vec<Entry>,
    /// The ids of the entries, in the same order.
    ids: Vec<u128>,
}

/// What a search shows its candidates to.
pub(super) trait Visitor {
    /// Says that `slot` is likely to be visited soon, so that many cells can be on their way from memory at once.
    fn expect(&self, slot: u32);

    /// Looks at a candidate; answers how far away, in metres and live, candidates may still be of interest.
    fn visit(&mut self, slot: u32, id: u128) -> f64;
}

fn key_of(e7: i32) -> u32 {
    ((i64::from(e7) << 32).div_euclid(3_600_000_000)) as u32 ^ 0x8000_0000
}

/// Spreads the bits of `value` to the even places.
fn spread(value: u32) -> u64 {
    let mut bits = u64::from(value);
    bits = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    bits = (bits | bits << 8) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & 0x5555_5555_5555_5555
}

fn cell_key(x: u32, y: u32) -> u64 {
    u64::from(x) << 32 | u64::from(y)
}

impl Level {
    fn new(shift: u32, runs: &[Run]) -> Self {
        let bits = (runs.len() * 2).next_power_of_two().ilog2().max(1);
        let mut table = vec![Run::default(); 1 << bits].into_boxed_slice();
        let hash_shift = 64 - bits;
        for run in runs {
            let mut place = hash(run.key) >> hash_shift;
            while table[place as usize].len != 0 {
                place = (place + 1) & (table.len() as u64 - 1);
            }
            table[place as usize] = *run;
        }
        Self { shift, hash_shift, table }
    }

    /// The runs of the cells up to `ring` cells away from the key `(x, y)`, but for cells that lie in `done`; unused ones are empty. And
    /// the square that these cells make.
    fn square(&self, x: u32, y: u32, ring: i64, done: &Bounds) -> ([Run; CELLS_MAX], Bounds) {
        let side = 1_i64 << self.shift;
        let (in_x, in_y) = (i64::from(x) & (side - 1), i64::from(y) & (side - 1));
        let axis = u32::MAX >> self.shift;
        let mut runs = [Run::default(); CELLS_MAX];
        let mut count = 0;
        for i in -ring..=ring {
            for j in -ring..=ring {
                let (west, south) = (in_x - i * side, in_y - j * side);
                if done.holds_all(&Bounds { west, east: side - west, south, north: side - south }) {
                    continue;
                }
                let (column, row) = ((x >> self.shift).wrapping_add(i as u32), (y >> self.shift).wrapping_add(j as u32));
                if let Some(run) = self.run(cell_key(column & axis, row & axis)) {
                    runs[count] = *run;
                    count += 1;
                }
            }
        }
        let (west, south) = (in_x + ring * side, in_y + ring * side);
        let across = (2 * ring + 1) * side;
        (runs, Bounds { west, east: across - west, south, north: across - south })
    }

    fn run(&self, key: u64) -> Option<&Run> {
        let mut place = hash(key) >> self.hash_shift;
        loop {
            let run = &self.table[place as usize];
            if run.len == 0 {
                return None;
            }
            if run.key == key {
                return Some(run);
            }
            place = (place + 1) & (self.table.len() as u64 - 1);
        }
    }
}

fn hash(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The box searched so far, as distances in keys from the point: everything in `-west..east`, `-south..north`.
#[derive(Clone, Copy, Default)]
struct Bounds {
    west: i64,
    east: i64,
    south: i64,
    north: i64,
}

impl Bounds {
    fn holds(&self, dx: i64, dy: i64) -> bool {
        dx >= -self.west && dx < self.east && dy >= -self.south && dy < self.north
    }

    fn holds_all(&self, other: &Self) -> bool {
        other.west <= self.west && other.east <= self.east && other.south <= self.south && other.north <= self.north
    }

    /// No farther than the nearest point outside of the box, in metres.
    fn gap_m(&self, lat_rad: f64, cos_lat: f64) -> f64 {
        let lat_m = self.south.min(self.north) as f64 * METRES_PER_KEY;
        let turn = self.west.min(self.east) as f64 * (2.0 * PI / 4_294_967_296.0);
        let lon_rad = match turn {
            _ if turn < 0.02 => turn * cos_lat * 0.999, // sin and asin would say the same
            _ if turn < PI / 2.0 => (turn.sin() * cos_lat).asin(),
            _ => PI / 2.0 - lat_rad.abs(), // over the pole
        };
        lat_m.min(lon_rad * EARTH_RADIUS_M)
    }
}

impl Grid {
    /// A picture of `(slot, latitude, longitude)`, in 1e-7 degrees, with the id of each slot.
    pub(super) fn build(places: impl Iterator<Item = (u32, i32, i32)>, id: impl Fn(u32) -> u128) -> Self {
        let mut sorted: Vec<(u64, Entry)> = places
            .map(|(slot, lat_e7, lon_e7)| {
                let (x, y) = (key_of(lon_e7), key_of(lat_e7));
                (spread(x) << 1 | spread(y), Entry { x, y, slot })
            })
            .collect();
        sorted.sort_unstable_by_key(|(code, _)| *code);
        if sorted.is_empty() {
            return Self::default();
        }
        let finest = finest_shift(&sorted);
        let entries: Vec<Entry> = sorted.iter().map(|(_, entry)| *entry).collect();
        drop(sorted);
        let single = entries.iter().zip(0..).map(|(entry, start)| Run { key: cell_key(entry.x, entry.y), start, len: 1 });
        let mut runs = merged(single, finest);
        let mut levels = vec![Level::new(finest, &runs)];
        for shift in finest + 1..=COARSEST_SHIFT {
            runs = merged(runs.into_iter(), 1);
            levels.push(Level::new(shift, &runs));
        }
        let ids = entries.iter().map(|entry| id(entry.slot)).collect();
        Self { levels, entries, ids }
    }

    /// Shows the candidates around `from`, about nearest first; at the start `reach_m` is how far away they may be. Every slot within reach
    /// whose courier moved less than [`DRIFT_M`] is shown, each at most once.
    pub(super) fn search(&self, from: Point, mut reach_m: f64, candidates: &mut impl Visitor) {
        let (lat_e7, lon_e7) = from.to_e7();
        let (x, y) = (key_of(lon_e7), key_of(lat_e7));
        let lat_rad = from.lat().to_radians();
        let cos_lat = lat_rad.cos();
        let plane = Plane { from, x_m: (METRES_PER_KEY * cos_lat) as f32, y_m: METRES_PER_KEY as f32 };
        let mut waiting: BinaryHeap<Reverse<u64>> = BinaryHeap::with_capacity(128);
        let mut done = Bounds::default();
        let mut scanned = 0;
        for (level, ring) in self.levels.iter().flat_map(|level| (1..=RINGS).map(move |ring| (level, ring))) {
            let (runs, square) = level.square(x, y, ring, &done);
            let is_last = (level.shift, ring) == (COARSEST_SHIFT, RINGS);
            let mut gap_m = if is_last { f64::INFINITY } else { square.gap_m(lat_rad, cos_lat) };
            let limit_m = ((reach_m + DRIFT_M) / PLANE_TRUST) as f32;
            let soon_m = limit_m.min(gap_m as f32);
            for run in runs.into_iter().take_while(|run| run.len > 0) {
                for at in run.start..run.start + run.len {
                    let entry = &self.entries[at as usize];
                    let (dx, dy) = (entry.x.wrapping_sub(x) as i32, entry.y.wrapping_sub(y) as i32);
                    if done.holds(dx.into(), dy.into()) {
                        continue;
                    }
                    scanned += 1;
                    let distance_m = plane.distance_m(entry, dx, dy);
                    if distance_m <= soon_m {
                        candidates.expect(entry.slot);
                    }
                    if distance_m <= limit_m {
                        // Floats that are not negative order like their bits.
                        waiting.push(Reverse(u64::from(distance_m.to_bits()) << 32 | u64::from(at)));
                    }
                }
            }
            done = square;
            if scanned == self.entries.len() {
                gap_m = f64::INFINITY;
            }
            while let Some(Reverse(next)) = waiting.peek() {
                let distance_m = f64::from(f32::from_bits((next >> 32) as u32));
                if distance_m > gap_m {
                    break;
                }
                if distance_m * PLANE_TRUST > reach_m + DRIFT_M {
                    return;
                }
                let at = *next as u32 as usize;
                waiting.pop();
                reach_m = candidates.visit(self.entries[at].slot, self.ids[at]);
            }
            if gap_m > reach_m + DRIFT_M {
                return;
            }
        }
    }
}

/// Sorting distances in the plane around a point.
struct Plane {
    from: Point,
    x_m: f32,
    y_m: f32,
}

impl Plane {
    fn distance_m(&self, entry: &Entry, dx: i32, dy: i32) -> f32 {
        let (x, y) = (dx as f32 * self.x_m, dy as f32 * self.y_m);
        let distance = (x * x + y * y).sqrt();
        if distance < PLANE_M_MAX {
            return distance;
        }
        let e7 = |key: u32| (f64::from((key ^ 0x8000_0000) as i32) * (3_600_000_000.0 / 4_294_967_296.0)) as i32;
        distance_m(self.from, Point::from_e7(e7(entry.y), e7(entry.x))) as f32
    }
}

/// The runs of cells whose side is 2^`shift` times that of `runs`.
fn merged(runs: impl Iterator<Item = Run>, shift: u32) -> Vec<Run> {
    let mut parents: Vec<Run> = Vec::new();
    for run in runs {
        let key = cell_key((run.key >> 32) as u32 >> shift, run.key as u32 >> shift);
        match parents.last_mut() {
            Some(last) if last.key == key => last.len += run.len,
            _ => parents.push(Run { key, ..run }),
        }
    }
    parents
}

/// The smallest cells in which couriers have [`COMPANY`], whatever the rest of the country looks like.
fn finest_shift(sorted: &[(u64, Entry)]) -> u32 {
    (FINEST_SHIFT_MIN..FINEST_SHIFT_MAX)
        .find(|shift| {
            let squares: usize =
                sorted.chunk_by(|(a, _), (b, _)| a >> (2 * shift) == b >> (2 * shift)).map(|cell| cell.len() * cell.len()).sum();
            squares >= COMPANY * sorted.len()
        })
        .unwrap_or(FINEST_SHIFT_MAX)
}
