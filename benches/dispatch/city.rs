//! A city of a given size in a real store: rows as the engine writes them, folded as a checkpoint leaves them, and the live map on top.
//!
//! 30 km across, everywhere alike, seeds fixed. Of a hundred couriers 60 are free, 25 bring something, 10 have a break and 5 are being asked; of 500 open
//! orders at about 440 counters a fifth is ready, the others will be within 20 minutes.

use std::sync::Arc;

use index::geo::Point;
use medina::city::cities::model::{CITIES, SETTINGS};
use medina::city::cities::{City, CityId, Settings};
use medina::city::couriers::model::{COURIERS, PRESENCES};
use medina::city::couriers::{Availability, Carried, Courier, CourierId, Presence, Record, Status, Vehicle};
use medina::city::dispatch::model::JOBS;
use medina::city::dispatch::{Job, JobId, JobState, Request};
use medina::city::tracking::Tracking;
use medina::engine::UserId;
use medina::money::{Currency, Money};
use storage::disk::RealDisk;
use storage::{Options, Store, Timestamp, Txn, View};

pub const NOW: Timestamp = Timestamp::from_millis(1_795_262_400_000);
pub const CITY: CityId = CityId::from_u128(1);
pub const OPEN: u64 = 500;

const SOUTH: f64 = 33.43;
const WEST: f64 = -7.75;
const HEIGHT: f64 = 0.27; // 30 km
const WIDTH: f64 = 0.324; // 30 km at this latitude
const MERCHANTS: u64 = 2_000;
/// Rows of one command.
const CHUNK: u64 = 2_000;

/// The city of a moment.
pub struct Town {
    pub view: Arc<View>,
    pub tracking: Arc<Tracking>,
    /// The open jobs.
    pub jobs: Vec<(JobId, Job)>,
    _folder: tempfile::TempDir,
}

/// A generator of our own, so that no crate's next version changes the input (xorshift64*).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() * limit as f64) as u64
    }

    pub fn point(&mut self) -> Point {
        Point::new(SOUTH + HEIGHT * self.next(), WEST + WIDTH * self.next()).expect("a place on the earth")
    }
}

fn merchant(number: u64) -> Point {
    let mut dice = Dice::new(7_000_000 + number);
    dice.below(1);
    dice.point()
}

fn currency() -> Currency {
    "MAD".parse().expect("three capital letters are a currency")
}

fn job(subject: u64, dice: &mut Dice, ready_s: i64, state: JobState) -> Job {
    let number = dice.below(MERCHANTS);
    let ready_at = if ready_s < 0 { NOW.minus_s(-ready_s) } else { NOW.plus_s(ready_s) };
    let pickup = merchant(number);
    // A door is within 4 km or so.
    let near = |from: f64, side: f64, dice: &mut Dice| from + (dice.below(2_000) as f64 / 1_000.0 - 1.0) * side;
    let door = Point::new(near(pickup.lat(), 0.025, dice), near(pickup.lon(), 0.03, dice)).expect("a place on the earth");
    let request = Request {
        subject: u128::from(subject),
        city: CITY,
        merchant: u128::from(number) + 1,
        pickup: pickup.into(),
        pickup_name: "Snack Amal".to_owned(),
        dropoff: door.into(),
        ready_at,
        due_at: Some(ready_at.plus_s(1_800)),
        size: 1,
        items_count: 2,
        pay: Money::new(1_500, currency()),
        cash_due: None,
    };
    Job { request, state, round: 0, misses: 0, refused: Vec::new(), searching_since: NOW.minus_s(300), look: None }
}

fn courier(txn: &mut Txn<'_>, number: u64, dice: &mut Dice, tracking: &Tracking) {
    let id = CourierId::from_u128(u128::from(number) + 1);
    let vehicle = [Vehicle::Bike, Vehicle::Motorbike][dice.below(2) as usize];
    let account = Courier {
        user: UserId::from_u128(u128::from(number) + 1),
        city: CITY,
        vehicle,
        capacity: 3,
        plate: None,
        status: Status::Active,
        version: 1,
        created_at: NOW.minus_s(40 * 86_400),
    };
    let place = dice.point();
    let mut presence = Presence {
        availability: Availability::Online,
        position: Some(place.into()),
        changed_at: NOW.minus_s(3_600),
        ..Presence::default()
    };
    presence.record = Record { asked: 9, accepted: 8, declined: 1, last_asked_at: Some(NOW.minus_s(600)), ..Record::default() };
    match dice.below(100) {
        ..60 => (),
        60..85 => {
            let subject = 1_000_000_000 + number;
            let picked_up = dice.below(2) == 0;
            let job = job(subject, dice, -120, JobState::Assigned { courier: id, picked_up });
            let Request { subject, merchant, size, .. } = job.request;
            presence.carries.push(Carried { subject, merchant, size, cash: 0, picked_up });
            JOBS.put_new(txn, &JobId::from_u128(subject), &job);
        }
        85..95 => presence.availability = Availability::Break,
        _ => presence.asked = Some(u128::from(number)),
    }
    COURIERS.put_new(txn, &id, &account);
    PRESENCES.put_new(txn, &id, &presence);
    tracking.place(id, place.into(), NOW);
}

impl Town {
    /// With so many couriers.
    pub fn of(couriers: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = Options { cache_bytes: 1 << 30, recent_bytes_max: usize::MAX, ..Options::with_seed([7; 32]) };
        let mut store = Store::open(Arc::new(RealDisk), folder.path(), options).expect("a new folder opens");
        let tracking = Arc::new(Tracking::default());
        let mut dice = Dice::new(42);
        let city = City {
            name: "Casablanca".to_owned(),
            currency: currency(),
            timezone: "Africa/Casablanca".to_owned(),
            center: Point::new(SOUTH + HEIGHT / 2.0, WEST + WIDTH / 2.0).expect("a place on the earth").into(),
            radius_m: 22_000,
            speed_mps: 5.0,
            version: 1,
            created_at: NOW,
            updated_at: NOW,
        };
        run(&mut store, |txn| {
            CITIES.put(txn, &CITY, &city);
            SETTINGS.put(txn, &CITY, &Settings::for_currency(currency()));
        });
        for begin in (0..couriers).step_by(CHUNK as usize) {
            run(&mut store, |txn| (begin..couriers.min(begin + CHUNK)).for_each(|number| courier(txn, number, &mut dice, &tracking)));
            if store.fold_due() {
                store.fold_now().expect("the state takes it");
            }
        }
        let mut jobs = Vec::new();
        for number in 0..OPEN {
            let ready_s = dice.below(1_500) as i64 - 300;
            let job = job(1 + number, &mut dice, ready_s, JobState::Waiting { pause: None });
            jobs.push((JobId::from_u128(u128::from(number) + 1), job));
        }
        store.fold_now().expect("the state takes it");
        run(&mut store, |txn| jobs.iter().for_each(|(id, job)| JOBS.put_new(txn, id, job)));
        tracking.refresh();
        Self { view: store.views().now(), tracking, jobs, _folder: folder }
    }
}

fn run(store: &mut Store, write: impl FnOnce(&mut Txn<'_>)) {
    store.begin(NOW);
    store
        .run(|txn| {
            write(txn);
            Ok::<(), ()>(())
        })
        .expect("nothing refuses");
    store.commit().expect("the disk takes it");
}
