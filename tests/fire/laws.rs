//! What must hold after every step, whoever does what: between the rows, and between the rows and what the people of the play know.

use std::collections::{BTreeMap, BTreeSet};

use medina::city::couriers::model::{COURIERS, SILENCES};
use medina::city::couriers::{self, Availability, CourierId};
use medina::city::dispatch::model::{JOBS, JobState, OFFERS, OfferState, SubjectId};
use medina::city::dispatch::silence;
use medina::engine::attention::ATTENTION;
use medina::trade::orders::audit;
use medina::trade::orders::model::{OrderId, State};
use medina::trade::orders::record::{ORDERS, Order};
use storage::{Timestamp, View};

/// Everybody's hands, and which of them hold a subject.
fn holders(view: &View) -> BTreeMap<u128, Vec<CourierId>> {
    let mut holders: BTreeMap<u128, Vec<CourierId>> = BTreeMap::new();
    for (id, _) in COURIERS.scan(view) {
        for carried in couriers::presence(view, id).carries {
            holders.entry(carried.subject).or_default().push(id);
        }
    }
    holders
}

/// The laws between rows.
pub fn rows(view: &View, now: Timestamp) {
    let holders = holders(view);
    for (subject, hands) in &holders {
        assert_eq!(hands.len(), 1, "order {} is in two hands: {hands:?}", OrderId::from_u128(*subject));
    }
    for (id, account) in COURIERS.scan(view) {
        let presence = couriers::presence(view, id);
        assert!(presence.load() <= account.capacity, "{id} carries {} of {}", presence.load(), account.capacity);
        assert!(presence.availability != Availability::Offline || presence.carries.is_empty(), "{id} went home with somebody's dinner");
    }
    let mut by_subject = BTreeSet::new();
    for (id, job) in JOBS.scan(view) {
        assert!(by_subject.insert(job.request.subject), "two jobs about one subject: {id}");
        let hands: Option<CourierId> = holders.get(&job.request.subject).map(|hands| hands[0]);
        match job.state {
            JobState::Assigned { courier, .. } => assert_eq!(hands, Some(courier), "{id} is assigned and its courier does not know"),
            state => assert_eq!(hands, None, "{id} is {state:?} and in somebody's hands"),
        }
        if let JobState::Offered { offer } = job.state {
            let state = OFFERS.get(view, &offer).map(|offer| offer.state);
            assert_eq!(state, Some(OfferState::Made), "{id} waits for an answer to {offer}, which has ended");
        }
    }
    offers(view, now);
    silences(view, now);
    for (id, order) in ORDERS.scan(view) {
        follows_its_job(view, id, &order);
    }
    assert_eq!(audit(view), [], "orders are the folds of their events");
}

fn offers(view: &View, now: Timestamp) {
    let mut asked = BTreeMap::new();
    for (id, offer) in OFFERS.scan(view).filter(|(_, offer)| offer.state == OfferState::Made) {
        assert!(offer.expires_at > now, "{id} outlives its deadline {} at {now}", offer.expires_at);
        assert_eq!(asked.insert(offer.courier, id), None, "{} has two live offers", offer.courier);
        let presence = couriers::presence(view, offer.courier);
        assert_eq!(presence.asked, Some(id.as_u128()), "{} does not know of {id}", offer.courier);
        assert_eq!(presence.availability, Availability::Online, "{} is asked and does not work", offer.courier);
        for job in &offer.jobs {
            let state = JOBS.get(view, job).map(|job| job.state);
            assert_eq!(state, Some(JobState::Offered { offer: id }), "{job} is offered by {id}");
        }
    }
    for (id, _) in COURIERS.scan(view) {
        let presence = couriers::presence(view, id);
        assert_eq!(presence.asked, asked.get(&id).map(|offer| offer.as_u128()), "{id} thinks of an offer that is not live");
    }
}

fn silences(view: &View, now: Timestamp) {
    for (id, silence) in SILENCES.scan(view) {
        let presence = couriers::presence(view, id);
        assert_eq!(presence.asked, None, "{id} is silent and being asked");
        let grace_is_over = silence.grace.is_none_or(|grace| grace.at <= now);
        for carried in &presence.carries {
            assert!(carried.picked_up || !grace_is_over, "{id} is silent since {} and keeps what others could bring", silence.since);
            let subject = SubjectId::from_u128(carried.subject).to_string();
            assert!(
                !carried.picked_up || is_listed(view, silence::ATTENTION, &subject),
                "{id} has {subject} in the bag and no operator knows"
            );
        }
    }
}

fn is_listed(view: &View, kind: &str, subject: &str) -> bool {
    ATTENTION.has(view, &(kind.to_owned(), subject.to_owned()))
}

/// An order under way has the courier that its job has, and nobody else.
fn follows_its_job(view: &View, id: OrderId, order: &Order) {
    let job = medina::city::dispatch::jobs::of_subject(view, id.as_u128()).map(|(_, job)| job);
    if order.state.is_final() || order.state == State::Delivered {
        let is_over = job.is_none_or(|job| job.state.is_over());
        assert!(is_over, "order {id} has ended and its job has not");
        return;
    }
    let carrier = job.as_ref().and_then(|job| match job.state {
        JobState::Assigned { courier, .. } => Some(courier),
        _ => None,
    });
    assert_eq!(order.courier, carrier, "order {id} ({}) and its job name two couriers", order.state);
    if let Some(job) = job {
        assert_eq!(job.request.dropoff, order.created.dropoff, "the courier of {id} is sent to the wrong door");
    }
}

/// At the end of the night: final, or somebody knows.
pub fn nothing_is_forgotten(view: &View) {
    for (id, order) in ORDERS.scan(view) {
        let text = id.to_string();
        let is_known = ATTENTION.scan(view).any(|((_, subject), _)| subject == text);
        assert!(order.state.is_final() || is_known, "order {id} is {} at the end of the night, and nobody knows", order.state);
    }
}
