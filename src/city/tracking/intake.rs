//! Pings in: what moves a courier, what only belongs into the track, what is kept apart, what is refused.

use std::sync::PoisonError;

use index::geo::Fix;
use storage::{Read, Timestamp};

use super::check::{self, LATE_MAX_S, Ping, Rejected};
use super::doubt::{Doubt, JUMPS_MAX};
use super::live::{Moved, Tracking};
use super::track::TrackPoint;
use crate::city::couriers::model::PRESENCES;
use crate::city::couriers::{Availability, CourierId, Vehicle};
use crate::city::place::Place;
use crate::engine::EngineClock;

/// What became of a batch of pings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Moved the courier.
    pub accepted: u32,
    pub rejected: u32,
    /// Of the rejected: too late to move anybody, but kept in the track of what the courier carries.
    pub late: u32,
    /// Of the rejected: a jump, kept apart until others confirm it.
    pub doubted: u32,
}

/// When something reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// By the engine's clock: what device times are compared with.
    pub at: Timestamp,
    /// By the machine's steady clock: what silence is measured with.
    pub monotonic_ms: u64,
    /// Whether the engine's clock stands still (a test's, a replay's): then devices' times go ahead of it, and are right.
    pub stands_still: bool,
}

impl Received {
    /// Now.
    #[must_use]
    pub fn now(clock: &EngineClock) -> Self {
        Self { at: clock.now(), monotonic_ms: clock.monotonic_ms(), stands_still: clock.is_frozen() }
    }
}

/// Operators should look at a courier's positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    pub jumps: u32,
    /// Where the courier was believed to be, and where the device says they are.
    pub from: Place,
    pub to: Place,
    pub at: Timestamp,
    /// The way between them, and the time it took by the device's clock.
    pub distance_m: u32,
    pub passed_s: i64,
    /// Whether the map follows the device now.
    pub is_believed: bool,
}

impl Tracking {
    /// Takes a courier's pings, in the order given: the believed ones move the courier, the others are counted. Waits for nobody.
    ///
    /// What comes later than something newer goes into the track where it belongs by its device's time; a jump is kept apart ([`super::doubt`]).
    pub fn accept_pings(
        &self,
        read: &(impl Read + ?Sized),
        courier: CourierId,
        vehicle: Vehicle,
        pings: &[Ping],
        received: Received,
    ) -> Accepted {
        let mut counted = Accepted::default();
        let presence = PRESENCES.get(read, &courier).unwrap_or_default();
        let working = presence.availability != Availability::Offline;
        let Some(slot) = self.slot(courier).filter(|_| working) else {
            counted.rejected = pings.len() as u32;
            metrics::counter!("medina_pings_rejected_total", "why" => "offline").increment(u64::from(counted.rejected));
            return counted;
        };
        self.signs.heard(slot, courier, received.monotonic_ms);
        let sign = self.signs.of(slot);
        let speed_max = check::speed_mps_max(vehicle);
        let ahead_ms = if received.stands_still { 0 } else { check::ahead_ms(pings, received.at) };
        let mut last = self.positions.last(slot);
        let (mut trail, mut late) = (Vec::new(), Vec::new());
        let point = |ping: &Ping, place: Place| TrackPoint { at: ping.at, place, received_at: received.at, seq: ping.seq };
        for ping in pings {
            let mut shown = Ping { at: ping.at.minus_ms(ahead_ms), ..*ping };
            if sign.counts_on(ping.seq) == Some(true) && last.is_some_and(|last| shown.at.millis() <= last.at_ms) {
                // A new fix with an old time: the device's clock was set back. Ours says when.
                shown.at = received.at;
            }
            let mut checked = check::check(last.as_ref(), &shown, received.at, speed_max);
            match (&checked, last) {
                (Err(Rejected::Jump), Some(before)) => checked = self.weigh(courier, &before, &shown, received.at, speed_max),
                (Ok(_), _) if sign.is_doubted() => drop(self.doubts().get_mut(&courier).map(Doubt::settle)),
                _ => (),
            }
            match checked {
                Ok(fix) if self.positions.ping(slot, &fix) == index::geo::Ping::Taken => {
                    counted.accepted += 1;
                    trail.push(point(ping, fix.point.into()));
                    last = Some(fix);
                }
                // Another connection of the same courier was faster.
                Ok(_) => reject(&mut counted, "out_of_order"),
                Err(why) => {
                    counted.doubted += u32::from(why == Rejected::Jump);
                    reject(&mut counted, why.label());
                    let is_late = matches!(why, Rejected::Old | Rejected::OutOfOrder) && received.at.ms_since(ping.at) <= LATE_MAX_S * 1000;
                    if is_late && !presence.carries.is_empty() && check::fix(ping).is_ok() {
                        counted.late += 1;
                        late.push(point(ping, ping.point.into()));
                    }
                }
            }
        }
        metrics::counter!("medina_pings_accepted_total").increment(u64::from(counted.accepted));
        if counted.late > 0 {
            metrics::counter!("medina_pings_late_total").increment(u64::from(counted.late));
        }
        let tells = !trail.is_empty() || !late.is_empty();
        if tells && !presence.carries.is_empty() {
            let subjects: Vec<u128> = presence.carries.iter().map(|carried| carried.subject).collect();
            self.trails().extend(courier, &subjects, &trail, &late);
            if let (Some(fix), false) = (last, trail.is_empty()) {
                // Nobody watches: nobody to tell.
                let _ = self.feed.send(Moved { courier, subjects, live: fix.into() });
            }
        }
        counted
    }

    /// A believable position came: whatever was kept apart was noise.
    pub(super) fn settle_doubt(&self, courier: CourierId) {
        if self.doubt(courier).is_some()
            && let Some(doubt) = self.doubts().get_mut(&courier)
        {
            doubt.settle();
        }
    }

    /// A fix that could not be reached from `before`: kept apart, or believed at last.
    pub(super) fn weigh(
        &self,
        courier: CourierId,
        before: &Fix,
        ping: &Ping,
        received: Timestamp,
        speed_mps_max: f64,
    ) -> Result<Fix, Rejected> {
        let fix = check::fix(ping)?;
        let (jumps, is_believed) = {
            let mut doubts = self.doubts();
            let doubt = doubts.entry(courier).or_default();
            let is_believed = doubt.weigh(fix, received, speed_mps_max);
            (doubt.jumps, is_believed)
        };
        if let Some(slot) = self.slot(courier) {
            self.signs.of(slot).doubt(true);
        }
        if is_believed || jumps >= JUMPS_MAX {
            let alarm = Alarm {
                jumps,
                from: before.point.into(),
                to: fix.point.into(),
                at: Timestamp::from_millis(fix.at_ms),
                distance_m: before.point.distance_m(fix.point).round() as u32,
                passed_s: (fix.at_ms - before.at_ms) / 1000,
                is_believed,
            };
            self.alarms.lock().unwrap_or_else(PoisonError::into_inner).insert(courier, alarm);
        }
        if is_believed { Ok(fix) } else { Err(Rejected::Jump) }
    }
}

fn reject(counted: &mut Accepted, why: &'static str) {
    counted.rejected += 1;
    metrics::counter!("medina_pings_rejected_total", "why" => why).increment(1);
}
