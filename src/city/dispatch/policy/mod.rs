//! Who is asked: a policy looks at a scene and says what to do with each job that is due. Pure; the dispatcher carries it out, and whatever it relied on
//! is checked again in the writer.

mod ahead;
pub mod eligible;
pub mod fair_pay;
pub mod horizon;
pub mod immediate;

use index::geo::Point;
use storage::Timestamp;

use super::horizon::town::Service;
use super::model::{Candidate, Job, JobId};
use super::route::{DROPOFF_S, PICKUP_S, Start, Task, plan};
use super::travel::Times;
use crate::city::cities::CityId;
use crate::city::couriers::{Courier, CourierId, Presence};

pub use horizon::Horizon;
pub use immediate::{Immediate, MARGIN_S};

/// A city's rules, as far as dispatch needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long a courier may think.
    pub offer_s: i64,
    /// Minor units in a courier's hands; `None`: no limit.
    pub cash_limit: Option<i64>,
    /// No courier is farther away than this.
    pub reach_m: u32,
}

/// A courier on the map.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    pub id: CourierId,
    pub account: Courier,
    pub presence: Presence,
    pub position: Point,
    pub heard_at: Timestamp,
    /// What they carry.
    pub tasks: Vec<Task>,
}

/// What a policy sees: one moment of the city.
pub trait Scene {
    fn now(&self) -> Timestamp;
    fn rules(&self, city: CityId) -> Rules;
    fn times(&self, city: CityId) -> &dyn Times;
    /// The nearest `limit` people on the map around `point`, at most `radius_m` away, nearest first.
    fn around(&self, point: Point, radius_m: u32, limit: usize) -> Vec<Person>;

    /// All jobs of a city that look for a courier, those that are paused too, the soonest ready first. A policy that plans ahead looks at these.
    fn waiting(&self, _city: CityId) -> Vec<(JobId, Job)> {
        Vec::new()
    }

    /// Whether somebody on the map has not been heard of for so long that asking them would only lose time.
    fn is_silent(&self, _person: CourierId) -> bool {
        false
    }

    /// Where orders come from: the middles of zones, and how much each counts by now. Nothing is known without it.
    fn demand(&self, _city: CityId) -> Vec<(Point, u64)> {
        Vec::new()
    }

    /// How often plans are made, and how long before a departure a courier is asked.
    fn pace(&self) -> Pace {
        Pace { round_s: 10, ahead_s: MARGIN_S }
    }

    /// What handing over takes.
    fn service(&self) -> Service {
        Service { pickup_s: PICKUP_S, dropoff_s: DROPOFF_S }
    }

    /// When and where a person will have brought everything that they carry.
    fn frees(&self, person: &Person, city: CityId) -> (Timestamp, Point) {
        let start = Start { from: person.position, now: self.now(), by: person.account.vehicle, times: self.times(city) };
        let route = plan(start, &person.tasks);
        (route.free_at, route.stops.last().map_or(person.position, |stop| stop.point))
    }

    /// When a person who was sent to a counter will stand there.
    fn arrives(&self, person: &Person, counter: Point, city: CityId) -> Timestamp {
        self.now().plus_s(i64::from(self.times(city).seconds(person.position, counter, person.account.vehicle)))
    }

    /// What each of these people has earned by the hour today beside the others ([`fair_pay::standings`]); `None` where nobody knows.
    fn standings(&self, people: &[Person]) -> Vec<Option<u32>> {
        vec![None; people.len()]
    }

    /// How many more jobs a person's guaranteed pay covers; where nobody is guaranteed any, all are alike.
    fn owed(&self, _person: &Person) -> u32 {
        u32::MAX
    }
}

/// See [`Scene::pace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub round_s: i64,
    pub ahead_s: i64,
}

/// The policies that can be configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// One job at a time, the best courier for it now.
    Immediate,
    /// All jobs and couriers together, planned ahead.
    #[default]
    Horizon,
    /// The rolling horizon as published in 2018, to measure the other one against.
    Rolling,
}

/// `[dispatch]` of the configuration file: how the planning policy weighs what is not the customer's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Leanings {
    /// An order may come so much later if who brings it has earned nothing today rather than twice the mean by the hour; 0: pay is no reason.
    pub fair_pay_seconds: u32,
}

impl Default for Leanings {
    /// On the public days customers do not notice it (31.27 minutes from click to door, 31.28 without), and pay by the hour is spread by 5 % less.
    fn default() -> Self {
        Self { fair_pay_seconds: 10 }
    }
}

impl Leanings {
    /// Beyond this it would be the main reason.
    pub const FAIR_PAY_S_MAX: u32 = 600;

    /// # Errors
    /// Which one is beyond its bounds, in a sentence.
    pub fn check(self) -> Result<(), String> {
        if self.fair_pay_seconds > Self::FAIR_PAY_S_MAX {
            return Err(format!("[dispatch] fair_pay_seconds is at most {}", Self::FAIR_PAY_S_MAX));
        }
        Ok(())
    }
}

impl Choice {
    /// The policy of that name, with the usual leanings.
    #[must_use]
    pub fn policy(self) -> std::sync::Arc<dyn Policy> {
        self.leaning(Leanings::default())
    }

    /// The policy of that name. Only `horizon` leans anywhere.
    #[must_use]
    pub fn leaning(self, leanings: Leanings) -> std::sync::Arc<dyn Policy> {
        match self {
            Self::Immediate => std::sync::Arc::new(Immediate),
            Self::Horizon => std::sync::Arc::new(Horizon::Searched(leanings)),
            Self::Rolling => std::sync::Arc::new(Horizon::Published),
        }
    }
}

/// What a policy wants done with some jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One, or a bundle that is asked for as one.
    pub jobs: Vec<JobId>,
    pub found: Found,
    /// How far it looked.
    pub radius_m: u32,
    /// Whom it weighed; empty where it is only too early.
    pub candidates: Vec<Candidate>,
}

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found {
    /// Ask this courier.
    Offer {
        courier: CourierId,
        distance_m: u32,
        eta: Timestamp,
    },
    /// Look again then.
    Later {
        until: Timestamp,
    },
    Nobody,
}

/// A way of matching. What serves and what is scored by the bench is the same code.
pub trait Policy: Send + Sync {
    /// Name and version, such as `immediate/1`: kept with each decision.
    fn name(&self) -> &'static str;
    /// A plan for every job in `due` (a job that it leaves out would stay due and be looked at again at once).
    fn plan(&self, scene: &dyn Scene, due: &[(JobId, Job)]) -> Vec<Plan>;
}
