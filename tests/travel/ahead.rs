//! Dispatch asks a routing server for tables, not for way after way.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use index::geo::Point;
use medina::city::cities::CityId;
use medina::city::couriers::{Availability, Carried, Courier, CourierId, Presence, Status, Vehicle};
use medina::city::dispatch::policy::{Choice, Found, Person, Rules, Scene};
use medina::city::dispatch::route::Task;
use medina::city::dispatch::{Job, JobId, JobState, Request};
use medina::city::place::Place;
use medina::city::travel::{Osrm, Times};
use medina::engine::UserId;
use medina::money::Money;
use storage::Timestamp;

use super::server::server;
use super::{PATIENT, point, served};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const CITY: CityId = CityId::from_u128(1);

struct Town<'t> {
    times: &'t dyn Times,
    people: Vec<Person>,
    jobs: Vec<(JobId, Job)>,
}

impl Scene for Town<'_> {
    fn now(&self) -> Timestamp {
        NOW
    }
    fn rules(&self, _city: CityId) -> Rules {
        Rules { offer_s: 30, cash_limit: None, reach_m: 20_000 }
    }
    fn times(&self, _city: CityId) -> &dyn Times {
        self.times
    }
    fn around(&self, at: Point, radius_m: u32, limit: usize) -> Vec<Person> {
        let mut near: Vec<Person> =
            self.people.iter().filter(|person| person.position.distance_m(at) <= f64::from(radius_m)).cloned().collect();
        near.sort_by(|a, b| a.position.distance_m(at).total_cmp(&b.position.distance_m(at)));
        near.truncate(limit);
        near
    }
    fn waiting(&self, _city: CityId) -> Vec<(JobId, Job)> {
        self.jobs.clone()
    }
}

/// Everything is where the server's places are, to the bit.
fn stored(number: u32) -> Place {
    point(number).into()
}

fn person(number: u32, vehicle: Vehicle, carries: Option<(u32, u32)>) -> Person {
    let account = Courier {
        user: UserId::from_u128(1),
        city: CITY,
        vehicle,
        capacity: 3,
        plate: None,
        status: Status::Active,
        version: 1,
        created_at: Timestamp::EPOCH,
    };
    let subject = 1_000 + u128::from(number);
    let task = |(pickup, dropoff)| Task { subject, pickup: Some(stored(pickup).point()), dropoff: stored(dropoff).point(), ready_at: NOW };
    let carried = Carried { subject, merchant: 5, size: 1, cash: 0, picked_up: false };
    Person {
        id: CourierId::from_u128(u128::from(number)),
        account,
        presence: Presence {
            availability: Availability::Online,
            carries: carries.map(|_| carried).into_iter().collect(),
            ..Presence::default()
        },
        position: stored(number).point(),
        heard_at: NOW,
        tasks: carries.map(task).into_iter().collect(),
    }
}

fn job() -> (JobId, Job) {
    let request = Request {
        subject: 1,
        city: CITY,
        merchant: 7,
        pickup: stored(40),
        pickup_name: "Counter".to_owned(),
        dropoff: stored(44),
        ready_at: NOW,
        due_at: None,
        size: 1,
        items_count: 1,
        pay: Money::new(100, "GHS".parse().unwrap()),
        cash_due: None,
    };
    let state = JobState::Waiting { pause: None };
    let job = Job { request, state, round: 0, misses: 0, refused: Vec::new(), searching_since: NOW, look: None };
    (JobId::from_u128(1), job)
}

/// Questions that it takes to decide on the job, and who is asked to bring it.
fn check(choice: Choice, people: Vec<Person>, expected: (u32, u128)) {
    let (url, mood) = server();
    let times = served(&Osrm::start(&url, PATIENT).unwrap());
    let town = Town { times: &times, people, jobs: vec![job()] };
    let plans = choice.policy().plan(&town, &town.jobs);
    let asked: BTreeMap<JobId, u128> = plans
        .iter()
        .filter_map(|plan| match plan.found {
            Found::Offer { courier, .. } => Some((plan.jobs[0], courier.as_u128())),
            Found::Later { .. } | Found::Nobody => None,
        })
        .collect();
    assert_eq!(asked, BTreeMap::from([(JobId::from_u128(1), expected.1)]), "{choice:?}");
    assert_eq!((mood.asked.load(Ordering::SeqCst), mood.drawn.load(Ordering::SeqCst)), (expected.0, 0), "{choice:?}");
}

#[test]
fn a_decision_is_a_table_a_profile() {
    let idle = |by: Vehicle| (30..50).map(|number| person(number, by, None)).collect::<Vec<Person>>();
    // The way on the server's streets for cars, which is also what is paid by.
    check(Choice::Immediate, idle(Vehicle::Motorbike), (1, 40));
    check(Choice::Immediate, idle(Vehicle::Bike), (2, 40));
    // Half of them carry something between two other places.
    let busy = |number: u32| person(number, Vehicle::Car, number.is_multiple_of(2).then_some((number + 3, number + 20)));
    check(Choice::Immediate, (30..50).map(busy).collect(), (1, 39));
    let mixed = [idle(Vehicle::Car), (50..53).map(|number| person(number, Vehicle::Foot, None)).collect()].concat();
    // And how far it is for whoever walks, by what is paid.
    check(Choice::Immediate, mixed, (3, 40));
}

#[test]
fn planning_ahead_asks_no_way_alone() {
    let idle = |by: Vehicle| (30..50).map(move |number| person(number, by, None));
    check(Choice::Horizon, idle(Vehicle::Motorbike).collect(), (1, 40));
    // By bicycle for the plan, and by what is paid for what is kept of it.
    check(Choice::Horizon, idle(Vehicle::Bike).collect(), (2, 40));
    // And once for the ways of those who are under way.
    let busy = (20..30).map(|number| person(number, Vehicle::Bike, Some((number + 3, number + 20))));
    check(Choice::Horizon, idle(Vehicle::Bike).chain(busy).collect(), (3, 40));
}
