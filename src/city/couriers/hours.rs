//! How long couriers work and what that brings: what an hour's offers and earnings are counted by.

use serde::{Deserialize, Serialize};
use storage::{Read, Row, Table, Timestamp};

use super::model::{Availability, CourierId, Presence, SILENCES};
use crate::engine::Tx;

const DAY_MS: i64 = 86_400_000;

/// A courier's day (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worked {
    pub online_ms: i64,
    /// Pay of what was delivered, minor units of the city's currency.
    pub earned: i64,
}

impl Row for Worked {
    const VERSION: u8 = 2;

    /// The first layout knew the hours only.
    fn upgrade(version: u8, bytes: &[u8]) -> Option<Self> {
        let online_ms: i64 = (version == 1).then(|| postcard::from_bytes(bytes).ok()).flatten()?;
        Some(Self { online_ms, earned: 0 })
    }
}

/// A courier's day (UTC) so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Today {
    pub worked_ms: i64,
    /// Minor units of the city's currency.
    pub earned: i64,
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

/// A courier brought something that is paid with `amount`.
pub fn earn(tx: &mut Tx, id: CourierId, amount: i64) {
    let key = (id, day(tx.now()));
    let mut worked = WORKED.get(tx, &key).unwrap_or_default();
    worked.earned += amount;
    WORKED.put(tx, &key, &worked);
}

/// What a courier has worked and earned since midnight (UTC), what is under way included.
#[must_use]
pub fn today(read: &(impl Read + ?Sized), id: CourierId, presence: &Presence, now: Timestamp) -> Today {
    let Worked { online_ms, earned } = WORKED.get(read, &(id, day(now))).unwrap_or_default();
    let midnight = Timestamp::from_millis(now.millis().div_euclid(DAY_MS) * DAY_MS);
    let under_way = if works(read, id, presence) { now.ms_since(presence.changed_at.max(midnight)).max(0) } else { 0 };
    Today { worked_ms: online_ms + under_way, earned }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_of_the_first_layout_are_read() {
        let first = postcard::to_extend(&3_600_000_i64, vec![1]).expect("a number is plain data");
        assert_eq!(Worked::from_bytes(&first), Some(Worked { online_ms: 3_600_000, earned: 0 }));
        let now = Worked { online_ms: 5, earned: 900 };
        assert_eq!(Worked::from_bytes(&now.to_bytes()), Some(now));
    }
}
