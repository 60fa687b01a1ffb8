//! Words: shifts.

use serde::{Deserialize, Serialize};
use storage::{Id, Index, Kind, Row, Table, Timestamp};
use utoipa::ToSchema;

use crate::city::cities::CityId;
use crate::city::couriers::CourierId;
use crate::engine::UserId;

/// Ids of shifts (`shf_…`).
#[derive(Debug)]
pub struct ShiftTag;
impl Kind for ShiftTag {
    const PREFIX: &'static str = "shf";
}
pub type ShiftId = Id<ShiftTag>;

/// How far a shift has come. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShiftState {
    Planned,
    Begun,
    Ended,
    /// It ended, and they never came.
    Missed,
    Cancelled,
}

impl ShiftState {
    /// Whether it lies ahead or is under way.
    #[must_use]
    pub fn is_live(self) -> bool {
        match self {
            Self::Planned | Self::Begun => true,
            Self::Ended | Self::Missed | Self::Cancelled => false,
        }
    }
}

/// A planned time of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    pub courier: CourierId,
    pub city: CityId,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub state: ShiftState,
    /// When they came online in it.
    pub begun_at: Option<Timestamp>,
    /// Who planned it.
    pub by: Option<UserId>,
}

impl Row for Shift {
    const VERSION: u8 = 1;
}

/// A courier may go online for a shift this long before it.
pub const EARLY_S: i64 = 900;
/// Who has not come by then is on the operators' list.
pub const LATE_S: i64 = 600;
/// Nobody works longer in one go.
pub const LENGTH_S_MAX: i64 = 16 * 3_600;
/// Nobody plans farther ahead.
pub const AHEAD_S_MAX: i64 = 60 * 86_400;
/// Live shifts of one courier.
pub const PLANNED_MAX: usize = 100;

const _: () = assert!(LATE_S < 15 * 60, "the shortest shift is longer than the patience with who is late");

/// The shortest shift.
pub const LENGTH_S_MIN: i64 = 15 * 60;

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no such shift")]
    Unknown,
    #[error("no such courier")]
    NoCourier,
    #[error("the courier's account is not active")]
    NotActive,
    #[error("a shift begins in the future, at most {} days ahead", AHEAD_S_MAX / 86_400)]
    Start,
    #[error("a shift is 15 minutes to {} hours long", LENGTH_S_MAX / 3_600)]
    Length,
    #[error("another shift of the courier is at that time")]
    Overlaps,
    #[error("a courier has at most {PLANNED_MAX} shifts ahead")]
    TooMany,
    #[error("the shift is over")]
    Over,
    #[error(transparent)]
    Denied(#[from] crate::engine::Denied),
}

/// Those ahead and under way, by courier, the soonest first.
pub static SHIFTS_LIVE: Index<ShiftId, Shift> = Index::new(359, "shifts.live", |_, shift, keys| {
    if shift.state.is_live() {
        keys.add(&(shift.courier, shift.starts_at));
    }
});
/// All, by city, in the order of their starts.
pub static SHIFTS_BY_CITY: Index<ShiftId, Shift> =
    Index::new(349, "shifts.by_city", |_, shift, keys| keys.add(&(shift.city, shift.starts_at)));
pub static SHIFTS: Table<ShiftId, Shift> = Table::new(358, "shifts", &[&SHIFTS_LIVE, &SHIFTS_BY_CITY]);
