//! Who is asked: a policy looks at a scene and says what to do with each job that is due. Pure; the dispatcher carries it out, and whatever it relied on
//! is checked again in the writer.

pub mod eligible;
pub mod immediate;

use index::geo::Point;
use storage::Timestamp;

use super::model::{Candidate, Job, JobId};
use super::route::Task;
use super::travel::Times;
use crate::city::cities::CityId;
use crate::city::couriers::{Courier, CourierId, Presence};

pub use immediate::Immediate;

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
