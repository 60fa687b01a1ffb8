//! Follows the couriers with jobs in hand: beside the writer, off the ping's path, at a bounded rate.
//!
//! A ping leaves a note on the feed; this worker collects them, looks at each courier at most once in [`LOOK_EVERY_S`], on a thread of its own (the travel
//! provider may be a server), and hands what is new to a command. Only a leader runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use storage::{Timestamp, View};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::machine::{self, Outlook};
use super::model::EXPECTED;
use super::{commands, views};
use crate::city::couriers::CourierId;
use crate::city::tracking::Tracking;
use crate::engine::{Caller, Engine};

/// A courier's way is looked at no more often than this.
pub const LOOK_EVERY_S: i64 = 10;
/// Pings of this long are taken together.
const COLLECT: Duration = Duration::from_millis(250);
/// Who does not move is looked at this often: a promise passes also while somebody stands still.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// Jobs of one command, so that it stays short in the writer.
const JOBS_MAX: usize = 64;

/// What was seen of a job: subject, courier, outlook.
type Seen = (u128, CourierId, Outlook);

/// See the module. One per appliance.
pub struct EtaWatcher {
    tracking: Arc<Tracking>,
}

/// Who has moved, and when each was looked at last.
#[derive(Debug, Default)]
struct Waiting {
    moved: BTreeSet<CourierId>,
    looked: BTreeMap<CourierId, Timestamp>,
}

impl Waiting {
    /// Takes those whose turn it is.
    fn due(&mut self, now: Timestamp) -> Vec<CourierId> {
        let looked = &self.looked;
        let is_due = |id: &CourierId| looked.get(id).is_none_or(|at| now.ms_since(*at).abs() >= LOOK_EVERY_S * 1000);
        let due: Vec<CourierId> = self.moved.iter().copied().filter(is_due).collect();
        for id in &due {
            self.moved.remove(id);
            self.looked.insert(*id, now);
        }
        due
    }

    /// Forgets who has nothing in hand.
    fn keep(&mut self, carrying: &BTreeSet<CourierId>) {
        self.looked.retain(|id, _| carrying.contains(id));
    }
}

impl EtaWatcher {
    #[must_use]
    pub fn new(tracking: Arc<Tracking>) -> Self {
        Self { tracking }
    }

    /// Watches until the engine stops. Spawn it once.
    pub async fn run(self, engine: Engine) {
        let mut feed = self.tracking.feed();
        let engine = engine.downgrade();
        let mut waiting = Waiting::default();
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let swept = tokio::select! {
                moved = feed.recv() => match moved {
                    Ok(moved) => { waiting.moved.insert(moved.courier); false }
                    // The sweep finds whoever was missed.
                    Err(RecvError::Lagged(_)) => false,
                    Err(RecvError::Closed) => return,
                },
                _ = sweep.tick() => true,
                // Somebody moved before their turn.
                () = tokio::time::sleep(COLLECT), if !waiting.moved.is_empty() => false,
            };
            let Some(engine) = engine.upgrade() else { return };
            let standing = engine.clock().is_frozen();
            if !standing {
                tokio::time::sleep(COLLECT).await;
            }
            loop {
                match feed.try_recv() {
                    Ok(moved) => drop(waiting.moved.insert(moved.courier)),
                    Err(TryRecvError::Lagged(_)) => (),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            let view = engine.view();
            // A test clock that stands moves nobody's promise by itself.
            if swept && !standing {
                let carrying: BTreeSet<CourierId> = EXPECTED.scan(&*view).map(|(_, expected)| expected.courier).collect();
                waiting.keep(&carrying);
                waiting.moved.extend(carrying);
            }
            let now = engine.now();
            let due = waiting.due(now);
            if !due.is_empty() {
                self.look(&engine, view, due, now).await;
            }
        }
    }

    async fn look(&self, engine: &Engine, view: Arc<View>, couriers: Vec<CourierId>, now: Timestamp) {
        let tracking = self.tracking.clone();
        let seen = tokio::task::spawn_blocking(move || {
            let of = |id: CourierId| {
                let (view, tracking) = (&view, &tracking);
                let outlooks = views::outlooks(view, tracking, id, now).into_iter();
                let is_news = |(subject, outlook): &(u128, Outlook)| {
                    EXPECTED.get(&**view, subject).is_some_and(|expected| !machine::look(&expected, outlook, now).is_none())
                };
                outlooks.filter(is_news).map(move |(subject, outlook)| (subject, id, outlook)).collect::<Vec<Seen>>()
            };
            couriers.into_iter().flat_map(of).collect::<Vec<Seen>>()
        });
        let mut seen = match seen.await {
            Ok(seen) => seen,
            Err(error) => {
                tracing::error!(%error, "the couriers' ways could not be looked at");
                return;
            }
        };
        while !seen.is_empty() {
            let some = seen.split_off(seen.len().saturating_sub(JOBS_MAX));
            let told = engine.write(&Caller::system("eta"), "eta.tell", move |tx| commands::tell(tx, &some));
            // Under overload a promise stays as it was until the next look.
            if let Err(error) = told.await {
                tracing::debug!(?error, "expected arrivals were not told");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_looked_at_more_often_than_agreed() {
        let (one, two) = (CourierId::from_u128(1), CourierId::from_u128(2));
        let at = |s: i64| Timestamp::from_millis(1_800_000_000_000).plus_s(s);
        let mut waiting = Waiting::default();
        let mut looks = 0;
        for s in 0..100 {
            waiting.moved.insert(one);
            looks += waiting.due(at(s)).len();
        }
        assert_eq!(looks, 10);
        waiting.moved.insert(two);
        assert_eq!(waiting.due(at(99)), [two], "the other one's turn is not over");
        assert_eq!(waiting.due(at(100)), [one], "who moved before their turn is not forgotten");
        waiting.keep(&BTreeSet::from([two]));
        assert_eq!(waiting.looked.len(), 1);
    }
}
