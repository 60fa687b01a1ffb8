//! What a policy saw when it decided, kept beside the decision, so that another policy can be asked what it would have done.
//!
//! It is bounded: the first candidates of the decision with what they carried, the decision's jobs, and some of the others that waited. Ways are as the
//! crow flies at a bicycle's speed of that hour (others relative to it), whatever measured them then.

use index::geo::Point;
use serde::{Deserialize, Serialize};
use storage::{Row, Table, Timestamp};

use crate::city::cities::CityId;
use crate::city::couriers::{Courier, CourierId, Presence};
use crate::city::dispatch::model::{Decision, DecisionId, Job, JobId, Verdict};
use crate::city::dispatch::policy::{Found, Person, Policy, Rules, Scene};
use crate::city::dispatch::route::Task;
use crate::city::dispatch::travel::{GreatCircle, Times};
use crate::city::place::Place;

/// People that are kept with a decision.
pub const PEOPLE_MAX: usize = 12;
/// Jobs that waited beside those that the decision is about.
pub const OTHERS_MAX: usize = 16;

/// Somebody, as they were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub courier: CourierId,
    pub position: Place,
    pub heard_at: Timestamp,
    pub account: Courier,
    pub presence: Presence,
    pub carried: Vec<SeenTask>,
}

/// What they carried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeenTask {
    pub subject: u128,
    /// `None` once picked up.
    pub pickup: Option<Place>,
    pub dropoff: Place,
    pub ready_at: Timestamp,
}

/// One moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sight {
    pub at: Timestamp,
    pub offer_s: i64,
    pub cash_limit: Option<i64>,
    pub reach_m: u32,
    pub speed_mps: f64,
    /// What the decision is about comes first.
    pub jobs: Vec<(JobId, Job)>,
    pub people: Vec<Seen>,
}

impl Row for Sight {
    const VERSION: u8 = 1;
}

pub static SIGHTS: Table<DecisionId, Sight> = Table::new(372, "dispatch.sights", &[]);

impl From<&Person> for Seen {
    fn from(person: &Person) -> Self {
        let task = |task: &Task| SeenTask {
            subject: task.subject,
            pickup: task.pickup.map(Place::from),
            dropoff: task.dropoff.into(),
            ready_at: task.ready_at,
        };
        Self {
            courier: person.id,
            position: person.position.into(),
            heard_at: person.heard_at,
            account: person.account.clone(),
            presence: person.presence.clone(),
            carried: person.tasks.iter().map(task).collect(),
        }
    }
}

impl From<&Seen> for Person {
    fn from(seen: &Seen) -> Self {
        let task = |task: &SeenTask| Task {
            subject: task.subject,
            pickup: task.pickup.map(Place::point),
            dropoff: task.dropoff.point(),
            ready_at: task.ready_at,
        };
        Self {
            id: seen.courier,
            account: seen.account.clone(),
            presence: seen.presence.clone(),
            position: seen.position.point(),
            heard_at: seen.heard_at,
            tasks: seen.carried.iter().map(task).collect(),
        }
    }
}

/// A sight as the scene of a policy.
struct Recalled<'s> {
    sight: &'s Sight,
    decision: &'s Decision,
    times: GreatCircle,
}

impl Scene for Recalled<'_> {
    fn now(&self) -> Timestamp {
        self.sight.at
    }

    fn rules(&self, _city: CityId) -> Rules {
        Rules { offer_s: self.sight.offer_s, cash_limit: self.sight.cash_limit, reach_m: self.sight.reach_m }
    }

    fn times(&self, _city: CityId) -> &dyn Times {
        &self.times
    }

    fn around(&self, point: Point, radius_m: u32, limit: usize) -> Vec<Person> {
        let mut near: Vec<Person> = self.sight.people.iter().map(Person::from).collect();
        near.retain(|person| person.position.distance_m(point) <= f64::from(radius_m));
        near.sort_by(|a, b| a.position.distance_m(point).total_cmp(&b.position.distance_m(point)).then(a.id.cmp(&b.id)));
        near.truncate(limit);
        near
    }

    /// As they were beside all who were weighed then, not only beside those who are remembered.
    fn standings(&self, people: &[Person]) -> Vec<Option<u32>> {
        let of = |person: &Person| self.decision.candidates.iter().find(|candidate| candidate.courier == person.id);
        people.iter().map(|person| of(person)?.features.pay_permille).collect()
    }

    fn waiting(&self, _city: CityId) -> Vec<(JobId, Job)> {
        self.sight.jobs.clone()
    }
}

/// What another policy makes of a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Again {
    /// Its name and version.
    pub policy: &'static str,
    pub found: Found,
    /// Jobs that it would have asked for together.
    pub jobs: Vec<JobId>,
    /// Whether that is what was done.
    pub same: bool,
}

/// Plays a decision again. Pure: the same sight and policy give the same answer.
#[must_use]
pub fn again(sight: &Sight, decision: &Decision, policy: &dyn Policy) -> Again {
    let scene = Recalled { sight, decision, times: GreatCircle { speed_mps: sight.speed_mps } };
    let due: Vec<(JobId, Job)> = sight.jobs.iter().filter(|(id, _)| decision.jobs.contains(id)).cloned().collect();
    let plans = policy.plan(&scene, &due);
    let plan = plans.into_iter().find(|plan| decision.jobs.first().is_some_and(|first| plan.jobs.contains(first)));
    let (found, jobs) = plan.map_or((Found::Nobody, decision.jobs.clone()), |plan| (plan.found, plan.jobs));
    let same = match (found, decision.verdict) {
        (Found::Offer { courier, .. }, Verdict::Offered { courier: asked, .. }) => courier == asked,
        (Found::Nobody, Verdict::Nobody) => true,
        (Found::Offer { .. } | Found::Later { .. } | Found::Nobody, Verdict::Offered { .. } | Verdict::Nobody) => false,
    };
    Again { policy: policy.name(), found, jobs, same }
}
