//! How long it takes by road: a street network from OpenStreetMap, made fast to ask once and for all.
//!
//! ```text
//!   .osm.pbf ──[osm]──► networks, one a mode ──[contract]──► hierarchies ──[file]──► roads.map ──► [`RoadMap`]: routes, tables
//! ```
//! Reading order: [`Mode`] and [`Cost`], `osm` (which way is open to whom, how fast), `network` (streets as a graph; its strongly connected heart),
//! `restrictions` and `turns` (what is forbidden at crossings), `contract` (nodes are taken out one after the other, shortcuts left in their place), `hierarchy`
//! (questions), `file` (the bytes), [`RoadMap`].
//!
//! Left out: turn restrictions by the hour, gates and bollards on nodes, ferries, traffic by the hour.

mod contract;
mod file;
mod hierarchy;
mod map;
mod network;
mod osm;
mod restrictions;
mod turns;

pub use file::MapError;
pub use map::{RoadMap, Route};
pub use network::{Mode, Network, Street};
pub use osm::read as networks;

/// Seconds and metres of a way as one number: tenths of a second above, decimetres below, so that the faster is less, of equally fast ones the shorter,
/// and ways add up like numbers. Good for 13 years and 400,000 km.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(u64);

impl Cost {
    /// No way leads there.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    #[must_use]
    pub fn new(deciseconds: u32, decimetres: u32) -> Self {
        Self(u64::from(deciseconds) << 32 | u64::from(decimetres))
    }

    /// Of both ways, one after the other.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    #[must_use]
    pub fn deciseconds(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[must_use]
    pub fn decimetres(self) -> u32 {
        self.0 as u32
    }
}
