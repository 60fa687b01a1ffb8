//! Which pings are believed. Pure: the last fix, the ping and the time decide.

use index::geo::{Fix, Point};
use storage::Timestamp;

/// Older than this when it arrives: no use for dispatch, and too easy to make up.
pub const AGE_MAX_S: i64 = 300;
/// A device's clock may be this far ahead.
pub const FUTURE_MAX_S: i64 = 30;
/// A circle wider than this says nothing about a street.
pub const ACCURACY_M_MAX: f64 = 500.0;
/// Faster than any vehicle we know in a city (216 km/h): a jump, not a move.
pub const SPEED_MPS_MAX: f64 = 60.0;
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
    #[error("too fast to be true")]
    Impossible,
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
        }
    }
}

/// The fix that `ping` makes after `last`, if it is believed at `now`.
///
/// # Errors
/// [`Rejected`]. After a jump somebody is believed again as soon as they could have travelled there.
pub fn check(last: Option<&Fix>, ping: &Ping, now: Timestamp) -> Result<Fix, Rejected> {
    if now.ms_since(ping.at) > AGE_MAX_S * 1000 {
        return Err(Rejected::Old);
    }
    if ping.at.ms_since(now) > FUTURE_MAX_S * 1000 {
        return Err(Rejected::Future);
    }
    if ping.accuracy_m.is_some_and(|radius_m| !(0.0..=ACCURACY_M_MAX).contains(&radius_m)) {
        return Err(Rejected::Inaccurate);
    }
    if ping.speed_mps.is_some_and(|speed_mps| !(0.0..=SPEED_MPS_MAX).contains(&speed_mps)) {
        return Err(Rejected::Impossible);
    }
    if let Some(last) = last {
        let passed_ms = ping.at.millis().saturating_sub(last.at_ms);
        if passed_ms <= 0 {
            return Err(Rejected::OutOfOrder);
        }
        let slack_m = TOLERANCE_M + ping.accuracy_m.unwrap_or(0.0) + last.accuracy_m.map_or(0.0, f64::from);
        let reach_m = SPEED_MPS_MAX * passed_ms as f64 / 1000.0 + slack_m;
        if last.point.distance_m(ping.point) > reach_m {
            return Err(Rejected::Impossible);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn ping(lat: f64, at: Timestamp) -> Ping {
        Ping { point: Point::new(lat, 0.0).expect("on the earth"), at, accuracy_m: None, speed_mps: None, heading_deg: None }
    }

    #[test]
    fn each_rule_rejects_what_it_names() {
        let last = check(None, &ping(5.0, NOW.minus_s(10)), NOW).expect("a first ping is believed");
        // One thousandth of a degree of latitude is 111 m.
        let cases = [
            (ping(5.001, NOW), Ok(())),
            (ping(5.005, NOW), Ok(())),                                    // 556 m in 10 s: 56 m/s
            (ping(5.006, NOW), Err(Rejected::Impossible)),                 // 667 m in 10 s, even with 50 m of tolerance
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
            assert_eq!(check(Some(&last), &ping, NOW).map(drop), expected, "{ping:?}");
        }
    }

    #[test]
    fn headings_are_brought_into_the_circle() {
        for (said, kept) in [(-90.0, Some(270)), (720.0, Some(0)), (359.9, Some(359)), (f64::NAN, None)] {
            let fix = check(None, &Ping { heading_deg: Some(said), ..ping(5.0, NOW) }, NOW).expect("believed");
            assert_eq!(fix.heading_deg, kept, "{said}");
        }
    }
}
