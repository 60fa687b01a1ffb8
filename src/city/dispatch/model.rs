//! Words: jobs, offers, decisions.

use serde::{Deserialize, Serialize};
use storage::{Id, Index, Kind, Row, Table, Timestamp};
use utoipa::ToSchema;

use super::score::Features;
use crate::city::cities::CityId;
use crate::city::couriers::CourierId;
use crate::city::place::Place;
use crate::engine::TimerId;
use crate::money::Money;

/// Ids of jobs (`job_…`).
#[derive(Debug)]
pub struct JobTag;
impl Kind for JobTag {
    const PREFIX: &'static str = "job";
}
pub type JobId = Id<JobTag>;

/// Ids of offers (`off_…`).
#[derive(Debug)]
pub struct OfferTag;
impl Kind for OfferTag {
    const PREFIX: &'static str = "off";
}
pub type OfferId = Id<OfferTag>;

/// Ids of decisions (`dec_…`).
#[derive(Debug)]
pub struct DecisionTag;
impl Kind for DecisionTag {
    const PREFIX: &'static str = "dec";
}
pub type DecisionId = Id<DecisionTag>;

/// How a subject is written on the wire. Orders are the only subjects so far.
#[derive(Debug)]
pub struct SubjectTag;
impl Kind for SubjectTag {
    const PREFIX: &'static str = "ord";
}
pub type SubjectId = Id<SubjectTag>;

/// What somebody wants brought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What the job is about (an order's 128 bits). One job a subject.
    pub subject: u128,
    pub city: CityId,
    pub merchant: u128,
    pub pickup: Place,
    pub pickup_name: String,
    pub dropoff: Place,
    pub ready_at: Timestamp,
    /// When it should be at the door; what lateness is measured against.
    pub due_at: Option<Timestamp>,
    /// In units of a courier's capacity.
    pub size: u32,
    pub items_count: u32,
    /// What the courier earns for it.
    pub pay: Money,
    /// What the courier collects at the door.
    pub cash_due: Option<Money>,
}

/// Somebody who will not be asked again (for a while), and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub courier: CourierId,
    pub why: RefusedBecause,
    pub at: Timestamp,
}

/// The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusedBecause {
    Declined,
    /// Seen, not answered in time.
    Lapsed,
    /// The offer never reached them; not counted against them, but somebody else goes first.
    Unseen,
    /// Gave the job back.
    Released,
    /// Their device fell silent with it.
    Silent,
    /// An operator wants somebody else.
    ByHand,
}

/// Why a waiting job is not looked at now. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pause {
    /// A courier who left now would stand and wait.
    Early,
    /// Nobody could be asked.
    Nobody,
}

/// Where a job is. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// Looking for a courier; due now unless paused.
    Waiting {
        pause: Option<(Pause, Timestamp)>,
    },
    Offered {
        offer: OfferId,
    },
    Assigned {
        courier: CourierId,
        picked_up: bool,
    },
    Done {
        courier: CourierId,
    },
    Withdrawn,
    Unassignable,
}

impl JobState {
    /// Whether nothing will happen any more unless somebody asks again.
    #[must_use]
    pub fn is_over(self) -> bool {
        match self {
            Self::Waiting { .. } | Self::Offered { .. } | Self::Assigned { .. } => false,
            Self::Done { .. } | Self::Withdrawn | Self::Unassignable => true,
        }
    }

    /// Whether a dispatcher should look now.
    #[must_use]
    pub fn is_due(self) -> bool {
        matches!(self, Self::Waiting { pause: None })
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub request: Request,
    pub state: JobState,
    /// How often it was refused: each widens the search.
    pub round: u32,
    /// How often in a row nobody could be asked.
    pub misses: u32,
    pub refused: Vec<Refused>,
    /// When the search began: with the request, or with the courier's giving it back.
    pub searching_since: Timestamp,
    /// The timer that ends the pause.
    pub look: Option<TimerId>,
}

impl Row for Job {
    const VERSION: u8 = 1;
}

/// Where an offer is. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OfferState {
    Made,
    Accepted,
    Declined,
    Lapsed,
    Withdrawn,
}

/// A courier is asked whether they bring some jobs. Several jobs are a bundle: taken or left as one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    pub courier: CourierId,
    pub city: CityId,
    pub jobs: Vec<JobId>,
    pub subjects: Vec<u128>,
    pub state: OfferState,
    pub made_at: Timestamp,
    pub expires_at: Timestamp,
    /// When it first reached a device of the courier.
    pub seen_at: Option<Timestamp>,
    pub decision: DecisionId,
    pub pickup: Place,
    pub pickup_name: String,
    pub dropoffs: Vec<Place>,
    pub items_count: u32,
    pub distance_m: u32,
    pub pay: Money,
    pub cash_due: Option<Money>,
    /// When the last drop-off is expected.
    pub eta: Timestamp,
    /// Why it was declined or taken back.
    pub reason: Option<String>,
    pub deadline: Option<TimerId>,
    pub unseen: Option<TimerId>,
}

impl Row for Offer {
    const VERSION: u8 = 1;
}

/// Why somebody near was not asked. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum WhyNot {
    #[error("the account is not active")]
    NotActive,
    #[error("works in another city")]
    OtherCity,
    #[error("is offline")]
    Offline,
    #[error("is on a break")]
    OnBreak,
    #[error("has an unanswered offer")]
    Asked,
    #[error("was chosen for another job in the same round")]
    SpokenFor,
    #[error("declined this job")]
    Declined,
    #[error("did not answer when asked for this job")]
    Lapsed,
    #[error("was not reached when asked for this job")]
    Unseen,
    #[error("gave this job back")]
    Released,
    #[error("is under way with another job")]
    Busy,
    #[error("has no room for it")]
    Full,
    #[error("would go too far out of the way of what they carry")]
    Detour,
    #[error("ends work before the pickup")]
    EndsBefore,
    #[error("would hold more cash than the city allows")]
    Cash,
    #[error("has not been heard of")]
    Silent,
    #[error("lost this job to an operator's wish")]
    ByHand,
}

/// What became of a candidate. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Chosen,
    Outscored,
    Excluded(WhyNot),
}

/// Somebody near, as the decision saw them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    pub courier: CourierId,
    pub features: Features,
    /// Thousandths; the lowest is asked.
    pub score: i64,
    pub outcome: Outcome,
}

/// What a decision came to. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    Offered { courier: CourierId, offer: OfferId },
    Nobody,
}

/// Why this courier, and why not the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub at: Timestamp,
    /// Policy and version, such as `immediate/1`.
    pub policy: String,
    pub jobs: Vec<JobId>,
    pub subjects: Vec<u128>,
    pub round: u32,
    pub radius_m: u32,
    pub candidates: Vec<Candidate>,
    pub verdict: Verdict,
}

impl Row for Decision {
    const VERSION: u8 = 2;

    /// The first layout knew nothing of pay.
    fn upgrade(version: u8, bytes: &[u8]) -> Option<Self> {
        (version == 1).then(|| super::older::first_decision(bytes)).flatten()
    }
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no job about this")]
    NoJob,
    #[error("no such offer")]
    NoOffer,
    #[error("no such city")]
    NoCity,
    #[error("the offer has expired")]
    Expired,
    #[error("the offer has been taken")]
    Taken,
    #[error("not possible while the job is {0}")]
    NotWhile(&'static str),
    #[error("the courier does not have this job")]
    NotTheirs,
    #[error("somebody else has it by now")]
    TakenOver,
    #[error("the courier has it already")]
    HasIt,
    #[error("no such courier")]
    NoCourier,
    #[error("the courier cannot be asked: {0}")]
    Unavailable(WhyNot),
    #[error(transparent)]
    Denied(#[from] crate::engine::Denied),
}

pub static JOBS_BY_SUBJECT: Index<JobId, Job> = Index::new(361, "dispatch.jobs_by_subject", |_, job, keys| keys.add(&job.request.subject));
/// What a dispatcher should look at now, the soonest ready first.
pub static JOBS_DUE: Index<JobId, Job> = Index::new(362, "dispatch.jobs_due", |_, job, keys| {
    if job.state.is_due() {
        keys.add(&job.request.ready_at);
    }
});
/// Jobs that found nobody, by city: looked at at once when somebody comes free.
pub static JOBS_STRANDED: Index<JobId, Job> = Index::new(363, "dispatch.jobs_stranded", |_, job, keys| {
    if matches!(job.state, JobState::Waiting { pause: Some((Pause::Nobody, _)) }) {
        keys.add(&(job.request.city, job.request.ready_at));
    }
});
/// All jobs that look for a courier, paused or not, by city, the soonest ready first: what a plan is made of.
pub static JOBS_OPEN: Index<JobId, Job> = Index::new(364, "dispatch.jobs_open", |_, job, keys| {
    if matches!(job.state, JobState::Waiting { .. }) {
        keys.add(&(job.request.city, job.request.ready_at));
    }
});
pub static JOBS: Table<JobId, Job> = Table::new(360, "dispatch.jobs", &[&JOBS_BY_SUBJECT, &JOBS_DUE, &JOBS_STRANDED, &JOBS_OPEN]);

/// Unanswered offers.
pub static OFFERS_LIVE: Index<OfferId, Offer> = Index::new(366, "dispatch.offers_live", |_, offer, keys| {
    if offer.state == OfferState::Made {
        keys.add(&offer.courier);
    }
});
pub static OFFERS: Table<OfferId, Offer> = Table::new(365, "dispatch.offers", &[&OFFERS_LIVE]);

pub static DECISIONS_BY_SUBJECT: Index<DecisionId, Decision> = Index::new(371, "dispatch.decisions_by_subject", |_, decision, keys| {
    for subject in &decision.subjects {
        keys.add(subject);
    }
});
pub static DECISIONS: Table<DecisionId, Decision> = Table::new(370, "dispatch.decisions", &[&DECISIONS_BY_SUBJECT]);
