//! How often: one number per limited thing, in the state, so that a restart or another node forgets nothing.
//!
//! Source: GCRA (ITU-T I.371, annex A): the row holds the theoretical arrival time.

use serde::{Deserialize, Serialize};
use storage::{Direction, Index, Read, Row, Table, Timestamp};

use super::model::Refusal;
use crate::engine::Tx;

/// At most `burst` at once, then one more every `every_s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub burst: u16,
    pub every_s: u32,
}

/// Codes sent to one phone: 5, then one every 12 minutes; in a sandbox 30, then one every 2 minutes, so that automated clients
/// may sign in again and again with the same phone.
pub const PHONE: Limit = Limit { burst: 5, every_s: 720 };
pub const PHONE_SANDBOX: Limit = Limit { burst: 30, every_s: 120 };
/// Between two codes to one phone (not in a sandbox).
pub const RESEND: Limit = Limit { burst: 1, every_s: 30 };
/// Codes asked for from one address (not in a sandbox): a shared Wi-Fi has a few dozen people.
pub const ADDRESS: Limit = Limit { burst: 40, every_s: 60 };
/// Codes to one country (not in a sandbox): what SMS pumping costs is bounded.
pub const COUNTRY: Limit = Limit { burst: 1_000, every_s: 2 };
/// Wrong passwords for one account, known or not.
pub const PASSWORD: Limit = Limit { burst: 10, every_s: 60 };

/// Until when a limited thing has spent its allowance.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Spent {
    until: Timestamp,
}
impl Row for Spent {
    const VERSION: u8 = 1;
}
pub static SPENT_BY_TIME: Index<[u8; 32], Spent> = Index::new(115, "people.limits.by_time", |_, spent, keys| keys.add(&spent.until));
pub static SPENT: Table<[u8; 32], Spent> = Table::new(114, "people.limits", &[&SPENT_BY_TIME]);

impl Limit {
    fn next(self, until: Timestamp, now: Timestamp) -> Result<Timestamp, Refusal> {
        let every_ms = i64::from(self.every_s) * 1000;
        let next = until.max(now).plus_ms(every_ms);
        let over_ms = next.ms_since(now) - every_ms * i64::from(self.burst);
        if over_ms <= 0 {
            return Ok(next);
        }
        Err(Refusal::RateLimited { retry_after_s: u32::try_from((over_ms + 999) / 1000).unwrap_or(u32::MAX) })
    }
}

/// Whether one more is allowed for what hashes to `key`.
///
/// # Errors
/// [`Refusal::RateLimited`].
pub fn check(read: &(impl Read + ?Sized), now: Timestamp, key: &[u8; 32], limit: Limit) -> Result<(), Refusal> {
    limit.next(SPENT.get(read, key).map_or(now, |spent| spent.until), now).map(drop)
}

/// Takes one.
///
/// # Errors
/// [`Refusal::RateLimited`]; nothing is taken.
pub fn spend(tx: &mut Tx, key: &[u8; 32], limit: Limit) -> Result<(), Refusal> {
    let now = tx.now();
    let until = limit.next(SPENT.get(tx, key).map_or(now, |spent| spent.until), now)?;
    SPENT.put(tx, key, &Spent { until });
    sweep(tx, now);
    Ok(())
}

/// Forgets what was spent (the right password came).
pub fn forget(tx: &mut Tx, key: &[u8; 32]) {
    SPENT.delete(tx, key);
}

/// Each row written takes up to two stale ones away, so that the table holds what is limited now and no timer is needed.
fn sweep(tx: &mut Tx, now: Timestamp) {
    let stale: Vec<[u8; 32]> = SPENT
        .page(tx, &SPENT_BY_TIME, &(), None, Direction::Forward)
        .take(2)
        .filter(|(_, _, spent)| spent.until < now)
        .map(|(_, key, _)| key)
        .collect();
    for key in &stale {
        SPENT.delete(tx, key);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn play(limit: Limit, gaps_ms: &[i64]) -> Vec<(i64, bool)> {
        let (mut until, mut now) = (Timestamp::EPOCH, Timestamp::from_millis(1_000_000));
        gaps_ms
            .iter()
            .map(|gap| {
                now = now.plus_ms(*gap);
                let next = limit.next(until, now);
                if let Ok(next) = next {
                    until = next;
                }
                (now.millis(), next.is_ok())
            })
            .collect()
    }

    #[test]
    fn a_burst_then_one_at_a_time() {
        let limit = Limit { burst: 3, every_s: 10 };
        let allowed: Vec<bool> = play(limit, &[0, 0, 0, 0, 9_999, 1, 0]).into_iter().map(|(_, allowed)| allowed).collect();
        assert_eq!(allowed, [true, true, true, false, false, true, false]);
        let now = Timestamp::from_millis(1_000_000);
        assert_eq!(limit.next(now.plus_s(30), now), Err(Refusal::RateLimited { retry_after_s: 10 }));
        assert_eq!(limit.next(now.plus_ms(20_001), now), Err(Refusal::RateLimited { retry_after_s: 1 }));
    }

    proptest! {
        /// In no stretch of time more than the burst and one for each whole interval.
        #[test]
        fn never_more_than_promised(gaps in proptest::collection::vec(0_i64..20_000, 1..80)) {
            let allowed: Vec<i64> = play(Limit { burst: 3, every_s: 10 }, &gaps).into_iter().filter(|(_, allowed)| *allowed).map(|(at, _)| at).collect();
            for (first, from) in allowed.iter().enumerate() {
                for (last, to) in allowed.iter().enumerate().skip(first) {
                    prop_assert!((last - first + 1) as i64 <= 3 + (to - from) / 10_000);
                }
            }
        }
    }
}
