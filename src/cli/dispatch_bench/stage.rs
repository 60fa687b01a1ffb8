//! A moment of a day as the scene that a policy sees. Nothing that is not known at that moment is in it.

use std::collections::BTreeMap;

use index::geo::Point;
use storage::Timestamp;

use crate::city::cities::CityId;
use crate::city::couriers::hours::Today;
use crate::city::couriers::{Availability, Carried, Courier, CourierId, Presence, Record, Status, Vehicle};
use crate::city::dispatch::demand::{Zone, middle};
use crate::city::dispatch::horizon::demand::Count;
use crate::city::dispatch::horizon::town::Service;
use crate::city::dispatch::model::{Refused, RefusedBecause};
use crate::city::dispatch::policy::{Pace, Person, Rules, Scene, fair_pay};
use crate::city::dispatch::route::Task;
use crate::city::dispatch::travel::Times;
use crate::city::dispatch::{Job, JobId, JobState, Request};
use crate::engine::UserId;
use crate::mdrp::{Instance, Moment, Place, ROUND_S, Rider};
use crate::money::{Currency, Money};

/// The one city of the day.
pub const CITY: CityId = CityId::from_u128(1);
/// Metres of the plane are degrees over this: a power of two, so that they come back exactly.
const METRES_A_DEGREE: f64 = 65_536.0;

/// An order's id and a courier's: their place in the instance, from 1.
pub fn job_id(order: usize) -> JobId {
    JobId::from_u128(order as u128 + 1)
}

/// The order of a job.
pub fn order_of(job: JobId) -> usize {
    (job.as_u128() - 1) as usize
}

fn courier_id(courier: usize) -> CourierId {
    CourierId::from_u128(courier as u128 + 1)
}

/// The courier of an id.
pub fn courier_of(id: CourierId) -> usize {
    (id.as_u128() - 1) as usize
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_000 * seconds)
}

/// The instance's plane and its rounding.
pub struct Plane {
    instance: Instance,
    origin: crate::mdrp::Point,
}

impl Plane {
    /// The plane of an instance, its middle at zero degrees.
    pub fn of(instance: &Instance) -> Self {
        // Whole metres, so that the shift is exact too.
        let (mut x, mut y) = (0.0, 0.0);
        for restaurant in &instance.restaurants {
            x += restaurant.at.x / instance.restaurants.len() as f64;
            y += restaurant.at.y / instance.restaurants.len() as f64;
        }
        Self { instance: instance.clone(), origin: crate::mdrp::Point { x: x.round(), y: y.round() } }
    }

    /// Where a place of the day is on the map.
    pub fn point(&self, place: Place) -> Point {
        let there = self.instance.point(place);
        let degrees = |metres: f64| metres / METRES_A_DEGREE;
        Point::new(degrees(there.y - self.origin.y), degrees(there.x - self.origin.x))
            .expect("a day's places are within thousands of kilometres")
    }

    fn back(&self, point: Point) -> crate::mdrp::Point {
        crate::mdrp::Point { x: point.lon() * METRES_A_DEGREE + self.origin.x, y: point.lat() * METRES_A_DEGREE + self.origin.y }
    }
}

impl Times for Plane {
    fn seconds(&self, from: Point, to: Point, _by: Vehicle) -> u32 {
        60 * self.instance.travel_minutes(self.back(from), self.back(to)) as u32
    }

    fn metres(&self, from: Point, to: Point) -> u32 {
        let (from, to) = (self.back(from), self.back(to));
        ((from.x - to.x).powi(2) + (from.y - to.y).powi(2)).sqrt().round() as u32
    }
}

/// See the module.
pub struct Stage<'a> {
    pub plane: &'a Plane,
    pub moment: &'a Moment<'a>,
    pub capacity: u32,
    /// By zone: what was counted so far.
    pub demand: &'a BTreeMap<Zone, Count>,
}

impl Stage<'_> {
    /// Where a place of the day is on the map.
    pub fn point(&self, place: Place) -> Point {
        self.plane.point(place)
    }

    /// The job of an order as it is known now.
    pub fn job(&self, order: usize) -> (JobId, Job) {
        let instance = self.moment.instance;
        let known = &instance.orders[order];
        let pickup = Place::Restaurant(known.restaurant);
        let pay =
            Money::new(instance.parameters.pay_per_order_cents, "USD".parse::<Currency>().expect("three capital letters are a currency"));
        let request = Request {
            subject: job_id(order).as_u128(),
            city: CITY,
            merchant: known.restaurant as u128,
            pickup: self.plane.point(pickup).into(),
            pickup_name: instance.id(pickup).to_owned(),
            dropoff: self.plane.point(Place::Order(order)).into(),
            ready_at: at(self.moment.ready_s[order]),
            due_at: Some(at(known.placed_s + instance.parameters.target_s)),
            size: 1,
            items_count: 1,
            pay,
            cash_due: None,
        };
        let said_no = self.moment.refused.iter().filter(|(_, refused, _)| *refused == order);
        let refused =
            said_no.map(|(courier, _, when_s)| Refused { courier: courier_id(*courier), why: RefusedBecause::Declined, at: at(*when_s) });
        let refused: Vec<Refused> = refused.collect();
        let round = u32::try_from(refused.len()).unwrap_or(u32::MAX);
        let state = JobState::Waiting { pause: None };
        (job_id(order), Job { request, state, round, misses: 0, refused, searching_since: at(known.placed_s), look: None })
    }

    fn person(&self, courier: usize) -> Option<Person> {
        let rider = &self.moment.riders[courier];
        let (known, now_s) = (&self.moment.instance.couriers[courier], self.moment.now_s);
        // Nobody is on the map before their shift; who is gone has left it.
        if known.on_s > now_s || rider.is_gone {
            return None;
        }
        let account = Courier {
            user: UserId::from_u128(courier as u128 + 1),
            city: CITY,
            vehicle: Vehicle::Bike,
            capacity: self.capacity,
            plate: None,
            status: Status::Active,
            version: 1,
            created_at: Timestamp::EPOCH,
        };
        let (under_way, picked_up) = carries(rider, now_s);
        let carries = under_way.iter().map(|order| Carried {
            subject: job_id(*order).as_u128(),
            merchant: self.moment.instance.orders[*order].restaurant as u128,
            size: 1,
            cash: 0,
            picked_up,
        });
        // A pickup in the very second of the end is within the shift.
        let until = Some(at(known.off_s).plus_ms(1));
        let availability = Availability::Online;
        let record = Record { delivered: rider.delivered, ..Record::default() };
        let presence =
            Presence { availability, until, position: None, changed_at: at(known.on_s), carries: carries.collect(), asked: None, record };
        let tasks = under_way.iter().map(|order| {
            let pickup = Place::Restaurant(self.moment.instance.orders[*order].restaurant);
            Task {
                subject: job_id(*order).as_u128(),
                pickup: (!picked_up).then(|| self.plane.point(pickup)),
                dropoff: self.plane.point(Place::Order(*order)),
                ready_at: at(self.moment.ready_s[*order]),
            }
        });
        let tasks = tasks.collect();
        Some(Person { id: courier_id(courier), account, presence, position: self.plane.point(rider.at), heard_at: at(now_s), tasks })
    }
}

fn carries(rider: &Rider, now_s: i64) -> (&[usize], bool) {
    match &rider.sent {
        Some(sent) => (&sent.orders, false),
        None if rider.free_s > now_s => (&rider.doors, true),
        None => (&[], false),
    }
}

impl Scene for Stage<'_> {
    fn now(&self) -> Timestamp {
        at(self.moment.now_s)
    }

    fn rules(&self, _city: CityId) -> Rules {
        Rules { offer_s: 30, cash_limit: None, reach_m: u32::MAX }
    }

    fn times(&self, _city: CityId) -> &dyn Times {
        self.plane
    }

    fn around(&self, point: Point, radius_m: u32, limit: usize) -> Vec<Person> {
        let couriers = 0..self.moment.riders.len();
        let far = |courier: &usize| self.plane.metres(point, self.plane.point(self.moment.riders[*courier].at));
        let mut near: Vec<(u32, usize)> = couriers.map(|courier| (far(&courier), courier)).filter(|(far, _)| *far <= radius_m).collect();
        near.sort_unstable();
        near.into_iter().filter_map(|(_, courier)| self.person(courier)).take(limit).collect()
    }

    fn waiting(&self, _city: CityId) -> Vec<(JobId, Job)> {
        self.moment.waiting.iter().map(|order| self.job(*order)).collect()
    }

    fn demand(&self, _city: CityId) -> Vec<(Point, u64)> {
        let zones = self.demand.iter().map(|(zone, count)| (middle(*zone), count.left(self.moment.now_s)));
        zones.filter(|(_, weight)| *weight > 0).collect()
    }

    /// Once a minute, and couriers leave the moment they are told.
    fn pace(&self) -> Pace {
        Pace { round_s: ROUND_S, ahead_s: 0 }
    }

    fn service(&self) -> Service {
        let parameters = &self.moment.instance.parameters;
        Service { pickup_s: parameters.pickup_service_s, dropoff_s: parameters.dropoff_service_s }
    }

    fn frees(&self, person: &Person, _city: CityId) -> (Timestamp, Point) {
        let rider = &self.moment.riders[courier_of(person.id)];
        (at(rider.free_s), self.plane.point(rider.at))
    }

    fn arrives(&self, person: &Person, _counter: Point, _city: CityId) -> Timestamp {
        let rider = &self.moment.riders[courier_of(person.id)];
        at(rider.sent.as_ref().map_or(self.moment.now_s, |sent| sent.arrive_s))
    }

    /// By the order, as the server counts; what the shift guarantees is in [`Scene::owed`].
    fn standings(&self, people: &[Person]) -> Vec<Option<u32>> {
        let pay = self.moment.instance.parameters.pay_per_order_cents;
        let day = |person: &Person| {
            let worked_ms = self.now().ms_since(person.presence.changed_at);
            Today { worked_ms, earned: i64::from(person.presence.record.delivered) * pay }
        };
        fair_pay::standings(&people.iter().map(day).collect::<Vec<_>>()).into_iter().map(Some).collect()
    }

    /// Orders whose pay together stays under what the shift guarantees.
    fn owed(&self, person: &Person) -> u32 {
        let courier = courier_of(person.id);
        let known = &self.moment.instance.couriers[courier];
        let parameters = &self.moment.instance.parameters;
        let guaranteed = parameters.pay_per_hour_cents * (known.off_s - known.on_s) / 3_600;
        let covered = u32::try_from(guaranteed / parameters.pay_per_order_cents.max(1)).unwrap_or(u32::MAX);
        covered.saturating_sub(person.presence.record.delivered)
    }
}
