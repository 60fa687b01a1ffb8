//! Words: zones, who is in them, the news of it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::{Id, Index, Kind, Row, Table, Timestamp};
use utoipa::ToSchema;

use crate::city::cities::{CityId, ServiceArea};
use crate::city::couriers::CourierId;
use crate::city::field::Invalid;
use crate::city::place::Place;
use crate::engine::{Denied, Event};

/// Ids of zones (`zon_…`).
#[derive(Debug)]
pub struct ZoneTag;
impl Kind for ZoneTag {
    const PREFIX: &'static str = "zon";
}
pub type ZoneId = Id<ZoneTag>;

/// A city has at most this many zones …
pub const ZONES_MAX: usize = 200;
/// … with at most this many points together.
pub const POINTS_MAX: u32 = 50_000;

/// What a zone is for. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Deliveries go there.
    Delivery,
    /// Nobody is sent there.
    NoGo,
    /// Operators hear who comes and goes.
    Watch,
}

/// A zone; its shape is a row of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    pub city: CityId,
    pub name: String,
    pub purpose: Purpose,
    /// Whether it counts now.
    pub active: bool,
    /// The smallest rectangle around it: south-west, north-east.
    pub corners: (Place, Place),
    /// How many points its rings have.
    pub points: u32,
    /// Counts changes, from 1.
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Row for Zone {
    const VERSION: u8 = 1;
}

/// A zone's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape(pub ServiceArea);

impl Row for Shape {
    const VERSION: u8 = 1;
}

pub static ZONES_BY_CITY: Index<ZoneId, Zone> = Index::new(451, "zones.by_city", |_, zone, keys| keys.add(&zone.city));
pub static ZONES: Table<ZoneId, Zone> = Table::new(450, "zones", &[&ZONES_BY_CITY]);
pub static SHAPES: Table<ZoneId, Shape> = Table::new(452, "zones.shapes", &[]);

/// Counts the changes of all zones: who keeps them in memory looks here whether they are still right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes(pub u64);

impl Row for Changes {
    const VERSION: u8 = 1;
}

pub static CHANGES: Table<(), Changes> = Table::new(453, "zones.changes", &[]);

/// The zones that a courier is in, as far as it has been told; ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside(pub Vec<ZoneId>);

impl Row for Inside {
    const VERSION: u8 = 1;
}

pub static INSIDE: Table<CourierId, Inside> = Table::new(454, "zones.inside", &[]);

/// Why not.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("no such zone")]
    Unknown,
    #[error("no such city")]
    CityUnknown,
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("a city has at most {ZONES_MAX} zones with {POINTS_MAX} points together")]
    TooMany,
    /// Edited meanwhile.
    #[error("it has version {version} by now")]
    Stale { version: u64 },
    #[error(transparent)]
    Denied(#[from] Denied),
}

/// A zone was made, changed or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    pub zone: ZoneId,
    pub city: CityId,
}

impl Event for Changed {
    fn name(&self) -> &'static str {
        "ZoneChanged"
    }

    fn topics(&self) -> Vec<String> {
        vec![format!("city:{}", self.city)]
    }

    fn data(&self) -> Value {
        json!({ "zone_id": self.zone, "city_id": self.city })
    }
}

/// A courier came into a zone, or went out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossed {
    pub courier: CourierId,
    pub zone: ZoneId,
    pub city: CityId,
    pub name: String,
    pub purpose: Purpose,
    pub entered: bool,
    /// Device time.
    pub at: Timestamp,
}

impl Event for Crossed {
    fn name(&self) -> &'static str {
        if self.entered { "CourierEnteredZone" } else { "CourierLeftZone" }
    }

    fn topics(&self) -> Vec<String> {
        vec![format!("courier:{}", self.courier), format!("city:{}", self.city)]
    }

    fn data(&self) -> Value {
        json!({
            "courier_id": self.courier,
            "zone_id": self.zone,
            "zone": self.name,
            "purpose": self.purpose,
            "seen_at": self.at.to_string(),
        })
    }
}
