//! Words: couriers, their presence, what they carry.

use serde::{Deserialize, Serialize};
use storage::{Id, Index, Kind, Row, Table, Timestamp};
use utoipa::ToSchema;

use crate::city::cities::CityId;
use crate::city::place::Place;
use crate::engine::{TimerId, UserId};

/// Ids of couriers (`cou_…`).
#[derive(Debug)]
pub struct CourierTag;
impl Kind for CourierTag {
    const PREFIX: &'static str = "cou";
}
pub type CourierId = Id<CourierTag>;

/// How a courier moves. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Vehicle {
    Bike,
    Motorbike,
    Car,
    Foot,
}

/// Whether the platform lets them work. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Pending,
    Active,
    Suspended,
}

/// Whether they want to work now. The order is stored: append only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    Online,
    #[default]
    Offline,
    Break,
}

/// A courier's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Courier {
    pub user: UserId,
    pub city: CityId,
    pub vehicle: Vehicle,
    /// How much they carry at once, in units of a job's size (an order is 1 unless its merchant says more).
    pub capacity: u32,
    pub plate: Option<String>,
    pub status: Status,
    pub version: u64,
    pub created_at: Timestamp,
}

impl Row for Courier {
    const VERSION: u8 = 1;
}

/// Nobody carries more, whatever an administrator types.
pub const CAPACITY_MAX: u32 = 100;

/// A job in a courier's hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// What the job is about; the key to it.
    pub subject: u128,
    pub merchant: u128,
    pub size: u32,
    /// Cash to collect at the door, minor units of the city's currency.
    pub cash: i64,
    pub picked_up: bool,
}

/// How a courier answered so far: what the score looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub asked: u32,
    pub accepted: u32,
    pub declined: u32,
    pub lapsed: u32,
    /// Share of accepted offers in thousandths, the last eight or so weigh most.
    pub acceptance_permille: u32,
    pub last_asked_at: Option<Timestamp>,
    pub delivered: u32,
}

impl Default for Record {
    /// A new courier is trusted.
    fn default() -> Self {
        Self { asked: 0, accepted: 0, declined: 0, lapsed: 0, acceptance_permille: 1000, last_asked_at: None, delivered: 0 }
    }
}

/// What a courier does now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Presence {
    pub availability: Availability,
    /// Nothing is planned to be picked up after this.
    pub until: Option<Timestamp>,
    /// Where they said they were when they last changed their presence: fills the index after a restart.
    pub position: Option<Place>,
    pub changed_at: Timestamp,
    pub carries: Vec<Carried>,
    /// The live offer's 128 bits: at most one.
    pub asked: Option<u128>,
    pub record: Record,
}

impl Row for Presence {
    const VERSION: u8 = 1;
}

impl Presence {
    /// Units in their hands.
    #[must_use]
    pub fn load(&self) -> u32 {
        self.carries.iter().map(|carried| carried.size).sum()
    }

    /// Cash to collect for what is in their hands.
    #[must_use]
    pub fn cash(&self) -> i64 {
        self.carries.iter().map(|carried| carried.cash).sum()
    }
}

/// Nobody has heard of a working courier's device for too long. The row is there as long as that holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// When it was noticed.
    pub since: Timestamp,
    /// How long the device had been silent then.
    pub after_s: u32,
    /// Where they were last, if anybody knows.
    pub last: Option<Place>,
    /// Ends the grace: what they have not picked up goes to others then.
    pub grace: Option<TimerId>,
}

impl Row for Silence {
    const VERSION: u8 = 1;
}

impl Silence {
    /// When the device was heard of last.
    #[must_use]
    pub fn heard_at(&self) -> Timestamp {
        self.since.minus_s(i64::from(self.after_s))
    }
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no such courier")]
    Unknown,
    #[error("no such city")]
    CityUnknown,
    #[error("no such user")]
    UserUnknown,
    #[error("this user is a courier already")]
    Exists,
    #[error("the courier's account is not active")]
    NotActive,
    #[error("there are orders under way")]
    HasActiveOrders,
    #[error("the time until which the courier works has passed")]
    UntilPassed,
    #[error("the courier is not online")]
    NotOnline,
    #[error("the courier has a live offer already")]
    Asked,
    #[error("the offer is not this courier's live one")]
    NotAsked,
    #[error("the courier's hands are full")]
    Full,
    #[error("the courier does not carry this")]
    NotCarried,
    #[error("version {current} is the newest")]
    Stale { current: u64 },
    #[error(transparent)]
    Denied(#[from] crate::engine::Denied),
}

pub static COURIERS_BY_USER: Index<CourierId, Courier> = Index::new(351, "couriers.by_user", |_, courier, keys| keys.add(&courier.user));
pub static COURIERS_BY_CITY: Index<CourierId, Courier> = Index::new(352, "couriers.by_city", |_, courier, keys| keys.add(&courier.city));
/// In the order of making, for lists over all cities.
pub static COURIERS_BY_ID: Index<CourierId, Courier> = Index::new(353, "couriers.by_id", |_, _, keys| keys.add(&()));
pub static COURIERS: Table<CourierId, Courier> = Table::new(350, "couriers", &[&COURIERS_BY_USER, &COURIERS_BY_CITY, &COURIERS_BY_ID]);
pub static PRESENCES: Table<CourierId, Presence> = Table::new(355, "couriers.presence", &[]);
pub static SILENCES: Table<CourierId, Silence> = Table::new(357, "couriers.silences", &[]);
