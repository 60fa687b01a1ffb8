//! How long couriers work: what an hour's offers and earnings are counted by.

use serde::{Deserialize, Serialize};
use storage::{Read, Row, Table, Timestamp};

use super::model::{Availability, CourierId, Presence, SILENCES};
use crate::engine::Tx;

const DAY_MS: i64 = 86_400_000;

/// A courier's day (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worked {
    pub online_ms: i64,
}

impl Row for Worked {
    const VERSION: u8 = 1;
}

/// By courier and days since 1970.
pub static WORKED: Table<(CourierId, u32), Worked> = Table::new(356, "couriers.worked", &[]);

fn day(at: Timestamp) -> u32 {
    u32::try_from(at.millis().div_euclid(DAY_MS)).unwrap_or(0)
}

/// A courier works while they wait for jobs, and while they carry something, also if they asked for a break. Nobody works while nobody hears of them.
fn works(read: &(impl Read + ?Sized), id: CourierId, presence: &Presence) -> bool {
    let wants = presence.availability == Availability::Online || !presence.carries.is_empty();
    wants && !SILENCES.has(read, &id)
}

/// `before` ends now: if it was work, it is written down, each day its part.
pub fn count(tx: &mut Tx, id: CourierId, before: &Presence) {
    if !works(tx, id, before) {
        return;
    }
    let (mut from, until) = (before.changed_at, tx.now());
    while from < until {
        let next = Timestamp::from_millis((from.millis().div_euclid(DAY_MS) + 1) * DAY_MS).min(until);
        let key = (id, day(from));
        let mut worked = WORKED.get(tx, &key).unwrap_or_default();
        worked.online_ms += next.ms_since(from);
        WORKED.put(tx, &key, &worked);
        from = next;
    }
}

/// Milliseconds that a courier worked on the days of `from..until`, what is under way included.
#[must_use]
pub fn worked_ms(read: &(impl Read + ?Sized), id: CourierId, presence: &Presence, from: Timestamp, until: Timestamp) -> i64 {
    let days = day(from)..=day(until.minus_ms(1));
    let written: i64 = days.filter_map(|day| WORKED.get(read, &(id, day))).map(|worked| worked.online_ms).sum();
    let now = if works(read, id, presence) { until.ms_since(presence.changed_at.max(from)).max(0) } else { 0 };
    written + now
}
