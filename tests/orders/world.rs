//! A small city in a real engine: the product's own wiring, policy, books and dispatch. No HTTP, no dispatcher thread: the tests make offers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use medina::app::wiring::wire;
use medina::city::catalog::model::{ITEMS, MERCHANTS};
use medina::city::catalog::{Item, ItemId, Merchant, MerchantId, MerchantKind};
use medina::city::cities::model::{CITIES, SETTINGS};
use medina::city::cities::{City, CityId, Settings};
use medina::city::couriers::model::{COURIERS, PRESENCES};
use medina::city::couriers::{Availability, Courier, CourierId, Presence, Status, Vehicle};
use medina::city::dispatch::policy::{Found, Plan};
use medina::city::dispatch::{OfferId, jobs, offers};
use medina::city::place::Place;
use medina::engine::{Caller, Engine, EngineOptions, Fault, Question, Resource, Tx, UserId, WriteError};
use medina::money::payments::provider::{Delivery, offer};
use medina::money::payments::{Connector, Method, Notice, notices};
use medina::money::{Currency, Money};
use medina::people::People;
use medina::people::users::{self, NewUser, Role};
use medina::trade::carts::commands::put;
use medina::trade::carts::model::{CartId, Wanted};
use medina::trade::failure::Failure;
use medina::trade::orders::model::OrderId;
use medina::trade::orders::record::{ORDERS, Order};
use medina::trade::orders::{audit, placing};
use medina::trade::quotes::commands::{Asked, create};
use medina::trade::quotes::model::QuoteId;
use storage::disk::RealDisk;
use storage::{Id, ManualClock, Options, Timestamp, View, ledger};

pub const NOON: Timestamp = Timestamp::from_millis(1_795_262_400_000);

pub struct World {
    pub engine: Engine,
    pub merchant: MerchantId,
    pub items: [ItemId; 2],
    pub courier: CourierId,
    pub customer: UserId,
    pub staff: UserId,
    pub rider: UserId,
    pub support: UserId,
    pub stranger: UserId,
    /// Keeps the keys of sealed fields.
    pub people: People,
    _dir: tempfile::TempDir,
}

pub fn ghs() -> Currency {
    "GHS".parse().expect("a currency")
}

pub fn at(lat: f64, lon: f64) -> index::geo::Point {
    index::geo::Point::new(lat, lon).expect("on the earth")
}

/// Makes a person with a role.
fn person(tx: &mut Tx<'_, '_>, people: &People, n: u32, name: &str, role: Role) -> Result<UserId, Fault> {
    let phone = format!("+23324000000{n}").parse().expect("a phone");
    let id = users::create(tx, &people.keyring, NewUser { phone: Some(phone), email: None, name: Some(name.to_owned()) })?;
    users::grant_role(tx, id, role).map_err(|refusal| Fault::new(refusal.to_string()))?;
    Ok(id)
}

impl World {
    /// With the city's settings as `change` leaves them.
    pub async fn new(change: impl FnOnce(&mut Settings) + Send + 'static) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        // Keys are found by their seed: worlds that run at the same time must not share them.
        static WORLDS: AtomicU8 = AtomicU8::new(0);
        let people = People::in_memory([WORLDS.fetch_add(1, Ordering::Relaxed); 32]).expect("keys in memory");
        let storage = Options { segment_bytes: 1 << 20, cache_bytes: 4 << 20, ..Options::with_seed([5; 32]) };
        let clock = Arc::new(ManualClock::new(NOON));
        let options = EngineOptions::new(storage, clock, true);
        let engine = Engine::start(Arc::new(RealDisk), &dir.path().join("data"), options, wire(), people.policies.clone())
            .expect("a new folder opens");
        let [city, merchant, courier] = [1, 2, 3].map(|n: u128| n);
        let (city, merchant, courier): (CityId, MerchantId, CourierId) =
            (Id::from_u128(city), Id::from_u128(merchant), Id::from_u128(courier));
        let items: [ItemId; 2] = [Id::from_u128(11), Id::from_u128(12)];
        let keys = people.clone();
        let built = engine.write(&Caller::system("test"), "build", move |tx| {
            let mut settings = Settings::for_currency(ghs());
            change(&mut settings);
            let now = tx.now();
            let city_row = City {
                name: "Accra".to_owned(),
                currency: ghs(),
                timezone: "Africa/Accra".to_owned(),
                center: Place::from(at(5.6, -0.2)),
                radius_m: 10_000,
                speed_mps: 5.0,
                version: 1,
                created_at: now,
                updated_at: now,
            };
            CITIES.put(tx, &city, &city_row);
            SETTINGS.put(tx, &city, &settings);
            let merchant_row = Merchant {
                city,
                name: "Auntie Muni".to_owned(),
                kind: MerchantKind::Restaurant,
                position: Place::from(at(5.6, -0.2)),
                address: Some("Labone".to_owned()),
                phone: Some("+233302000000".to_owned()),
                cuisines: vec![],
                prep_minutes: 10,
                hours: None,
                version: 1,
                created_at: now,
                updated_at: now,
            };
            MERCHANTS.put(tx, &merchant, &merchant_row);
            for (item, name, price) in [(items[0], "Waakye", 2000), (items[1], "Sobolo", 500)] {
                ITEMS.put(tx, &item, &an_item(merchant, name, price, now));
            }
            let customer = person(tx, &keys, 1, "Ama", Role::Customer)?;
            let staff = person(tx, &keys, 2, "Muni", Role::Merchant)?;
            let rider = person(tx, &keys, 3, "Kofi", Role::Courier)?;
            let support = person(tx, &keys, 4, "Esi", Role::Support)?;
            let stranger = person(tx, &keys, 5, "Yaw", Role::Merchant)?;
            let broken = |refusal: users::Refusal| Fault::new(refusal.to_string());
            users::bind_merchant(tx, staff, merchant.as_u128()).map_err(broken)?;
            users::bind_courier(tx, rider, courier.as_u128()).map_err(broken)?;
            let courier_row = Courier {
                user: rider,
                city,
                vehicle: Vehicle::Bike,
                capacity: 3,
                plate: None,
                status: Status::Active,
                version: 1,
                created_at: now,
            };
            COURIERS.put(tx, &courier, &courier_row);
            let presence =
                Presence { availability: Availability::Online, position: Some(Place::from(at(5.601, -0.2))), ..Presence::default() };
            PRESENCES.put(tx, &courier, &presence);
            offer(tx, &[(Method::Card, Connector::Sandbox)]);
            Ok::<_, Fault>([customer, staff, rider, support, stranger])
        });
        let [customer, staff, rider, support, stranger] = built.await.expect("the city is built").value;
        Self { engine, merchant, items, courier, customer, staff, rider, support, stranger, people, _dir: dir }
    }

    pub fn view(&self) -> Arc<View> {
        self.engine.view()
    }

    pub fn order(&self, id: OrderId) -> Order {
        ORDERS.get(&*self.view(), &id).expect("it was placed")
    }

    /// Runs a command as somebody.
    pub async fn run<T: Send + 'static>(
        &self,
        who: UserId,
        command: impl FnOnce(&mut Tx<'_, '_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        match self.engine.write(&Caller::user(who), "test", command).await {
            Ok(done) => Ok(done.value),
            Err(WriteError::Refused(failure)) => Err(failure),
            Err(WriteError::Fault(fault)) => panic!("{fault}"),
        }
    }

    /// Runs a command as the appliance.
    pub async fn system<T: Send + 'static>(&self, command: impl FnOnce(&mut Tx<'_, '_>) -> Result<T, Fault> + Send + 'static) -> T {
        self.engine.write(&Caller::system("test"), "test", command).await.expect("the appliance may").value
    }

    pub async fn quote(&self, tip: i64) -> Result<QuoteId, Failure> {
        let (merchant, items) = (self.merchant, self.items);
        self.run(self.customer, move |tx| {
            let cart: CartId = tx.new_id();
            put(
                tx,
                cart,
                merchant,
                vec![
                    Wanted { item: items[0], quantity: 2, note: None },
                    Wanted { item: items[1], quantity: 1, note: Some("cold".to_owned()) },
                ],
            )?;
            let asked = Asked { cart, dropoff: at(5.61, -0.2), address: None, tip: Some(Money::new(tip, ghs())) };
            Ok(create(tx, asked)?.0)
        })
        .await
    }

    pub async fn place(&self, method: Method) -> OrderId {
        let quote = self.quote(100).await.expect("open, near and available");
        self.run(self.customer, move |tx| Ok(placing::place(tx, quote, method)?.id)).await.expect("the quote is fresh")
    }

    /// What the provider says, by webhook.
    pub async fn provider_says(&self, order: OrderId, notice: Notice) {
        let intent = self.order(order).payment.intent.expect("every order has one");
        self.system(move |tx| {
            let event_id = format!("evt_{:032x}", tx.random().next_u64());
            notices::on_webhook(tx, "sandbox", &Delivery { event_id, intent, notice })
        })
        .await;
    }

    /// Dispatch asks the courier.
    pub async fn courier_is_asked(&self, order: OrderId) -> OfferId {
        let courier = self.courier;
        self.system(move |tx| {
            let (job, _) = jobs::of_subject(tx, order.as_u128()).ok_or("no job")?;
            let found = Found::Offer { courier, distance_m: 500, eta: tx.now().plus_s(1500) };
            let plan = Plan { jobs: vec![job], found, radius_m: 2000, candidates: vec![] };
            offers::make(tx, &plan, "test/1").map_err(|refusal| Fault::new(refusal.to_string()))
        })
        .await
    }

    /// Dispatch asks the courier, who says yes.
    pub async fn courier_takes(&self, order: OrderId) {
        let offer = self.courier_is_asked(order).await;
        self.run(self.rider, move |tx| offers::accept(tx, offer).map_err(|refusal| Fault::new(refusal.to_string()).into()))
            .await
            .expect("the offer is fresh");
    }

    pub async fn advance(&self, seconds: i64) {
        let question = Question::new("sandbox.clock", Resource::new("Sandbox", "clock"));
        self.engine.advance(&Caller::system("test"), question, seconds * 1000, Some(true)).await.expect("time moves");
    }

    /// Streams fold to their rows, and the books balance.
    pub fn check(&self) {
        let view = self.view();
        assert_eq!(audit(&*view), []);
        let books = ledger::audit(&*view);
        assert!(books.is_clean(), "{books:?}");
    }

    /// A ledger account's credit balance.
    pub fn balance(&self, code: medina::money::books::chart::Code, owner: u128) -> i128 {
        let key = ledger::AccountKey { code: code as u16, owner, currency: ghs().into() };
        ledger::ACCOUNTS.get(&*self.view(), &key).map_or(0, |account| account.credit_balance())
    }
}

pub fn an_item(merchant: MerchantId, name: &str, price: i64, now: Timestamp) -> Item {
    Item {
        merchant,
        name: name.to_owned(),
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
