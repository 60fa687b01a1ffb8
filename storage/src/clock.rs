//! The clock seam: storage and engine are told the time, they never ask the machine.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const MS_PER_DAY: i64 = 86_400_000;

/// Milliseconds since the Unix epoch, UTC, without leap seconds. Arithmetic saturates.
///
/// Shown and read as RFC 3339 with milliseconds: `2026-11-21T08:00:00.000Z`. On disk and in postcard it is the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const EPOCH: Self = Self(0);

    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    #[must_use]
    pub const fn plus_s(self, s: i64) -> Self {
        self.plus_ms(s.saturating_mul(1000))
    }

    #[must_use]
    pub const fn minus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    #[must_use]
    pub const fn minus_s(self, s: i64) -> Self {
        self.minus_ms(s.saturating_mul(1000))
    }

    /// Milliseconds from `earlier` to `self`; negative if `earlier` is later.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(MS_PER_DAY));
        let ms = self.0.rem_euclid(MS_PER_DAY);
        let (hour, minute, second, milli) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
        // RFC 3339 knows four digits; beyond them the expanded form of ISO 8601, so that nothing prints a wrong date.
        match year {
            0..=9999 => write!(f, "{year:04}")?,
            _ => write!(f, "{year:+07}")?,
        }
        write!(f, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// Not an RFC 3339 date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2026-11-21T08:00:00.000Z")]
pub struct NotATime;

impl FromStr for Timestamp {
    type Err = NotATime;

    /// Takes `Z` or an offset (`+01:00`), and a fraction of up to nine digits, of which three are kept.
    /// A leap second (`:60`) is refused: it has no number here.
    fn from_str(text: &str) -> Result<Self, NotATime> {
        parse(text).ok_or(NotATime)
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let (year, rest) = year(text)?;
    let bytes = rest.as_bytes();
    if !rest.is_ascii() || bytes.len() < 16 {
        return None;
    }
    let separators = [(0, b"--"), (3, b"--"), (6, b"Tt"), (9, b"::"), (12, b"::")];
    if separators.iter().any(|&(at, allowed)| !allowed.contains(&bytes[at])) {
        return None;
    }
    let (month, day) = (digits(&rest[1..3])?, digits(&rest[4..6])?);
    let (hour, minute, second) = (digits(&rest[7..9])?, digits(&rest[10..12])?, digits(&rest[13..15])?);
    let days = days_from_civil(year, month, day)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (milli, zone) = fraction(&rest[15..])?;
    let ms_of_day = ((hour * 60 + minute) * 60 + second) * 1000 + milli;
    let ms = i128::from(days) * i128::from(MS_PER_DAY) + i128::from(ms_of_day - offset_ms(zone)?);
    i64::try_from(ms).ok().map(Timestamp)
}

/// Four digits, or a sign and at least six.
fn year(text: &str) -> Option<(i64, &str)> {
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return Some((digits(text.get(..4)?)?, &text[4..])),
    };
    let (number, rest) = unsigned.split_at(unsigned.find('-')?);
    (6..=9).contains(&number.len()).then_some(())?;
    Some((sign * digits(number)?, rest))
}

/// Milliseconds of an optional `.123…`, and what follows it.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(text) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let (number, zone) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    if number.is_empty() || number.len() > 9 {
        return None;
    }
    Some((digits(&format!("{number:0<3}")[..3])?, zone))
}

fn offset_ms(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'Z' | b'z' if zone.len() == 1 => return Some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hour, minute) = zone[1..].split_once(':')?;
    if hour.len() != 2 || minute.len() != 2 {
        return None;
    }
    let (hour, minute) = (digits(hour)?, digits(minute)?);
    (hour <= 23 && minute <= 59).then_some(sign * (hour * 60 + minute) * 60_000)
}

/// A number of ASCII digits only (`str::parse` would take a sign).
fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar; `None` if there is no such day.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// The inverse of [`days_from_civil`]: year, month (1..=12), day (1..=31).
///
/// Source: as above, `civil_from_days`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The wall's time: may jump either way.
    fn now(&self) -> Timestamp;
    /// Milliseconds since some moment in this process; never goes back.
    fn monotonic_ms(&self) -> u64;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        let ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        };
        Timestamp(ms)
    }

    fn monotonic_ms(&self) -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        let start = *START.get_or_init(Instant::now);
        u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until it is moved. Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    wall_ms: Arc<AtomicI64>,
    monotonic_ms: Arc<AtomicU64>,
}

impl ManualClock {
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let clock = Self::default();
        clock.set(now);
        clock
    }

    /// Moves the wall's time only, as an operator or NTP would; it may go back.
    pub fn set(&self, now: Timestamp) {
        self.wall_ms.store(now.0, Ordering::SeqCst);
    }

    /// Lets `ms` pass on both clocks.
    pub fn advance(&self, ms: u64) {
        let step = i64::try_from(ms).unwrap_or(i64::MAX);
        self.set(self.now().plus_ms(step));
        self.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall_ms.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_248_000_000, "2026-11-21T08:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::from_millis(ms).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp::from_millis(ms)));
        }
    }

    #[test]
    fn other_ways_to_write_a_time() {
        let wanted = Timestamp::from_millis(1_795_248_000_500);
        for text in ["2026-11-21T08:00:00.5Z", "2026-11-21t08:00:00.500999z", "2026-11-21T09:00:00.5+01:00", "2026-11-20T23:30:00.5-08:30"]
        {
            assert_eq!(text.parse(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time() {
        for text in [
            "",
            "now",
            "2026-11-21",
            "2026-11-21T08:00:00",
            "2026-11-21 08:00:00Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T08:60:00Z",
            "2026-11-21T23:59:60Z",
            "2026-11-21T08:00:00.Z",
            "2026-11-21T08:00:00.1234567890Z",
            "2026-11-21T08:00:00+0100",
            "2026-11-21T08:00:00+1:00",
            "2026-11-21T08:00:00Zulu",
            "2026-11-21T+8:00:00Z",
            "+2026-11-21T08:00:00Z",
            "202é-11-21T08:00:00Z",
            "2026-11-2éT08:00:00Z",
            "2026-11-21T08:00:00é",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATime), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(ms in prop_oneof![any::<i64>(), -62_167_219_200_000..253_402_300_800_000i64]) {
            let time = Timestamp::from_millis(ms);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        /// In RFC 3339 with a fixed width, later is greater as text too.
        #[test]
        fn text_is_in_the_order_of_time(
            one in -62_167_219_200_000..253_402_300_800_000i64,
            two in -62_167_219_200_000..253_402_300_800_000i64,
        ) {
            let (a, b) = (Timestamp::from_millis(one), Timestamp::from_millis(two));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn a_day_later_is_the_next_date(days in -700_000..2_900_000i64) {
            let (year, month, day) = civil_from_days(days);
            prop_assert_eq!(days_from_civil(year, month, day), Some(days));
            let next = civil_from_days(days + 1);
            prop_assert!(next == (year, month, day + 1) || next == (year, month + 1, 1) || next == (year + 1, 1, 1));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Timestamp>();
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let last = Timestamp::from_millis(i64::MAX);
        assert_eq!(last.plus_s(1), last);
        assert_eq!(Timestamp::EPOCH.plus_s(i64::MAX), last);
        assert_eq!(last.minus_ms(-5), last);
        assert_eq!(last.ms_since(Timestamp::from_millis(-5)), i64::MAX);
        assert_eq!(Timestamp::EPOCH.minus_s(2).ms_since(Timestamp::EPOCH), -2000);
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = ManualClock::new(Timestamp::from_millis(1000));
        let same = clock.clone();
        clock.advance(500);
        assert_eq!((same.now().millis(), same.monotonic_ms()), (1500, 500));
        clock.set(Timestamp::EPOCH);
        assert_eq!((same.now().millis(), same.monotonic_ms()), (0, 500));
    }

    #[test]
    fn the_machine_clock_goes_forward() {
        let before = MachineClock.monotonic_ms();
        assert!(MachineClock.now().millis() > 1_700_000_000_000);
        assert!(MachineClock.monotonic_ms() >= before);
    }
}
