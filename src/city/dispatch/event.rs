//! What dispatch says happened.

use serde_json::{Value, json};
use storage::Timestamp;

use super::http::OfferView;
use super::model::{Offer, OfferId, SubjectId};
use crate::city::cities::CityId;
use crate::city::couriers::CourierId;
use crate::engine::{Event, UserId};

/// Something happened to a job or an offer.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    pub city: CityId,
    pub what: What,
}

/// What it was. Whoever asked for a job follows those with its subject.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    OfferMade {
        id: OfferId,
        offer: Box<Offer>,
    },
    /// Taken back: the job or the courier is gone, or it reached nobody.
    OfferWithdrawn {
        id: OfferId,
        courier: CourierId,
        subjects: Vec<u128>,
    },
    /// Not answered in time.
    OfferExpired {
        id: OfferId,
        courier: CourierId,
        subjects: Vec<u128>,
    },
    OfferDeclined {
        id: OfferId,
        courier: CourierId,
        subjects: Vec<u128>,
    },
    /// A courier has it; `eta` is when the drop-off is expected.
    Assigned {
        subject: u128,
        courier: CourierId,
        eta: Timestamp,
        /// The operator who gave it to them.
        by: Option<UserId>,
    },
    /// The courier gave it back; another is looked for.
    Unassigned {
        subject: u128,
        courier: CourierId,
        reason: String,
        /// The operator who took it from them.
        by: Option<UserId>,
    },
    /// An operator gave what is in one courier's bag to another.
    TakenOver {
        subject: u128,
        from: CourierId,
        to: CourierId,
        eta: Timestamp,
        reason: String,
        by: Option<UserId>,
    },
    /// Nobody was found for an hour; it is on the operators' list.
    Unassignable {
        subject: u128,
    },
}

fn orders(subjects: &[u128]) -> Vec<String> {
    subjects.iter().map(|subject| SubjectId::from_u128(*subject).to_string()).collect()
}

impl Event for Happened {
    fn name(&self) -> &'static str {
        match self.what {
            What::OfferMade { .. } => "OfferMade",
            What::OfferWithdrawn { .. } => "OfferWithdrawn",
            What::OfferExpired { .. } => "OfferExpired",
            What::OfferDeclined { .. } => "OfferDeclined",
            What::Assigned { .. } => "JobAssigned",
            What::Unassigned { .. } => "JobUnassigned",
            What::TakenOver { .. } => "JobTakenOver",
            What::Unassignable { .. } => "JobUnassignable",
        }
    }

    fn topics(&self) -> Vec<String> {
        let couriers = match &self.what {
            What::OfferMade { offer, .. } => vec![offer.courier],
            What::OfferWithdrawn { courier, .. }
            | What::OfferExpired { courier, .. }
            | What::OfferDeclined { courier, .. }
            | What::Assigned { courier, .. }
            | What::Unassigned { courier, .. } => vec![*courier],
            What::TakenOver { from, to, .. } => vec![*from, *to],
            What::Unassignable { .. } => vec![],
        };
        couriers.into_iter().map(|courier| format!("courier:{courier}")).chain([format!("city:{}", self.city)]).collect()
    }

    fn data(&self) -> Value {
        match &self.what {
            What::OfferMade { id, offer } => json!({"courier_id": offer.courier.to_string(), "offer": OfferView::of(*id, offer)}),
            What::OfferWithdrawn { id, courier, subjects }
            | What::OfferExpired { id, courier, subjects }
            | What::OfferDeclined { id, courier, subjects } => {
                json!({"offer_id": id.to_string(), "courier_id": courier.to_string(), "order_ids": orders(subjects)})
            }
            What::Assigned { subject, courier, eta, by: _ } => {
                json!({"order_id": SubjectId::from_u128(*subject).to_string(), "courier_id": courier.to_string(), "eta": eta.to_string()})
            }
            What::TakenOver { subject, from, to, eta, reason, by: _ } => json!({
                "order_id": SubjectId::from_u128(*subject).to_string(),
                "from": from.to_string(),
                "courier_id": to.to_string(),
                "eta": eta.to_string(),
                "reason": reason,
            }),
            What::Unassigned { subject, courier, reason, by: _ } => {
                json!({"order_id": SubjectId::from_u128(*subject).to_string(), "courier_id": courier.to_string(), "reason": reason})
            }
            What::Unassignable { subject } => json!({"order_id": SubjectId::from_u128(*subject).to_string()}),
        }
    }
}

/// What a courier has to visit, or when, changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteChanged {
    pub courier: CourierId,
}

impl Event for RouteChanged {
    fn name(&self) -> &'static str {
        "RouteChanged"
    }
    fn topics(&self) -> Vec<String> {
        vec![format!("courier:{}", self.courier)]
    }
    fn data(&self) -> Value {
        json!({"courier_id": self.courier.to_string()})
    }
}
