//! Words: ids, the row, the refusals.

use index::geo::Point;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use storage::{Fault, Id, Kind, Row, Table, Timestamp};

use super::settings::Settings;
use crate::city::field::{self, Invalid};
use crate::city::place::Place;
use crate::engine::Denied;
use crate::money::Currency;

/// Ids of cities (`cty_…`).
#[derive(Debug)]
pub struct CityTag;
impl Kind for CityTag {
    const PREFIX: &'static str = "cty";
}
pub type CityId = Id<CityTag>;

/// What couriers do on average where nobody said otherwise: a bicycle in traffic.
pub const SPEED_MPS_DEFAULT: f64 = 5.0;
/// The largest radius of a city.
pub const RADIUS_M_MAX: u32 = 200_000;

/// A city.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct City {
    pub name: String,
    /// All prices and fees here are in it; it never changes.
    pub currency: Currency,
    /// Name in the IANA time zone database, in its own spelling.
    pub timezone: String,
    pub center: Place,
    pub radius_m: u32,
    /// What couriers do on average.
    pub speed_mps: f64,
    /// Counts changes, from 1.
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Row for City {
    const VERSION: u8 = 1;
}

pub static CITIES: Table<CityId, City> = Table::new(300, "cities", &[]);
pub static SETTINGS: Table<CityId, Settings> = Table::new(301, "cities.settings", &[]);

impl City {
    /// The middle.
    #[must_use]
    pub fn center(&self) -> Point {
        self.center.point()
    }

    /// The zone that its clocks follow.
    #[must_use]
    pub fn zone(&self) -> TimeZone {
        match TimeZone::get(&self.timezone) {
            Ok(zone) => zone,
            // The name was checked when it was written; a binary with an older zone database must not guess the time.
            Err(error) => storage::fault::raise(Fault::damaged(self.timezone.as_bytes(), error.to_string())),
        }
    }
}

/// The name as the IANA database spells it.
///
/// # Errors
/// [`Invalid`] if this binary's database does not have it.
pub fn checked_zone(pointer: &str, name: &str) -> Result<String, Invalid> {
    let unknown = || Invalid::new(pointer, "unknown_timezone", "a name of the IANA time zone database, such as Africa/Accra");
    let zone = TimeZone::get(name).map_err(|_| unknown())?;
    zone.iana_name().map(str::to_owned).ok_or_else(unknown)
}

/// Metres per second that a courier can have.
///
/// # Errors
/// [`Invalid`] outside 0.5 to 50.
pub fn checked_speed(pointer: &str, speed_mps: f64) -> Result<f64, Invalid> {
    field::within(pointer, speed_mps, 0.5..=50.0)
}

/// Why not.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("no such city")]
    Unknown,
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("amounts here are in {expected}, not {found}")]
    Currency { pointer: String, expected: Currency, found: Currency },
    /// Edited meanwhile.
    #[error("it has version {version} by now")]
    Stale { version: u64 },
    #[error(transparent)]
    Denied(#[from] Denied),
}

/// Refuses an edit that was made on another version.
///
/// # Errors
/// [`Refusal::Stale`].
pub(super) fn check_version(if_match: Option<u64>, version: u64) -> Result<(), Refusal> {
    if if_match.is_none_or(|wanted| wanted == version) { Ok(()) } else { Err(Refusal::Stale { version }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones() {
        let cases = [
            ("Africa/Accra", Some("Africa/Accra")),
            ("europe/berlin", Some("Europe/Berlin")),
            ("UTC", Some("UTC")),
            ("Mars/Olympus", None),
            ("Etc/Unknown", None),
            ("", None),
            ("+01:00", None),
            ("CET-1CEST", None),
            ("../../etc/passwd", None),
        ];
        for (name, expected) in cases {
            assert_eq!(checked_zone("/timezone", name).ok().as_deref(), expected, "{name}");
        }
    }

    /// The stored layouts: a change here is a new `VERSION` and an `upgrade`.
    #[test]
    fn golden_bytes() {
        let currency: Currency = "GHS".parse().expect("a currency");
        let city = City {
            name: "A".to_owned(),
            currency,
            timezone: "UTC".to_owned(),
            center: Point::new(0.5, -2.0).expect("on earth").into(),
            radius_m: 300,
            speed_mps: 5.0,
            version: 1,
            created_at: Timestamp::from_millis(1),
            updated_at: Timestamp::from_millis(-1),
        };
        let mut bytes = vec![1, 1, b'A', b'G', b'H', b'S', 3, b'U', b'T', b'C'];
        bytes.extend([0.5_f64, -2.0].map(f64::to_le_bytes).concat());
        bytes.extend([0xAC, 2]);
        bytes.extend(5.0_f64.to_le_bytes());
        bytes.extend([1, 2, 1]);
        assert_eq!(city.to_bytes(), bytes);
        assert_eq!(City::from_bytes(&bytes), Some(city));

        let settings = Settings::for_currency(currency);
        let fees = postcard::to_stdvec(&settings.fees).expect("encodes");
        let bytes = [&[1], fees.as_slice(), &[0, 15, 10, 30, 2, 0, 2, 0, 0, 0, 1]].concat();
        assert_eq!(settings.to_bytes(), bytes);
        assert_eq!(Settings::from_bytes(&bytes), Some(settings));
    }

    #[test]
    fn speeds() {
        for (speed, good) in
            [(5.0, true), (0.5, true), (0.0, false), (-1.0, false), (51.0, false), (f64::NAN, false), (f64::INFINITY, false)]
        {
            assert_eq!(checked_speed("/speed_mps", speed).is_ok(), good, "{speed}");
        }
    }
}
