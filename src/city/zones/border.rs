//! Whether somebody has crossed a border. Pure.
//!
//! ```text
//!             clearly beyond (more than MARGIN_M and what the fix is unsure of) ─────────────► crossed
//!   beyond ──┤
//!             near the line: in doubt ── still beyond SETTLED_S later ──────────────────────► crossed
//!                                 └───── back on the old side ──► no doubt
//! ```

use storage::Timestamp;

/// So far beyond a border nobody is by jitter, in metres.
pub const MARGIN_M: f64 = 30.0;
/// A fix that is unsure of more than this is believed to be unsure of this.
const UNSURE_M_MAX: f64 = 100.0;
/// Who stays beyond a border for this long has crossed it, however near they are.
pub const SETTLED_S: i64 = 20;

/// What is known after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// As it was.
    Same,
    /// Beyond since then, but not surely.
    Doubt(Timestamp),
    Crossed,
}

/// One look at `at` (device time) at somebody who was on one side: whether they seem to be on the other (`beyond`), how far from the border, how unsure the
/// fix is, and since when there has been doubt.
#[must_use]
pub fn look(beyond: bool, edge_m: f64, accuracy_m: Option<f64>, doubt: Option<Timestamp>, at: Timestamp) -> Step {
    if !beyond {
        return Step::Same;
    }
    if edge_m > MARGIN_M + accuracy_m.unwrap_or(0.0).clamp(0.0, UNSURE_M_MAX) {
        return Step::Crossed;
    }
    match doubt {
        Some(since) if at.ms_since(since) >= SETTLED_S * 1000 => Step::Crossed,
        Some(since) => Step::Doubt(since),
        None => Step::Doubt(at),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000).plus_s(s)
    }

    #[test]
    fn when_a_border_is_crossed() {
        let doubt = Step::Doubt;
        for (beyond, edge_m, accuracy_m, since, expected) in [
            (false, 500.0, None, None, Step::Same),
            (false, 5.0, None, Some(at(-60)), Step::Same),
            (true, 31.0, None, None, Step::Crossed),
            (true, 30.0, None, None, doubt(at(0))),
            (true, 60.0, Some(40.0), None, doubt(at(0))),
            (true, 71.0, Some(40.0), None, Step::Crossed),
            (true, 131.0, Some(5_000.0), None, Step::Crossed),
            (true, 2.0, None, Some(at(-19)), doubt(at(-19))),
            (true, 2.0, None, Some(at(-20)), Step::Crossed),
        ] {
            assert_eq!(look(beyond, edge_m, accuracy_m, since, at(0)), expected, "{beyond} {edge_m} {accuracy_m:?} {since:?}");
        }
    }

    proptest! {
        /// Jitter around the line that keeps coming back is never news.
        #[test]
        fn jitter_is_no_news(looks in prop::collection::vec((any::<bool>(), 0.0..30.0_f64, 1..10_i64), 1..100)) {
            let (mut doubt, mut now) = (None, 0);
            for (n, (beyond, edge_m, passed)) in looks.into_iter().enumerate() {
                now += passed;
                // At least every second look is on the old side again.
                match look(beyond && n % 2 == 0, edge_m, None, doubt, at(now)) {
                    Step::Same => doubt = None,
                    Step::Doubt(since) => doubt = Some(since),
                    Step::Crossed => prop_assert!(false, "crossed by jitter"),
                }
            }
        }
    }
}
