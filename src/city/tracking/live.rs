//! The live side: slots, who watches, and the trail that waits to be sampled.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use index::geo::{Fix, Point, Positions, Seen, Slot};
use storage::{Read, Timestamp};
use tokio::sync::broadcast;

use super::check::{Ping, check};
use super::doing::Hints;
use super::track::{TrackPoint, Trails};
use crate::city::couriers::model::PRESENCES;
use crate::city::couriers::{Availability, CourierId, Presence};
use crate::city::place::Place;
use crate::city::travel::{Times, Travel};
use crate::engine::Engine;

/// How stale the order of a nearest search may be.
const REFRESH_EVERY: Duration = Duration::from_millis(250);
/// Position updates that a slow watcher may fall behind before it loses the oldest.
const FEED_LEN: usize = 4_096;

/// Where a courier is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Live {
    pub point: Point,
    /// Device time.
    pub at: Timestamp,
    pub heading_deg: Option<u16>,
    pub speed_mps: Option<f32>,
}

impl From<Fix> for Live {
    fn from(fix: Fix) -> Self {
        Self { point: fix.point, at: Timestamp::from_millis(fix.at_ms), heading_deg: fix.heading_deg, speed_mps: fix.speed_mps }
    }
}

/// A courier with jobs in hand moved.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    pub courier: CourierId,
    /// What they carry: the subjects (orders) whose watchers want to know.
    pub subjects: Vec<u128>,
    pub live: Live,
}

/// What became of a batch of pings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    pub accepted: u32,
    pub rejected: u32,
}

/// The couriers' positions and those who follow them. One per appliance, shared by an `Arc`.
pub struct Tracking {
    pub(super) positions: Positions,
    feed: broadcast::Sender<Moved>,
    trails: Mutex<Trails>,
    /// Somebody was put on or off the map since the last picture: the next search that must know them takes a new one.
    outdated: AtomicBool,
    travel: OnceLock<Travel>,
    pub(super) known_by: Hints,
}

impl Default for Tracking {
    fn default() -> Self {
        Self {
            positions: Positions::new(),
            feed: broadcast::channel(FEED_LEN).0,
            trails: Mutex::default(),
            outdated: AtomicBool::new(false),
            travel: OnceLock::new(),
            known_by: Hints::default(),
        }
    }
}

impl Tracking {
    /// Says who knows how long the couriers need from where they are. Set once, where the appliance is put together; until then the straight line does.
    pub fn travels_by(&self, travel: Travel) {
        // A second setting could only be a second appliance's; the first stands.
        let _ = self.travel.set(travel);
    }

    /// The travel times of a city whose couriers do `speed_mps` along straight lines.
    #[must_use]
    pub fn times(&self, speed_mps: f64) -> Box<dyn Times> {
        self.travel.get_or_init(Travel::default).in_city(speed_mps)
    }

    /// Fills the slots from the presence rows: what is known after a start, before the first pings.
    pub fn restore(&self, read: &(impl Read + ?Sized)) {
        for (courier, presence) in PRESENCES.scan(read) {
            if let Some(position) = presence.position.filter(|_| presence.availability != Availability::Offline) {
                self.place(courier, position, presence.changed_at);
            }
        }
        self.positions.refresh();
    }

    /// Where the courier is, if known.
    #[must_use]
    pub fn position(&self, courier: CourierId) -> Option<Live> {
        let slot = self.positions.lookup(courier.as_u128())?;
        self.positions.last(slot).map(Live::from)
    }

    /// Position updates of couriers with jobs in hand.
    #[must_use]
    pub fn feed(&self) -> broadcast::Receiver<Moved> {
        self.feed.subscribe()
    }

    fn slot(&self, courier: CourierId) -> Option<Slot> {
        let known = self.positions.lookup(courier.as_u128());
        // More couriers than slots: the rest work on, but are not found by place.
        known.or_else(|| {
            self.positions.insert(courier.as_u128()).inspect_err(|full| tracing::error!(%full, "a courier has no position slot")).ok()
        })
    }

    /// Puts a courier on the map where they said they are (presence), whatever the last ping was.
    pub fn place(&self, courier: CourierId, position: Place, at: Timestamp) {
        let Some(slot) = self.slot(courier) else { return };
        // A statement is later than every ping before it, also if the device's clock is a little ahead.
        let at_ms = self.positions.last(slot).map_or(at.millis(), |last| at.millis().max(last.at_ms + 1));
        let fix = Fix { point: position.point(), at_ms, heading_deg: None, speed_mps: None, accuracy_m: None };
        self.positions.ping(slot, &fix);
        self.outdated.store(true, Ordering::Release);
    }

    /// Keeps the map in step with what a courier said: who stops work leaves it, who starts stands where they say, or where they last were.
    pub fn follow(&self, courier: CourierId, presence: &Presence, stated: Option<Place>, at: Timestamp) {
        if presence.availability == Availability::Offline {
            self.gone(courier);
            return;
        }
        let known = self.position(courier).is_some();
        if let Some(place) = stated.or(presence.position.filter(|_| !known)) {
            self.place(courier, place, at);
        }
    }

    /// Takes a courier off the map.
    pub fn gone(&self, courier: CourierId) {
        if let Some(slot) = self.positions.lookup(courier.as_u128()) {
            self.positions.forget(slot);
            self.outdated.store(true, Ordering::Release);
        }
    }

    /// Takes a courier's pings, in the order given: the believed ones move the courier, the others are counted.
    pub fn accept_pings(&self, read: &(impl Read + ?Sized), courier: CourierId, pings: &[Ping], now: Timestamp) -> Accepted {
        let mut counted = Accepted::default();
        let presence = PRESENCES.get(read, &courier).unwrap_or_default();
        let working = presence.availability != Availability::Offline;
        let Some(slot) = self.slot(courier).filter(|_| working) else {
            counted.rejected = pings.len() as u32;
            metrics::counter!("medina_pings_rejected_total", "why" => "offline").increment(u64::from(counted.rejected));
            return counted;
        };
        let mut last = self.positions.last(slot);
        let mut trail = Vec::new();
        for ping in pings {
            match check(last.as_ref(), ping, now) {
                Ok(fix) if self.positions.ping(slot, &fix) == index::geo::Ping::Taken => {
                    counted.accepted += 1;
                    trail.push(TrackPoint { at: ping.at, place: fix.point.into() });
                    last = Some(fix);
                }
                // Another connection of the same courier was faster.
                Ok(_) => reject(&mut counted, "out_of_order"),
                Err(why) => reject(&mut counted, why.label()),
            }
        }
        metrics::counter!("medina_pings_accepted_total").increment(u64::from(counted.accepted));
        if let (Some(fix), false) = (last, presence.carries.is_empty() || trail.is_empty()) {
            let subjects: Vec<u128> = presence.carries.iter().map(|carried| carried.subject).collect();
            self.trails().extend(courier, &subjects, &trail);
            // Nobody watches: nobody to tell.
            let _ = self.feed.send(Moved { courier, subjects, live: fix.into() });
        }
        counted
    }

    /// The `k` nearest to `point` within `radius_m`, nearest first.
    #[must_use]
    pub fn nearest(&self, point: Point, k: usize, radius_m: f64, filter: impl FnMut(&Seen) -> bool) -> Vec<Seen> {
        if self.outdated.swap(false, Ordering::AcqRel) {
            self.positions.refresh();
        }
        self.positions.nearest(point, k, radius_m, filter)
    }

    /// A new picture for searches, if anybody moved.
    pub fn refresh(&self) -> bool {
        self.positions.refresh()
    }

    /// How many couriers have a slot.
    #[must_use]
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    pub(super) fn trails(&self) -> MutexGuard<'_, Trails> {
        self.trails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is to be sampled.
    pub(super) fn take_trails(&self) -> BTreeMap<CourierId, super::track::Trail> {
        self.trails().take()
    }

    /// Keeps the picture fresh and samples tracks until the engine is gone. Spawn it once.
    pub async fn run(self: std::sync::Arc<Self>, engine: Engine) {
        let engine = engine.downgrade();
        let mut refresh = tokio::time::interval(REFRESH_EVERY);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut sample = tokio::time::interval(super::track::SAMPLE_EVERY);
        sample.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let sampling = tokio::select! {
                _ = refresh.tick() => false,
                _ = sample.tick() => true,
            };
            let Some(engine) = engine.upgrade() else { return };
            if sampling {
                super::track::sample(&self, &engine).await;
            } else {
                self.refresh();
            }
        }
    }
}

fn reject(counted: &mut Accepted, why: &'static str) {
    counted.rejected += 1;
    metrics::counter!("medina_pings_rejected_total", "why" => why).increment(1);
}
