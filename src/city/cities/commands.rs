//! What administrators do to cities.

use serde_json::{Value, json};
use storage::Timestamp;

use super::model::{CITIES, City, CityId, Refusal, SETTINGS, check_version};
use super::settings::Settings;
use crate::engine::{Event, Question, Resource, Tx};
use crate::money::Currency;

/// A city or its settings were made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub city: CityId,
    pub at: Timestamp,
}

impl Event for Changed {
    fn name(&self) -> &'static str {
        "CityChanged"
    }

    fn topics(&self) -> Vec<String> {
        vec![format!("city:{}", self.city)]
    }

    fn data(&self) -> Value {
        json!({ "city_id": self.city })
    }
}

fn question(action: &'static str, city: CityId) -> Question {
    Question::new(action, Resource::new("City", city))
}

/// Adds a city, with the settings that new ones start with. `draft` is checked; its version and times are set here.
///
/// # Errors
/// [`Refusal::Denied`].
pub fn create(tx: &mut Tx<'_, '_>, draft: City) -> Result<(CityId, City), Refusal> {
    let id: CityId = tx.new_id();
    tx.authorize(&question("cities.create", id))?;
    let now = tx.now();
    let city = City { version: 1, created_at: now, updated_at: now, ..draft };
    CITIES.put(tx, &id, &city);
    SETTINGS.put(tx, &id, &Settings::for_currency(city.currency));
    tx.emit(Changed { city: id, at: now });
    Ok((id, city))
}

/// Changes a city. `change` gets the row as it is; the currency stays.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::Denied`], [`Refusal::Stale`], or what `change` refuses.
pub fn edit(
    tx: &mut Tx<'_, '_>,
    id: CityId,
    if_match: Option<u64>,
    change: impl FnOnce(&mut City) -> Result<(), Refusal>,
) -> Result<City, Refusal> {
    let before = CITIES.get(tx, &id).ok_or(Refusal::Unknown)?;
    let mut city = before.clone();
    // What is invalid is said before who may: the contract's order.
    change(&mut city)?;
    tx.authorize(&question("cities.edit", id))?;
    check_version(if_match, before.version)?;
    if city == before {
        return Ok(city);
    }
    city.version += 1;
    city.updated_at = tx.now();
    CITIES.put(tx, &id, &city);
    tx.emit(Changed { city: id, at: city.updated_at });
    Ok(city)
}

/// Replaces the settings by what `make` makes for the city's currency.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::Denied`], [`Refusal::Stale`], or what `make` refuses.
pub fn configure(
    tx: &mut Tx<'_, '_>,
    id: CityId,
    if_match: Option<u64>,
    make: impl FnOnce(Currency) -> Result<Settings, Refusal>,
) -> Result<(City, Settings), Refusal> {
    let city = CITIES.get(tx, &id).ok_or(Refusal::Unknown)?;
    let made = make(city.currency)?.checked()?;
    tx.authorize(&question("cities.settings", id))?;
    let version = SETTINGS.get(tx, &id).map_or(0, |settings| settings.version);
    check_version(if_match, version)?;
    let settings = Settings { version: version + 1, ..made };
    SETTINGS.put(tx, &id, &settings);
    let at = tx.now();
    tx.emit(Changed { city: id, at });
    Ok((city, settings))
}
