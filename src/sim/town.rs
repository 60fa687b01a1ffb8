//! The city that every seed starts from: built once by commands, folded, and cloned.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use storage::disk::SimDisk;
use storage::{Id, Options, Store, Timestamp};

use crate::app::wiring::wire;
use crate::city::catalog::model::{ITEMS, MERCHANTS};
use crate::city::catalog::{Item, ItemId, Merchant, MerchantId, MerchantKind};
use crate::city::cities::model::{CITIES, SETTINGS};
use crate::city::cities::{Capture, City, CityId, Settings};
use crate::city::couriers::model::{COURIERS, PRESENCES};
use crate::city::couriers::{Availability, Courier, CourierId, Presence, Status, Vehicle};
use crate::city::place::Place;
use crate::engine::{Caller, Core, Fault, Tx, UserId, Wiring, WriteError};
use crate::money::payments::provider::offer;
use crate::money::payments::{Connector, Method};
use crate::money::{Currency, Money};
use crate::people::People;
use crate::people::keyring::answers::PersonAnswers;
use crate::people::users::{self, NewUser, Role};

/// Where the state is on the simulated disk.
pub const DATA: &str = "data";
/// When every seed begins: noon in Accra.
pub const NOON: Timestamp = Timestamp::from_millis(1_795_262_400_000);
/// Two cities; the second takes the money when the merchant accepts.
const CITIES_COUNT: u128 = 2;

/// A merchant, its people, what it sells, and who carries it.
#[derive(Clone, Debug)]
pub struct Quarter {
    pub merchant: MerchantId,
    pub staff: UserId,
    pub items: [ItemId; 2],
    pub couriers: Vec<(CourierId, UserId)>,
}

/// The starting disk and what does not change from seed to seed.
pub struct Town {
    disk: SimDisk,
    wiring: Arc<Wiring>,
    people: People,
    pub quarters: Vec<Quarter>,
    pub customers: Vec<UserId>,
    pub support: UserId,
}

/// The only currency.
///
/// # Panics
/// Never: the code is a constant that ISO 4217 knows.
#[must_use]
pub fn ghs() -> Currency {
    "GHS".parse().expect("GHS is in ISO 4217")
}

/// A point near the centre.
///
/// # Panics
/// If it is not on the earth: the caller is wrong.
#[must_use]
pub fn at(lat: f64, lon: f64) -> index::geo::Point {
    index::geo::Point::new(lat, lon).expect("the simulator's places are on the earth")
}

/// Small files, so that segments turn, folds write and old ones are trimmed within a few commands.
fn options(entropy: [u8; 32]) -> Options {
    Options { segment_bytes: 24 << 10, cache_bytes: 1 << 20, fold_bytes: 48 << 10, log_kept_bytes: 96 << 10, ..Options::with_seed(entropy) }
}

/// The persons' keys, which follow from a constant. A keyring is found by its id: all towns of a process share one.
fn people() -> Result<People, String> {
    static PEOPLE: OnceLock<Result<People, String>> = OnceLock::new();
    PEOPLE.get_or_init(|| People::in_memory(*b"medina's simulator: keys by seed").map_err(|error| error.to_string())).clone()
}

impl Town {
    /// Builds the city.
    ///
    /// # Errors
    /// In a sentence: the product does not even start.
    pub fn build() -> Result<Self, String> {
        let people = people()?;
        let disk = SimDisk::new(0);
        let mut town =
            Self { disk, wiring: Arc::new(wire()), people, quarters: Vec::new(), customers: Vec::new(), support: UserId::from_u128(0) };
        let disk = town.disk.clone();
        let mut core = town.open(&disk, [0; 32])?;
        core.store.begin(NOON);
        let keys = town.people.clone();
        let built = core.run(&Caller::system("simulator"), "build", |tx| found(tx, &keys));
        let built = match built {
            Ok(ran) => ran.value,
            Err(WriteError::Refused(fault) | WriteError::Fault(fault)) => return Err(fault.to_string()),
        };
        (town.quarters, town.customers, town.support) = built;
        core.commit().map_err(|fatal| fatal.to_string())?;
        core.store.fold_now().map_err(|fatal| fatal.to_string())?;
        drop(core);
        Ok(town)
    }

    /// A copy of the starting disk, whose chance follows from `seed`.
    #[must_use]
    pub fn disk(&self, seed: u64) -> SimDisk {
        self.disk.fork(seed)
    }

    /// Starts the product on a disk: recovery, then a core to drive.
    ///
    /// # Errors
    /// Why it does not open, as an operator would read it.
    pub fn open(&self, disk: &SimDisk, entropy: [u8; 32]) -> Result<Core, String> {
        let opened = storage::fault::catch(|| Store::open(Arc::new(disk.clone()), Path::new(DATA), options(entropy)));
        let store = opened.map_err(|fault| fault.to_string())?.map_err(|error| error.to_string())?;
        storage::fault::catch(|| Core::new(store, self.wiring.clone(), self.people.policies.clone()).sealing(Arc::new(PersonAnswers)))
            .map_err(|fault| fault.to_string())
    }

    /// Whose merchant it is.
    #[must_use]
    pub fn quarter_of(&self, merchant: MerchantId) -> Option<&Quarter> {
        self.quarters.iter().find(|quarter| quarter.merchant == merchant)
    }

    /// The person behind a courier.
    #[must_use]
    pub fn rider(&self, courier: CourierId) -> Option<UserId> {
        let mut all = self.quarters.iter().flat_map(|quarter| &quarter.couriers);
        all.find(|(id, _)| *id == courier).map(|(_, user)| *user)
    }
}

type Built = (Vec<Quarter>, Vec<UserId>, UserId);

fn found(tx: &mut Tx<'_, '_>, keys: &People) -> Result<Built, Fault> {
    offer(tx, &[(Method::Card, Connector::Sandbox)]);
    let mut phones = 0..;
    let mut person = |tx: &mut Tx<'_, '_>, role: Role| {
        let phone = format!("+2332400000{:02}", phones.next().unwrap_or(0));
        let phone = phone.parse().map_err(|_| Fault::new("the simulator's phone numbers are E.164"))?;
        let id = users::create(tx, &keys.keyring, NewUser { phone: Some(phone), email: None, name: None })?;
        users::grant_role(tx, id, role).map_err(|refusal| Fault::new(refusal.to_string()))?;
        Ok::<UserId, Fault>(id)
    };
    let customers = (0..3).map(|_| person(tx, Role::Customer)).collect::<Result<Vec<_>, _>>()?;
    let support = person(tx, Role::Support)?;
    let mut quarters = Vec::new();
    for n in 1..=CITIES_COUNT {
        let (staff, riders) = (person(tx, Role::Merchant)?, [person(tx, Role::Courier)?, person(tx, Role::Courier)?]);
        quarters.push(quarter(tx, n, staff, riders)?);
    }
    Ok((quarters, customers, support))
}

fn quarter(tx: &mut Tx<'_, '_>, n: u128, staff: UserId, riders: [UserId; 2]) -> Result<Quarter, Fault> {
    let now = tx.now();
    let city: CityId = Id::from_u128(n);
    let merchant: MerchantId = Id::from_u128(100 + n);
    let centre = Place::from(at(5.6, -0.2));
    let city_row = City {
        name: format!("City {n}"),
        currency: ghs(),
        timezone: "Africa/Accra".to_owned(),
        center: centre,
        radius_m: 10_000,
        speed_mps: 5.0,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    CITIES.put(tx, &city, &city_row);
    let capture = if n == 2 { Capture::Acceptance } else { Capture::Delivery };
    SETTINGS.put(tx, &city, &Settings { capture, ..Settings::for_currency(ghs()) });
    let merchant_row = Merchant {
        city,
        name: format!("Kitchen {n}"),
        kind: MerchantKind::Restaurant,
        position: centre,
        address: None,
        phone: None,
        cuisines: vec![],
        prep_minutes: 10,
        hours: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    MERCHANTS.put(tx, &merchant, &merchant_row);
    users::bind_merchant(tx, staff, merchant.as_u128()).map_err(|refusal| Fault::new(refusal.to_string()))?;
    let items: [ItemId; 2] = [Id::from_u128(1000 + 2 * n), Id::from_u128(1001 + 2 * n)];
    for (item, price) in items.into_iter().zip([2000, 500]) {
        ITEMS.put(tx, &item, &dish(merchant, price, now));
    }
    let mut couriers = Vec::new();
    for (user, place) in riders.into_iter().zip(0_u128..) {
        let courier: CourierId = Id::from_u128(200 + 10 * n + place);
        users::bind_courier(tx, user, courier.as_u128()).map_err(|refusal| Fault::new(refusal.to_string()))?;
        let row =
            Courier { user, city, vehicle: Vehicle::Bike, capacity: 3, plate: None, status: Status::Active, version: 1, created_at: now };
        COURIERS.put(tx, &courier, &row);
        PRESENCES.put(
            tx,
            &courier,
            &Presence { availability: Availability::Online, position: Some(Place::from(at(5.601, -0.2))), ..Presence::default() },
        );
        couriers.push((courier, user));
    }
    Ok(Quarter { merchant, staff, items, couriers })
}

fn dish(merchant: MerchantId, price: i64, now: Timestamp) -> Item {
    Item {
        merchant,
        name: "Waakye".to_owned(),
        price: Money::new(price, ghs()),
        description: None,
        category: None,
        tags: vec![],
        available: true,
        unavailable_until: None,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}
