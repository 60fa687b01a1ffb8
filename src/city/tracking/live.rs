//! The live side: slots, who watches, and the trail that waits to be sampled.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use index::geo::{Fix, Point, Positions, Seen, Slot};
use storage::{Read, Timestamp};
use tokio::sync::broadcast;

use super::doing::Hints;
use super::doubt::Doubt;
use super::intake::Alarm;
use super::signs::{Heard, Signs};
use super::track::Trails;
use crate::city::cities::CityId;
use crate::city::couriers::model::{PRESENCES, SILENCES};
use crate::city::couriers::{Availability, CourierId};
use crate::city::place::Place;
use crate::city::travel::{Speeds, Times, Travel, trips};
use crate::city::zones::views::Closed;
use crate::engine::Engine;

/// How stale the order of a nearest search may be.
const REFRESH_EVERY: Duration = Duration::from_millis(250);
/// Position updates that a slow watcher may fall behind before it loses the oldest.
const FEED_LEN: usize = 4_096;

/// Where a courier is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Live {
    pub point: Point,
    /// Device time, never after its receipt.
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

/// Which fixes somebody has been shown: their device times, by slot.
#[derive(Clone, Debug, Default)]
pub struct Passed(Vec<i64>);

/// The couriers' positions and those who follow them. One per appliance, shared by an `Arc`.
pub struct Tracking {
    pub(super) positions: Positions,
    pub(super) feed: broadcast::Sender<Moved>,
    trails: Mutex<Trails>,
    pub(super) signs: Signs,
    /// Of couriers who have jumped; the others' pings do not come here.
    doubts: Mutex<BTreeMap<CourierId, Doubt>>,
    pub(super) alarms: Mutex<BTreeMap<CourierId, Alarm>>,
    /// Where those who stopped work were then: one fix a courier, until they begin again.
    left: Mutex<BTreeMap<CourierId, Fix>>,
    /// Somebody was put on or off the map since the last picture: the next search that must know them takes a new one.
    outdated: AtomicBool,
    travel: OnceLock<Travel>,
    closed: Closed,
    pub(super) known_by: Hints,
}

impl Default for Tracking {
    fn default() -> Self {
        Self {
            positions: Positions::new(),
            feed: broadcast::channel(FEED_LEN).0,
            trails: Mutex::default(),
            signs: Signs::default(),
            doubts: Mutex::default(),
            alarms: Mutex::default(),
            left: Mutex::default(),
            outdated: AtomicBool::new(false),
            travel: OnceLock::new(),
            closed: Closed::default(),
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

    /// The travel times of a city whose couriers go at such speeds along straight lines.
    #[must_use]
    pub fn times(&self, speeds: impl Into<Speeds>) -> Box<dyn Times> {
        self.travel().in_city(speeds)
    }

    /// The travel times of a city at `now`: at the learned speeds, around where nobody is sent.
    #[must_use]
    pub fn times_in(&self, read: &(impl Read + ?Sized), city: CityId, now: Timestamp) -> Option<Box<dyn Times>> {
        let speeds = trips::speeds(read, city, now)?;
        Some(self.travel().around(self.closed.of(read, city), speeds))
    }

    /// Whether a command can find the way by itself: the straight line, and nothing in it.
    #[must_use]
    pub fn is_plain(&self, read: &(impl Read + ?Sized), city: CityId) -> bool {
        self.travel().is_free() && self.closed.of(read, city).is_empty()
    }

    /// Who knows how long the couriers need.
    #[must_use]
    pub fn travel(&self) -> &Travel {
        self.travel.get_or_init(Travel::default)
    }

    /// Fills the slots from the presence rows: what is known after a start, before the first pings. Devices have until `listen_from_ms` (of the steady
    /// clock) to come back before their silence counts.
    pub fn restore(&self, read: &(impl Read + ?Sized), listen_from_ms: u64) {
        for (courier, presence) in PRESENCES.scan(read).filter(|(_, presence)| presence.availability != Availability::Offline) {
            if let Some(position) = presence.position {
                self.place(courier, position, presence.changed_at);
            }
            let Some(slot) = self.slot(courier) else { continue };
            if SILENCES.has(read, &courier) {
                self.signs.mute(slot, courier);
            } else {
                self.signs.heard(slot, courier, listen_from_ms);
            }
        }
        self.positions.refresh();
    }

    /// A sign of life that is no position: the courier's device asked for something.
    pub fn heard(&self, courier: CourierId, monotonic_ms: u64) {
        if let Some(slot) = self.slot(courier) {
            self.signs.heard(slot, courier, monotonic_ms);
        }
    }

    /// Everybody whose device is listened for.
    pub fn watched(&self) -> impl Iterator<Item = Heard> + '_ {
        self.signs.watched()
    }

    /// When a device was heard of last, if it is listened for.
    #[must_use]
    pub fn last_heard_ms(&self, courier: CourierId) -> Option<u64> {
        self.signs.last(self.positions.lookup(courier.as_u128())?)
    }

    /// The courier is marked as silent from `Some` time on, or is back.
    pub fn mark_silent(&self, courier: CourierId, at_ms: Option<u64>) {
        let Some(slot) = self.positions.lookup(courier.as_u128()) else { return };
        match at_ms {
            Some(at_ms) => self.signs.mark(slot, at_ms),
            None => self.signs.unmark(slot),
        }
    }

    /// Nobody waits for a sign of this device any more, until the next one.
    pub fn stop_listening(&self, courier: CourierId) {
        if let Some(slot) = self.positions.lookup(courier.as_u128()) {
            self.signs.forget(slot);
        }
    }

    /// What is held against a courier's positions, if anything is.
    #[must_use]
    pub fn doubt(&self, courier: CourierId) -> Option<Doubt> {
        let slot = self.positions.lookup(courier.as_u128())?;
        if !self.signs.of(slot).is_doubted() {
            return None;
        }
        self.doubts().get(&courier).copied()
    }

    /// What operators have to be told; each once.
    pub fn take_alarms(&self) -> BTreeMap<CourierId, Alarm> {
        std::mem::take(&mut *self.alarms.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn left(&self) -> MutexGuard<'_, BTreeMap<CourierId, Fix>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn doubts(&self) -> MutexGuard<'_, BTreeMap<CourierId, Doubt>> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
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

    pub(super) fn slot(&self, courier: CourierId) -> Option<Slot> {
        let known = self.positions.lookup(courier.as_u128());
        // More couriers than slots: the rest work on, but are not found by place.
        known.or_else(|| {
            self.positions.insert(courier.as_u128()).inspect_err(|full| tracing::error!(%full, "a courier has no position slot")).ok()
        })
    }

    /// Puts a courier on the map where they said they are (presence), whatever the last ping was.
    pub fn place(&self, courier: CourierId, position: Place, at: Timestamp) {
        let Some(slot) = self.slot(courier) else { return };
        // A statement is later than every ping before it, also if the device's clock is a little ahead or they went home meanwhile.
        let at_ms = self.last_known(courier).map_or(at.millis(), |last| at.millis().max(last.at_ms + 1));
        let fix = Fix { point: position.point(), at_ms, heading_deg: None, speed_mps: None, accuracy_m: None };
        self.positions.ping(slot, &fix);
        self.outdated.store(true, Ordering::Release);
    }

    /// Takes a courier off the map.
    pub fn gone(&self, courier: CourierId) {
        if let Some(slot) = self.positions.lookup(courier.as_u128()) {
            if let Some(last) = self.positions.last(slot) {
                self.left().insert(courier, last);
            }
            self.positions.forget(slot);
            self.signs.forget(slot);
            self.signs.of(slot).doubt(false);
            self.doubts().remove(&courier);
            self.outdated.store(true, Ordering::Release);
        }
    }

    /// The `k` nearest to `point` within `radius_m`, nearest first.
    #[must_use]
    pub fn nearest(&self, point: Point, k: usize, radius_m: f64, filter: impl FnMut(&Seen) -> bool) -> Vec<Seen> {
        if self.outdated.swap(false, Ordering::AcqRel) {
            self.positions.refresh();
        }
        self.positions.nearest(point, k, radius_m, filter)
    }

    /// Shows everybody on the map whose fix is another than when `passed` was shown last.
    pub fn moved_since(&self, passed: &mut Passed, mut each: impl FnMut(CourierId, Fix)) {
        for slot in self.positions.slots() {
            if passed.0.len() <= slot.index() {
                passed.0.resize(slot.index() + 1, i64::MIN);
            }
            let Some(fix) = self.positions.last(slot) else { continue };
            if std::mem::replace(&mut passed.0[slot.index()], fix.at_ms) != fix.at_ms {
                each(CourierId::from_u128(self.positions.id(slot)), fix);
            }
        }
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
