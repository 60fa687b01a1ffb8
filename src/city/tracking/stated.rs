//! Where couriers say that they are when they begin, rest and stop: doubted as a ping is ([`super::doubt`]).

use index::geo::Fix;
use storage::Timestamp;

use super::check::{self, Ping, is_reachable};
use super::live::Tracking;
use crate::city::couriers::{Availability, CourierId, Presence, Vehicle};
use crate::city::place::Place;

impl Tracking {
    /// Where the courier was last, also before they stopped work.
    pub(super) fn last_known(&self, courier: CourierId) -> Option<Fix> {
        let slot = self.positions.lookup(courier.as_u128());
        slot.and_then(|slot| self.positions.last(slot)).or_else(|| self.left().get(&courier).copied())
    }

    /// Whether somebody on such a vehicle can be at `place` at `at`, after where they were last. Changes nothing.
    #[must_use]
    pub fn believes(&self, courier: CourierId, vehicle: Vehicle, place: Place, at: Timestamp) -> bool {
        self.last_known(courier).is_none_or(|last| is_reachable(&last, &fix(place, at, &last), check::speed_mps_max(vehicle)))
    }

    /// Keeps the map in step with what a courier said: who stops work leaves it, who starts stands where they say, or where they last were. What they
    /// cannot have reached waits for pings that confirm it.
    pub fn follow(&self, courier: CourierId, vehicle: Vehicle, presence: &Presence, stated: Option<Place>, at: Timestamp) {
        if presence.availability == Availability::Offline {
            self.gone(courier);
            return;
        }
        let is_known = self.position(courier).is_some();
        match (stated, self.last_known(courier)) {
            (Some(place), Some(last)) if !self.believes(courier, vehicle, place, at) => {
                if !is_known {
                    // Back from a rest: on the map again where they left it.
                    self.place(courier, last.point.into(), Timestamp::from_millis(last.at_ms));
                }
                self.doubt_stated(courier, vehicle, &last, place, at);
            }
            (Some(place), _) => {
                self.settle_doubt(courier);
                self.place(courier, place, at);
            }
            (None, _) => {
                if let Some(place) = presence.position.filter(|_| !is_known) {
                    self.place(courier, place, at);
                }
            }
        }
        self.left().remove(&courier);
    }

    fn doubt_stated(&self, courier: CourierId, vehicle: Vehicle, last: &Fix, place: Place, at: Timestamp) {
        let said = fix(place, at, last);
        let ping = Ping {
            point: said.point,
            at: Timestamp::from_millis(said.at_ms),
            accuracy_m: None,
            speed_mps: None,
            heading_deg: None,
            seq: None,
        };
        if self.weigh(courier, last, &ping, at, check::speed_mps_max(vehicle)).is_ok() {
            self.place(courier, place, at);
        }
    }
}

/// A statement is later than every ping before it, also if the device's clock is a little ahead.
fn fix(place: Place, at: Timestamp, last: &Fix) -> Fix {
    Fix { point: place.point(), at_ms: at.millis().max(last.at_ms + 1), heading_deg: None, speed_mps: None, accuracy_m: None }
}
