//! What is worth telling. Pure: the row, the way from here and the time decide.

use storage::Timestamp;

use super::model::{Expected, Stop};

/// A courier is near who arrives within this time …
pub const NEAR_S: i64 = 120;
/// … or stands within this distance.
pub const NEAR_M: u32 = 200;
/// A shown time moves by at least this, however close it is …
pub const BAND_S_MIN: i64 = 60;
/// … and by at most this is it wrong, however far away it is.
pub const BAND_S_MAX: i64 = 240;

/// The way of one job from where its courier is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// At the door.
    pub eta: Timestamp,
    /// The courier's next stop, if it is this job's: which, how far away as the crow flies, and when they are there.
    pub next: Option<(Stop, u32, Timestamp)>,
}

/// What is new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The customer is shown this from now on.
    pub eta: Option<Timestamp>,
    /// The first expectation after the pick-up: the error is measured against it.
    pub at_pickup: Option<Timestamp>,
    /// Said for the first time.
    pub near: Option<(Stop, u32, Timestamp)>,
}

impl News {
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How far a new time must be from the shown one to replace it, in seconds: a quarter of what is left, within [`BAND_S_MIN`] and [`BAND_S_MAX`].
#[must_use]
pub fn dead_band_s(shown: Timestamp, now: Timestamp) -> i64 {
    (shown.ms_since(now) / 4_000).clamp(BAND_S_MIN, BAND_S_MAX)
}

/// What an outlook at `now` has to say about a job.
#[must_use]
pub fn look(expected: &Expected, outlook: &Outlook, now: Timestamp) -> News {
    // Nobody arrives before now.
    let eta = outlook.eta.max(now);
    let moved = eta.ms_since(expected.shown).abs() >= dead_band_s(expected.shown, now) * 1000;
    let told = |stop: Stop| match stop {
        Stop::Counter => expected.near_counter,
        Stop::Door => expected.near_door,
    };
    let is_near = |(stop, metres, at): &(Stop, u32, Timestamp)| !told(*stop) && (*metres <= NEAR_M || at.ms_since(now) <= NEAR_S * 1000);
    News {
        eta: moved.then_some(eta),
        at_pickup: (expected.picked_up_at.is_some() && expected.at_pickup.is_none()).then_some(eta),
        near: outlook.next.filter(is_near),
    }
}

/// The row after the news.
#[must_use]
pub fn after(expected: &Expected, news: &News) -> Expected {
    let near = |stop| news.near.is_some_and(|(told, ..)| told == stop);
    Expected {
        shown: news.eta.unwrap_or(expected.shown),
        at_pickup: expected.at_pickup.or(news.at_pickup),
        near_counter: expected.near_counter || near(Stop::Counter),
        near_door: expected.near_door || near(Stop::Door),
        ..*expected
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use storage::Id;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn expected(shown_s: i64) -> Expected {
        Expected {
            courier: Id::from_u128(1),
            city: Id::from_u128(2),
            merchant: 3,
            at_assignment: NOW,
            at_pickup: None,
            picked_up_at: None,
            arrived_at: None,
            shown: NOW.plus_s(shown_s),
            near_counter: false,
            near_door: false,
        }
    }

    #[test]
    fn what_moves_a_promise() {
        // (seconds left as shown, as seen now, told)
        for (shown_s, seen_s, told) in [
            (1_200, 1_200, false),
            (1_200, 1_439, false),
            (1_200, 1_440, true),
            (1_200, 960, true),
            (600, 749, false),
            (600, 750, true),
            (120, 179, false),
            (120, 180, true),
            (120, 60, true),
            (0, 59, false),
            (0, 60, true),
            (-300, -900, true), // It should have been there: it is there now at the earliest.
        ] {
            let news = look(&expected(shown_s), &Outlook { eta: NOW.plus_s(seen_s), next: None }, NOW);
            assert_eq!(news.eta, told.then_some(NOW.plus_s(seen_s.max(0))), "{shown_s} {seen_s}");
        }
    }

    #[test]
    fn near_is_said_once_a_stop() {
        let mut row = expected(1_200);
        let outlook = |stop, metres, s| Outlook { eta: row.shown, next: Some((stop, metres, NOW.plus_s(s))) };
        let cases = [
            (outlook(Stop::Counter, 900, 300), None),
            (outlook(Stop::Counter, 900, 120), Some(Stop::Counter)),
            (outlook(Stop::Counter, 10, 5), None),
            (outlook(Stop::Door, 201, 121), None),
            (outlook(Stop::Door, 200, 600), Some(Stop::Door)),
            (outlook(Stop::Door, 1, 1), None),
        ];
        for (outlook, said) in cases {
            let news = look(&row, &outlook, NOW);
            assert_eq!(news.near.map(|(stop, ..)| stop), said, "{outlook:?}");
            row = after(&row, &news);
        }
    }

    #[test]
    fn the_first_look_after_the_pick_up_is_remembered() {
        let row = Expected { picked_up_at: Some(NOW), ..expected(600) };
        let first = look(&row, &Outlook { eta: NOW.plus_s(610), next: None }, NOW);
        assert_eq!((first.at_pickup, first.eta), (Some(NOW.plus_s(610)), None));
        let second = look(&after(&row, &first), &Outlook { eta: NOW.plus_s(640), next: None }, NOW.plus_s(20));
        assert!(second.is_none(), "{second:?}");
    }

    proptest! {
        /// Jitter within half of the narrowest band never moves what is shown more than once, however often one looks.
        #[test]
        fn jitter_does_not_flicker(left_s in 0..3_600_i64, noise in prop::collection::vec(-29..=29_i64, 1..100), shown_s in 0..3_600_i64) {
            let (mut row, mut told) = (expected(shown_s), 0);
            for noise_s in noise {
                let news = look(&row, &Outlook { eta: NOW.plus_s(left_s + noise_s), next: None }, NOW);
                told += u32::from(news.eta.is_some());
                row = after(&row, &news);
            }
            prop_assert!(told <= 1, "told {told} times");
        }

        /// What is shown is never further off than the widest band, whatever is seen.
        #[test]
        fn what_is_shown_follows(seen in prop::collection::vec((0..7_200_i64, 0..60_i64), 1..60)) {
            let (mut row, mut now) = (expected(900), NOW);
            for (left_s, passed_s) in seen {
                now = now.plus_s(passed_s);
                let eta = now.plus_s(left_s);
                row = after(&row, &look(&row, &Outlook { eta, next: None }, now));
                prop_assert!(row.shown.ms_since(eta).abs() < BAND_S_MAX * 1000);
            }
        }
    }
}
