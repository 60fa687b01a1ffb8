//! Durable timers: something to do at a time, written in the commit that wants it.

use serde::{Deserialize, Serialize};
use storage::{Direction, Id, Kind, Read, Row, Table, Timestamp};

/// A timer to schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    pub kind: &'static str,
    pub subject: u128,
    pub data: Vec<u8>,
}

impl Timer {
    /// A timer of `kind` (its handler is found by that name) about `subject`.
    #[must_use]
    pub fn new(kind: &'static str, subject: u128) -> Self {
        Self { kind, subject, data: Vec::new() }
    }

    /// With bytes of the module's own.
    #[must_use]
    pub fn with(mut self, data: Vec<u8>) -> Self {
        self.data = data;
        self
    }
}

/// Ids of timers.
#[derive(Debug)]
pub struct TimerTag;
impl Kind for TimerTag {
    const PREFIX: &'static str = "tmr";
}

/// Where a timer stands: when it is due, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerId {
    pub at: Timestamp,
    pub id: Id<TimerTag>,
}

/// A timer as its handler sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiredTimer {
    pub kind: String,
    pub subject: u128,
    pub data: Vec<u8>,
    /// When it was due first.
    pub at: Timestamp,
    /// How often its handler has failed.
    pub failures: u8,
}

impl Row for FiredTimer {
    const VERSION: u8 = 1;
}

/// Timers by due time.
pub static TIMERS: Table<(Timestamp, Id<TimerTag>), FiredTimer> = Table::new(22, "engine.timers", &[]);

/// When the next timer is due.
pub fn next_due(read: &(impl Read + ?Sized)) -> Option<Timestamp> {
    TIMERS.scan_prefix(read, &(), Direction::Forward).next().map(|((at, _), _)| at)
}

/// A handler that fails this often leaves its timer to the operators.
pub const FAILURES_MAX: u8 = 5;
