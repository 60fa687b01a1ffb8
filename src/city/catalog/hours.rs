//! When a merchant is open: intervals of local time in a week, in the city's time zone.
//!
//! An interval belongs to the day on which it opens; one that closes at or before its opening time ends on the next day. Where the clocks
//! change, a time that does not exist is taken as much later as the clock jumps, and of one that exists twice the first counts
//! (RFC 5545, section 3.3.5), so that an interval never turns around.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use storage::Timestamp;
use utoipa::ToSchema;

/// A day of the week. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl From<Weekday> for Day {
    fn from(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

/// A time of day, `HH:MM`, from 00:00 to 23:59.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock {
    hour: u8,
    minute: u8,
}

/// Not a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time of day such as 09:30 (00:00 to 23:59)")]
pub struct NotAClock;

impl Clock {
    /// A time of day.
    ///
    /// # Errors
    /// [`NotAClock`] past 23:59.
    pub fn new(hour: u8, minute: u8) -> Result<Self, NotAClock> {
        if hour < 24 && minute < 60 { Ok(Self { hour, minute }) } else { Err(NotAClock) }
    }

    /// The instant at which the clocks of `zone` show it on `date`; `None` at the end of time.
    fn on(self, date: Date, zone: &TimeZone) -> Option<jiff::Timestamp> {
        let local = date.at(self.hour as i8, self.minute as i8, 0, 0);
        zone.to_ambiguous_timestamp(local).compatible().ok()
    }
}

impl FromStr for Clock {
    type Err = NotAClock;

    fn from_str(text: &str) -> Result<Self, NotAClock> {
        let [h1, h2, b':', m1, m2] = text.as_bytes() else { return Err(NotAClock) };
        if ![h1, h2, m1, m2].into_iter().all(u8::is_ascii_digit) {
            return Err(NotAClock);
        }
        Self::new((h1 - b'0') * 10 + (h2 - b'0'), (m1 - b'0') * 10 + (m2 - b'0'))
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

/// In JSON `HH:MM`, in rows hour and minute.
impl Serialize for Clock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { (self.hour, self.minute).serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            let (hour, minute) = Deserialize::deserialize(deserializer)?;
            Self::new(hour, minute).map_err(de::Error::custom)
        }
    }
}

/// One interval of a week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// On which it opens.
    pub day: Day,
    #[schema(value_type = String, example = "18:00")]
    pub opens: Clock,
    /// At or before `opens`: on the next day.
    #[schema(value_type = String, example = "02:00")]
    pub closes: Clock,
}

impl Opening {
    /// Whether the interval that opens on `date` holds `instant`.
    fn holds(&self, date: Date, zone: &TimeZone, instant: jiff::Timestamp) -> bool {
        let last_date = if self.closes <= self.opens { date.tomorrow().ok() } else { Some(date) };
        let (Some(from), Some(to)) = (self.opens.on(date, zone), last_date.and_then(|date| self.closes.on(date, zone))) else {
            return false;
        };
        from <= instant && instant < to
    }
}

/// Whether one of the intervals holds `at`: from its opening minute on, up to and without its closing minute.
#[must_use]
pub fn is_open(hours: &[Opening], zone: &TimeZone, at: Timestamp) -> bool {
    let Ok(instant) = jiff::Timestamp::from_millisecond(at.millis()) else { return false };
    let today = zone.to_datetime(instant).date();
    // What opened yesterday may last until today; nothing lasts longer than to the next day.
    [today.yesterday().ok(), Some(today)].into_iter().flatten().any(|date| {
        let day = Day::from(date.weekday());
        hours.iter().filter(|opening| opening.day == day).any(|opening| opening.holds(date, zone, instant))
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const DAYS: [Day; 7] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];

    fn opening(text: &str) -> Opening {
        let parts: Vec<&str> = text.split([' ', '-']).collect();
        let day = serde_json::from_value(parts[0].into()).expect("a day");
        Opening { day, opens: parts[1].parse().expect("a time"), closes: parts[2].parse().expect("a time") }
    }

    #[test]
    fn clocks() {
        for good in ["00:00", "09:05", "23:59"] {
            assert_eq!(good.parse::<Clock>().map(|clock| clock.to_string()), Ok(good.to_owned()));
        }
        for bad in ["24:00", "23:60", "9:00", "09:00 ", "09-00", "", "+9:00", "é9:00", "09:0a"] {
            assert_eq!(bad.parse::<Clock>(), Err(NotAClock), "{bad}");
        }
    }

    #[test]
    fn open_and_closed() {
        // 2026-11-21 is a Saturday.
        let cases = [
            ("Africa/Accra", "sat 09:00-17:00", "2026-11-21T08:59:59.999Z", false),
            ("Africa/Accra", "sat 09:00-17:00", "2026-11-21T09:00:00Z", true),
            ("Africa/Accra", "sat 09:00-17:00", "2026-11-21T16:59:59.999Z", true),
            ("Africa/Accra", "sat 09:00-17:00", "2026-11-21T17:00:00Z", false),
            ("Africa/Accra", "sat 09:00-17:00", "2026-11-22T12:00:00Z", false),
            // Past midnight.
            ("Africa/Accra", "sat 18:00-02:00", "2026-11-22T01:59:00Z", true),
            ("Africa/Accra", "sat 18:00-02:00", "2026-11-22T02:00:00Z", false),
            ("Africa/Accra", "sat 18:00-02:00", "2026-11-21T01:00:00Z", false),
            // Around the clock, and past the end of the week.
            ("Africa/Accra", "sat 00:00-00:00", "2026-11-21T23:59:59Z", true),
            ("Africa/Accra", "sat 00:00-00:00", "2026-11-22T00:00:00Z", false),
            ("Africa/Accra", "sun 22:00-03:00", "2026-11-23T02:59:00Z", true),
            ("Africa/Accra", "sun 12:00-12:00", "2026-11-23T11:59:00Z", true),
            // Elsewhere it is another day: Auckland is 13 hours ahead.
            ("Pacific/Auckland", "sun 09:00-10:00", "2026-11-21T20:30:00Z", true),
            ("Asia/Kolkata", "sat 09:00-10:00", "2026-11-21T03:30:00Z", true),
            ("Asia/Kolkata", "sat 09:00-10:00", "2026-11-21T03:29:59Z", false),
            // Berlin, 2026-03-29, 02:00 → 03:00: half past two is half past three.
            ("Europe/Berlin", "sun 02:30-05:00", "2026-03-29T01:29:59Z", false),
            ("Europe/Berlin", "sun 02:30-05:00", "2026-03-29T01:30:00Z", true),
            ("Europe/Berlin", "sat 22:00-02:30", "2026-03-29T01:29:59Z", true),
            ("Europe/Berlin", "sat 22:00-02:30", "2026-03-29T01:30:00Z", false),
            ("Europe/Berlin", "sun 02:10-02:50", "2026-03-29T01:15:00Z", true),
            // Berlin, 2026-10-25, 03:00 → 02:00: the first half past two counts.
            ("Europe/Berlin", "sat 22:00-02:30", "2026-10-25T00:29:59Z", true),
            ("Europe/Berlin", "sat 22:00-02:30", "2026-10-25T00:30:00Z", false),
            ("Europe/Berlin", "sat 22:00-02:30", "2026-10-25T01:15:00Z", false),
            ("Europe/Berlin", "sun 02:30-05:00", "2026-10-25T00:30:00Z", true),
            ("Europe/Berlin", "sat 22:00-04:00", "2026-10-25T01:59:59Z", true),
            ("Europe/Berlin", "sat 22:00-04:00", "2026-10-25T03:00:00Z", false),
            // Cairo, 2026-04-24: there is no midnight.
            ("Africa/Cairo", "thu 20:00-00:00", "2026-04-23T21:59:59Z", true),
            ("Africa/Cairo", "thu 20:00-00:00", "2026-04-23T22:00:00Z", false),
            ("Africa/Cairo", "fri 00:00-06:00", "2026-04-23T22:00:00Z", true),
        ];
        for (zone, hours, at, expected) in cases {
            let zone = TimeZone::get(zone).expect("a zone of the embedded database");
            let at: Timestamp = at.parse().expect("a time");
            assert_eq!(is_open(&[opening(hours)], &zone, at), expected, "{zone:?}, {hours}, {at}");
        }
    }

    #[test]
    fn golden_bytes() {
        let bytes = postcard::to_stdvec(&opening("sun 22:30-03:05")).expect("encodes");
        assert_eq!(bytes, [6, 22, 30, 3, 5]);
        assert_eq!(postcard::from_bytes::<Opening>(&bytes).expect("decodes"), opening("sun 22:30-03:05"));
        assert!(postcard::from_bytes::<Opening>(&[6, 24, 0, 0, 0]).is_err());
    }

    prop_compose! {
        fn any_opening()(day in 0_usize..7, opens in 0_u8..24, opens_minute in 0_u8..60, closes in 0_u8..24, closes_minute in 0_u8..60) -> Opening {
            let clock = |hour, minute| Clock::new(hour, minute).expect("in range");
            Opening { day: DAYS[day], opens: clock(opens, opens_minute), closes: clock(closes, closes_minute) }
        }
    }

    fn minute_of_week(day: Day, clock: Clock) -> i64 {
        day as i64 * 1440 + i64::from(clock.hour) * 60 + i64::from(clock.minute)
    }

    proptest! {
        /// Where clocks never change, it is arithmetic of the minutes of a week.
        #[test]
        fn as_minutes_of_a_week(hours in vec(any_opening(), 0..6), offset_min in 0_i64..20_160) {
            // Monday, 2026-11-16, midnight in Accra.
            let at = "2026-11-16T00:00:00Z".parse::<Timestamp>().expect("a time").plus_s(offset_min * 60 + 59);
            let minute = offset_min % 10_080;
            let expected = hours.iter().any(|opening| {
                let from = minute_of_week(opening.day, opening.opens);
                let lasts = (minute_of_week(opening.day, opening.closes) - from - 1).rem_euclid(1440) + 1;
                (minute - from).rem_euclid(10_080) < lasts
            });
            let accra = TimeZone::get("Africa/Accra").expect("a zone");
            prop_assert_eq!(is_open(&hours, &accra, at), expected);
        }

        /// Where they do, an interval of a day is open once a week, in one piece, and for as long as the clocks say, give or take their change.
        #[test]
        fn one_piece_a_week(opening in any_opening(), week in 0_i64..104) {
            let zone = TimeZone::get("Europe/Berlin").expect("a zone");
            // Midday of the day before to midday of the third day after, in steps of 15 minutes.
            let monday: Timestamp = "2026-01-05T12:00:00Z".parse().expect("a time");
            let from = monday.plus_s((week * 7 + opening.day as i64 - 1) * 86_400);
            let open: Vec<bool> = (0..4 * 96).map(|step| is_open(&[opening], &zone, from.plus_s(step * 900))).collect();
            let turns = open.windows(2).filter(|pair| pair[0] != pair[1]).count();
            prop_assert!(turns <= 2, "{} turns", turns);
            let quarters = open.iter().filter(|open| **open).count() as i64;
            let lasts = (minute_of_week(opening.day, opening.closes) - minute_of_week(opening.day, opening.opens) - 1).rem_euclid(1440) + 1;
            prop_assert!((quarters - lasts / 15).abs() <= 5, "{quarters} quarters for {lasts} minutes");
        }
    }
}
