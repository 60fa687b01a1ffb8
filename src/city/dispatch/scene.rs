//! What a policy sees: a view's rows and the live map, as one moment.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use index::geo::Point;
use storage::{Read, Timestamp, View};

use super::demand;
use super::explain::sight::{OTHERS_MAX, PEOPLE_MAX, Seen, Sight};
use super::model::{JOBS, JOBS_OPEN, Job, JobId, JobState, Outcome, WhyNot};
use super::policy::{Person, Plan, Rules, Scene, fair_pay};
use super::route::Task;
use super::travel::Times;
use super::{jobs, planted};
use crate::city::cities::{self, CityId};
use crate::city::couriers::{self, CourierId, Presence, Vehicle, hours};
use crate::city::tracking::Tracking;
use crate::city::travel::trips;

/// A city's rules for dispatch.
#[must_use]
pub fn rules(read: &(impl Read + ?Sized), city: CityId) -> Option<Rules> {
    let settings = cities::settings(read, city)?;
    let city = cities::get(read, city)?;
    Some(Rules { offer_s: i64::from(settings.offer_seconds), cash_limit: settings.cash_limit, reach_m: city.radius_m.saturating_mul(2) })
}

/// The travel times of a city at `now`.
#[must_use]
pub fn times(read: &(impl Read + ?Sized), tracking: &Tracking, city: CityId, now: Timestamp) -> Option<Box<dyn Times>> {
    tracking.times_in(read, city, now)
}

/// What a courier carries, as tasks of a route.
#[must_use]
pub fn tasks(read: &(impl Read + ?Sized), presence: &Presence) -> Vec<Task> {
    let task = |(_, job): (_, Job)| {
        let picked_up = matches!(job.state, JobState::Assigned { picked_up: true, .. });
        let request = job.request;
        Task {
            subject: request.subject,
            pickup: (!picked_up).then(|| request.pickup.point()),
            dropoff: request.dropoff.point(),
            ready_at: request.ready_at,
        }
    };
    presence.carries.iter().filter_map(|carried| jobs::of_subject(read, carried.subject)).map(task).collect()
}

/// The scene of the appliance itself.
pub struct LiveScene {
    view: Arc<View>,
    tracking: Arc<Tracking>,
    now: Timestamp,
    cities: BTreeMap<CityId, (Rules, Box<dyn Times>)>,
    /// Whoever was looked at once: a plan asks for the people around many counters.
    seen: RefCell<BTreeMap<CourierId, Option<Person>>>,
    /// Jobs that a plan asked for.
    waiting: RefCell<Vec<(JobId, Job)>>,
}

/// Jobs of one city that one plan is made of, at most; what is ready later waits for the next.
const PLANNED_MAX: usize = 512;

impl LiveScene {
    /// The moment of `view`, with the cities of some jobs.
    #[must_use]
    pub fn new(view: Arc<View>, tracking: Arc<Tracking>, now: Timestamp, jobs: impl Iterator<Item = CityId>) -> Self {
        let cities = jobs.filter_map(|city| Some((city, (rules(&*view, city)?, times(&*view, &tracking, city, now)?)))).collect();
        Self { view, tracking, now, cities, seen: RefCell::default(), waiting: RefCell::default() }
    }

    /// What is kept of this moment beside a decision: whoever it weighed, its jobs, and what else waited.
    #[must_use]
    pub fn sight(&self, plan: &Plan) -> Option<Sight> {
        let jobs: Vec<(JobId, Job)> = plan.jobs.iter().filter_map(|id| JOBS.get(&*self.view, id).map(|job| (*id, job))).collect();
        let city = jobs.first()?.1.request.city;
        let Rules { offer_s, cash_limit, reach_m } = self.city(city).0;
        let speed_mps = trips::speeds(&*self.view, city, self.now)?.mps(Vehicle::Bike);
        let seen = self.seen.borrow();
        // Whoever was silent could not be asked then, and their rows do not show it.
        let heard = plan.candidates.iter().take(PEOPLE_MAX).filter(|candidate| candidate.outcome != Outcome::Excluded(WhyNot::Silent));
        let people = heard.filter_map(|candidate| seen.get(&candidate.courier)?.as_ref()).map(Seen::from);
        let others = self.waiting.borrow();
        let others = others.iter().filter(|(id, job)| !plan.jobs.contains(id) && job.request.city == city).take(OTHERS_MAX).cloned();
        let jobs = jobs.iter().cloned().chain(others).collect();
        Some(Sight { at: self.now, offer_s, cash_limit, reach_m, speed_mps, jobs, people: people.collect() })
    }

    fn city(&self, city: CityId) -> &(Rules, Box<dyn Times>) {
        self.cities.get(&city).expect("a scene is made with the cities of its jobs, and cities are never deleted")
    }

    fn person(&self, id: CourierId, position: Point, heard_at: Timestamp) -> Option<Person> {
        let account = couriers::get(&*self.view, id)?;
        let presence = couriers::presence(&*self.view, id);
        let tasks = tasks(&*self.view, &presence);
        Some(Person { id, account, presence, position, heard_at, tasks })
    }
}

impl Scene for LiveScene {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn rules(&self, city: CityId) -> Rules {
        self.city(city).0
    }

    fn times(&self, city: CityId) -> &dyn Times {
        &*self.city(city).1
    }

    fn around(&self, point: Point, radius_m: u32, limit: usize) -> Vec<Person> {
        let seen = self.tracking.nearest(point, limit, f64::from(radius_m), |_| true);
        seen.into_iter()
            .filter_map(|seen| {
                let id = CourierId::from_u128(seen.id);
                let look = || self.person(id, seen.fix.point, Timestamp::from_millis(seen.fix.at_ms));
                self.seen.borrow_mut().entry(id).or_insert_with(look).clone()
            })
            .collect()
    }

    fn is_silent(&self, person: CourierId) -> bool {
        couriers::silence(&*self.view, person).is_some() && !planted::is(planted::SILENT_ASKED)
    }

    fn standings(&self, people: &[Person]) -> Vec<Option<u32>> {
        let days: Vec<hours::Today> =
            people.iter().map(|person| hours::today(&*self.view, person.id, &person.presence, self.now)).collect();
        fair_pay::standings(&days).into_iter().map(Some).collect()
    }

    fn demand(&self, city: CityId) -> Vec<(Point, u64)> {
        demand::of_city(&*self.view, city, self.now)
    }

    fn waiting(&self, city: CityId) -> Vec<(JobId, Job)> {
        let jobs: Vec<(JobId, Job)> = JOBS.find(&*self.view, &JOBS_OPEN, &city).take(PLANNED_MAX).collect();
        self.waiting.borrow_mut().extend_from_slice(&jobs);
        jobs
    }
}
