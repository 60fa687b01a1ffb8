//! Which pings are believed. Pure: the last fix, the ping and the time decide.

use index::geo::{Fix, Point};
use storage::Timestamp;

use crate::city::couriers::Vehicle;
use crate::city::dispatch::planted;

/// Older than this when it arrives: no use for dispatch, and too easy to make up.
pub const AGE_MAX_S: i64 = 300;
/// A device's clock may be this far ahead.
pub const FUTURE_MAX_S: i64 = 30;
/// A circle wider than this says nothing about a street.
pub const ACCURACY_M_MAX: f64 = 500.0;
/// Faster than any vehicle we know in a city (216 km/h): a jump, not a move.
pub const SPEED_MPS_MAX: f64 = 60.0;
/// Sent late (a tunnel, a dead spot), a ping still tells where somebody was, if it is not older than this.
pub const LATE_MAX_S: i64 = 3_600;
/// What a fix may be off by without its sender saying so.
const TOLERANCE_M: f64 = 50.0;

/// What a device says about where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ping {
    pub point: Point,
    /// Device time.
    pub at: Timestamp,
    pub accuracy_m: Option<f64>,
    pub speed_mps: Option<f64>,
    /// Degrees clockwise from north.
    pub heading_deg: Option<f64>,
    /// The device's own count of its fixes, if it counts: tells a repeat from a clock that was set back.
    pub seq: Option<u64>,
}

/// Nobody does more on such a vehicle, not even downhill: a generous bound, in metres per second.
#[must_use]
pub fn speed_mps_max(vehicle: Vehicle) -> f64 {
    match vehicle {
        // A bus counts as walking, too.
        Vehicle::Foot => 20.0,
        Vehicle::Bike => 25.0,
        Vehicle::Motorbike => 45.0,
        Vehicle::Car => SPEED_MPS_MAX,
    }
}

/// Why a ping is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("older than {AGE_MAX_S} s")]
    Old,
    #[error("more than {FUTURE_MAX_S} s ahead")]
    Future,
    #[error("wider than {ACCURACY_M_MAX} m, or not a radius")]
    Inaccurate,
    #[error("not after the last one")]
    OutOfOrder,
    #[error("says a speed that is too high to be true")]
    Impossible,
    #[error("too far from where the courier was")]
    Jump,
}

impl Rejected {
    /// For metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::Future => "future",
            Self::Inaccurate => "inaccurate",
            Self::OutOfOrder => "out_of_order",
            Self::Impossible => "impossible",
            Self::Jump => "jump",
        }
    }
}

/// By how much a batch's clock is ahead of ours, if it is: a ping is never later than its receipt. Pings that are too far ahead to be meant do not count.
#[must_use]
pub fn ahead_ms(pings: &[Ping], received: Timestamp) -> i64 {
    let ahead = pings.iter().map(|ping| ping.at.ms_since(received));
    ahead.filter(|ms| *ms <= FUTURE_MAX_S * 1000).max().unwrap_or(0).max(0)
}

/// Whether somebody can get from one fix to a later one at this speed, with what both may be off by.
#[must_use]
pub fn is_reachable(from: &Fix, to: &Fix, speed_mps_max: f64) -> bool {
    let slack_m = TOLERANCE_M + from.accuracy_m.map_or(0.0, f64::from) + to.accuracy_m.map_or(0.0, f64::from);
    let reach_m = speed_mps_max * to.at_ms.saturating_sub(from.at_ms) as f64 / 1000.0 + slack_m;
    from.point.distance_m(to.point) <= reach_m || planted::is(planted::JUMPS_BELIEVED)
}

/// What a ping says, if it can be meant at all.
///
/// # Errors
/// [`Rejected::Inaccurate`], [`Rejected::Impossible`].
pub fn fix(ping: &Ping) -> Result<Fix, Rejected> {
    if ping.accuracy_m.is_some_and(|radius_m| !(0.0..=ACCURACY_M_MAX).contains(&radius_m)) {
        return Err(Rejected::Inaccurate);
    }
    if ping.speed_mps.is_some_and(|speed_mps| !(0.0..=SPEED_MPS_MAX).contains(&speed_mps)) {
        return Err(Rejected::Impossible);
    }
    let heading_deg = ping.heading_deg.filter(|heading| heading.is_finite()).map(|heading| (heading.rem_euclid(360.0) as u16).min(359));
    Ok(Fix {
        point: ping.point,
        at_ms: ping.at.millis(),
        heading_deg,
        speed_mps: ping.speed_mps.map(|speed| speed as f32),
        accuracy_m: ping.accuracy_m.map(|radius| radius as f32),
    })
}

/// The fix that `ping` makes after `last`, if it moves a courier who does at most `speed_mps_max`; `received` is our time.
///
/// # Errors
/// [`Rejected`]. After a jump somebody is believed again as soon as they could have travelled there, or once enough fixes confirm it ([`super::doubt`]).
pub fn check(last: Option<&Fix>, ping: &Ping, received: Timestamp, speed_mps_max: f64) -> Result<Fix, Rejected> {
    if received.ms_since(ping.at) > AGE_MAX_S * 1000 {
        return Err(Rejected::Old);
    }
    if ping.at.ms_since(received) > FUTURE_MAX_S * 1000 {
        return Err(Rejected::Future);
    }
    let fix = fix(ping)?;
    match last {
        Some(last) if fix.at_ms <= last.at_ms => Err(Rejected::OutOfOrder),
        Some(last) if !is_reachable(last, &fix, speed_mps_max) => Err(Rejected::Jump),
        Some(_) | None => Ok(fix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn ping(lat: f64, at: Timestamp) -> Ping {
        Ping { point: Point::new(lat, 0.0).expect("on the earth"), at, accuracy_m: None, speed_mps: None, heading_deg: None, seq: None }
    }

    #[test]
    fn each_rule_rejects_what_it_names() {
        let last = check(None, &ping(5.0, NOW.minus_s(10)), NOW, SPEED_MPS_MAX).expect("a first ping is believed");
        // One thousandth of a degree of latitude is 111 m.
        let cases = [
            (ping(5.001, NOW), Ok(())),
            (ping(5.005, NOW), Ok(())),                                    // 556 m in 10 s: 56 m/s
            (ping(5.006, NOW), Err(Rejected::Jump)),                       // 667 m in 10 s, even with 50 m of tolerance
            (Ping { accuracy_m: Some(50.0), ..ping(5.006, NOW) }, Ok(())), // unless the circle is that wide
            (ping(5.0, NOW.minus_s(10)), Err(Rejected::OutOfOrder)),
            (ping(5.0, NOW.minus_s(11)), Err(Rejected::OutOfOrder)),
            (ping(5.0, NOW.minus_s(301)), Err(Rejected::Old)),
            (ping(5.0, NOW.plus_s(30)), Ok(())),
            (ping(5.0, NOW.plus_ms(30_001)), Err(Rejected::Future)),
            (Ping { accuracy_m: Some(501.0), ..ping(5.0, NOW) }, Err(Rejected::Inaccurate)),
            (Ping { accuracy_m: Some(f64::NAN), ..ping(5.0, NOW) }, Err(Rejected::Inaccurate)),
            (Ping { speed_mps: Some(61.0), ..ping(5.0, NOW) }, Err(Rejected::Impossible)),
        ];
        for (ping, expected) in cases {
            assert_eq!(check(Some(&last), &ping, NOW, SPEED_MPS_MAX).map(drop), expected, "{ping:?}");
        }
    }

    #[test]
    fn headings_are_brought_into_the_circle() {
        for (said, kept) in [(-90.0, Some(270)), (720.0, Some(0)), (359.9, Some(359)), (f64::NAN, None)] {
            let fix = check(None, &Ping { heading_deg: Some(said), ..ping(5.0, NOW) }, NOW, SPEED_MPS_MAX).expect("believed");
            assert_eq!(fix.heading_deg, kept, "{said}");
        }
    }

    #[test]
    fn a_vehicle_bounds_the_way() {
        let last = check(None, &ping(5.0, NOW.minus_s(10)), NOW, SPEED_MPS_MAX).expect("a first ping is believed");
        // 400 m in 10 s.
        for (vehicle, believed) in [(Vehicle::Foot, false), (Vehicle::Bike, false), (Vehicle::Motorbike, true), (Vehicle::Car, true)] {
            let checked = check(Some(&last), &ping(5.0036, NOW), NOW, speed_mps_max(vehicle));
            assert_eq!(checked.is_ok(), believed, "{vehicle:?}");
        }
    }

    #[test]
    fn a_clock_that_is_ahead_is_brought_back_to_the_receipt() {
        let at = |ahead_s: i64| ping(5.0, NOW.plus_s(ahead_s));
        let cases: [(&[i64], i64); 5] = [(&[-5, -1], 0), (&[], 0), (&[12, 20], 20), (&[-5, 3], 3), (&[31, 4_000], 0)];
        for (ahead_s, expected_s) in cases {
            let pings: Vec<Ping> = ahead_s.iter().copied().map(at).collect();
            assert_eq!(ahead_ms(&pings, NOW), expected_s * 1000, "{ahead_s:?}");
        }
    }
}
