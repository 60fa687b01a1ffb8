//! Jumps: a fix that nobody could have reached is kept apart until others follow it. Pure.
//!
//! One wild fix is the satellites' fault and is forgotten with the next good one. A device that says the same for a while really is there (a wrong fix
//! before, or a phone that was carried in a car), or somebody makes the positions up: it is believed, and operators are told.

use index::geo::Fix;
use storage::Timestamp;

use super::check::is_reachable;

/// On the operators' list, by courier: positions that jump.
pub const ATTENTION: &str = "position_doubted";

/// So many fixes that fit each other, the first jump included, move the courier there after all.
pub const CONFIRMED_BY: u32 = 4;
/// And they must be this far apart, by the device's clock and by ours: a batch that was made up in one go confirms nothing.
pub const CONFIRMED_OVER_S: i64 = 10;
/// So many jumps are more than bad reception: operators are told.
pub const JUMPS_MAX: u32 = 3;

/// Fixes that wait to be believed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Apart {
    first: Fix,
    newest: Fix,
    fixes: u32,
    first_received: Timestamp,
}

/// What is held against a courier's positions since they began to work.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Doubt {
    /// Jumps so far.
    pub jumps: u32,
    apart: Option<Apart>,
}

impl Doubt {
    /// Where the device says it is, while that is not believed.
    #[must_use]
    pub fn claimed(&self) -> Option<Fix> {
        self.apart.map(|apart| apart.newest)
    }

    /// A fix that could be reached came: what was apart was noise.
    pub fn settle(&mut self) {
        self.apart = None;
    }

    /// Weighs a fix that could not be reached from where the courier was. Whether it is believed now.
    pub fn weigh(&mut self, fix: Fix, received: Timestamp, speed_mps_max: f64) -> bool {
        match &mut self.apart {
            Some(apart) if is_reachable(&apart.newest, &fix, speed_mps_max) => {
                apart.newest = fix;
                apart.fixes += 1;
                let device_s = (fix.at_ms - apart.first.at_ms) / 1000;
                let ours_s = received.ms_since(apart.first_received) / 1000;
                let is_confirmed = apart.fixes >= CONFIRMED_BY && device_s.min(ours_s) >= CONFIRMED_OVER_S;
                if is_confirmed {
                    self.apart = None;
                }
                is_confirmed
            }
            Some(_) | None => {
                self.jumps = self.jumps.saturating_add(1);
                self.apart = Some(Apart { first: fix, newest: fix, fixes: 1, first_received: received });
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use index::geo::Point;

    use super::*;

    fn fix(north_m: f64, s: i64) -> Fix {
        let point = Point::new(5.0 + north_m / 111_195.0, 0.0).expect("on the earth");
        Fix { point, at_ms: s * 1000, heading_deg: None, speed_mps: None, accuracy_m: None }
    }

    /// Fixes as (metres north, device seconds, received seconds), and after which of them the last is believed.
    fn believed(fixes: &[(f64, i64, i64)]) -> (Vec<usize>, u32) {
        let mut doubt = Doubt::default();
        let weighed =
            fixes.iter().map(|(north_m, s, received_s)| doubt.weigh(fix(*north_m, *s), Timestamp::from_millis(received_s * 1000), 25.0));
        let believed = weighed.enumerate().filter(|(_, believed)| *believed).map(|(n, _)| n).collect();
        (believed, doubt.jumps)
    }

    #[test]
    fn what_keeps_saying_the_same_is_believed_and_nothing_else() {
        /// What it is, the fixes (metres to the north, seconds of the device's clock, and of ours), and which are believed with how many jumps.
        type Case = (&'static str, &'static [(f64, i64, i64)], (Vec<usize>, u32));
        let cases: [Case; 5] = [
            ("a steady one", &[(9e3, 0, 0), (9e3, 4, 4), (9e3, 8, 8), (9e3, 12, 12)], (vec![3], 1)),
            ("three are not enough", &[(9e3, 0, 0), (9e3, 6, 6), (9e3, 12, 12)], (vec![], 1)),
            ("made up in one go", &[(9e3, 0, 20), (9e3, 6, 20), (9e3, 12, 20), (9e3, 18, 20)], (vec![], 1)),
            ("all at the same device time but slowly", &[(9e3, 0, 0), (9e3, 1, 6), (9e3, 2, 12), (9e3, 3, 18)], (vec![], 1)),
            ("here and there", &[(9e3, 0, 0), (-9e3, 6, 6), (9e3, 12, 12), (-9e3, 18, 18), (9e3, 24, 24)], (vec![], 5)),
        ];
        for (what, fixes, expected) in cases {
            assert_eq!(believed(fixes), expected, "{what}");
        }
    }
}
