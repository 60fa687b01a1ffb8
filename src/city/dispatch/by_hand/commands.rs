//! What an operator asks for, in one commit: job, hands, offers and the memory of it.

use storage::{Direction, Timestamp};

use super::{BY_HAND, Handed};
use crate::city::couriers::machine::Command as Hands;
use crate::city::couriers::{self, CourierId};
use crate::city::dispatch::event::{Happened, RouteChanged, What};
use crate::city::dispatch::jobs::{self, move_hands, put_down, step};
use crate::city::dispatch::machine::job::Command;
use crate::city::dispatch::model::{Job, JobId, JobState, Refusal, RefusedBecause, SubjectId, WhyNot};
use crate::city::dispatch::policy::eligible;
use crate::city::dispatch::{offers, scene, silence};
use crate::city::travel::trips;
use crate::engine::{Question, Resource, Tx};

/// What an operator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Who shall bring it; none: dispatch looks, and does not ask who has it now.
    pub to: Option<CourierId>,
    /// Only while this courier has it.
    pub instead_of: Option<CourierId>,
    /// For the order's history, and for whoever loses it.
    pub reason: String,
    /// When `to` is expected at the door, as far as was known outside the writer.
    pub eta: Option<Timestamp>,
}

/// A question about a delivery; a subject without a job has no city.
#[must_use]
pub fn question(action: &'static str, subject: SubjectId, job: Option<&Job>) -> Question {
    let resource = Resource::new("Dispatch", subject);
    Question::new(
        action,
        match job {
            Some(job) => resource.with("city", job.request.city.to_string()),
            None => resource,
        },
    )
}

/// Gives a delivery to a courier, whoever has it, or has another one looked for.
///
/// # Errors
/// [`Refusal::NoJob`]; [`Refusal::TakenOver`] if somebody else than `instead_of` has it; [`Refusal::HasIt`] if `to` has; [`Refusal::NoCourier`];
/// [`Refusal::Unavailable`] with what is in the way; [`Refusal::NotWhile`] once it is over, or in a bag that nobody else is to meet; [`Refusal::Denied`].
pub fn assign(tx: &mut Tx, subject: SubjectId, wish: &Wish) -> Result<Job, Refusal> {
    let found = jobs::of_subject(tx, subject.as_u128());
    tx.authorize(&question("dispatch.assign", subject, found.as_ref().map(|(_, job)| job)))?;
    let (id, job) = found.ok_or(Refusal::NoJob)?;
    let (from, picked_up) = match job.state {
        JobState::Assigned { courier, picked_up } => (Some(courier), picked_up),
        JobState::Waiting { .. } | JobState::Offered { .. } | JobState::Done { .. } | JobState::Withdrawn | JobState::Unassignable => {
            (None, false)
        }
    };
    if wish.instead_of.is_some() && wish.instead_of != from {
        return Err(Refusal::TakenOver);
    }
    let done = match wish.to {
        Some(to) => give(tx, id, &job, (from, picked_up), to, wish),
        None => look_again(tx, id, &job, wish),
    }?;
    let by = tx.caller().user_id();
    let n = BY_HAND.scan_prefix(tx, &(subject.as_u128(),), Direction::Backward).next().map_or(1, |((_, n), _)| n + 1);
    let handed = Handed { at: tx.now(), from, to: wish.to, by, reason: wish.reason.clone(), picked_up };
    BY_HAND.put(tx, &(subject.as_u128(), n), &handed);
    Ok(done)
}

/// What stands against giving this to them by hand.
fn why_not(tx: &Tx, job: &Job, to: CourierId) -> Result<(), Refusal> {
    let account = couriers::get(tx, to).ok_or(Refusal::NoCourier)?;
    if couriers::silence(tx, to).is_some() {
        return Err(Refusal::Unavailable(WhyNot::Silent));
    }
    let rules = scene::rules(tx, job.request.city).ok_or(Refusal::NoCity)?;
    let presence = couriers::presence(tx, to);
    eligible::by_hand(job, &account, &presence, &rules, tx.now()).map_or(Ok(()), |why| Err(Refusal::Unavailable(why)))
}

fn give(
    tx: &mut Tx,
    id: JobId,
    job: &Job,
    (from, picked_up): (Option<CourierId>, bool),
    to: CourierId,
    wish: &Wish,
) -> Result<Job, Refusal> {
    if from == Some(to) {
        return Err(Refusal::HasIt);
    }
    why_not(tx, job, to)?;
    if let JobState::Offered { offer } = job.state {
        offers::void(tx, offer, None, "an operator gave it to somebody");
    }
    // What they are being asked might not fit any more on top of this.
    offers::void_of(tx, to, "an operator gave the courier something else");
    let next = step(tx, id, &Command::Assign { courier: to })?;
    let (subject, city, by) = (job.request.subject, job.request.city, tx.caller().user_id());
    if let Some(from) = from {
        put_down(tx, from, subject, false);
        if !picked_up {
            tx.emit(Happened { city, what: What::Unassigned { subject, courier: from, reason: wish.reason.clone(), by } });
        }
    }
    move_hands(tx, to, &Hands::TakeOn(eligible::carried(job)));
    let eta = wish.eta.or(job.request.due_at).unwrap_or(job.request.ready_at).max(tx.now());
    let what = match from.filter(|_| picked_up) {
        Some(from) => {
            move_hands(tx, to, &Hands::PickUp { subject });
            // Where the two meet is nobody's counter: this way teaches nothing.
            trips::forget(tx, from);
            trips::forget(tx, to);
            What::TakenOver { subject, from, to, eta, reason: wish.reason.clone(), by }
        }
        None => What::Assigned { subject, courier: to, eta, by },
    };
    tx.emit(Happened { city, what });
    tx.emit(RouteChanged { courier: to });
    let text = SubjectId::from_u128(subject).to_string();
    tx.settle_attention(jobs::ATTENTION, &text);
    tx.settle_attention(jobs::ATTENTION_FAILED, &id.to_string());
    tx.settle_attention(silence::ATTENTION, &text);
    jobs::somebody_free(tx, city);
    Ok(next)
}

/// Whoever has it, or is being asked, loses it; dispatch looks now.
fn look_again(tx: &mut Tx, id: JobId, job: &Job, wish: &Wish) -> Result<Job, Refusal> {
    let subject = job.request.subject;
    match job.state {
        JobState::Assigned { courier, .. } => {
            jobs::take_from(tx, subject, courier, RefusedBecause::ByHand, &wish.reason)?;
        }
        JobState::Offered { offer } => offers::void(tx, offer, Some(RefusedBecause::ByHand), &wish.reason),
        JobState::Waiting { .. } => {
            step(tx, id, &Command::Look)?;
        }
        // A search that was given up begins anew.
        JobState::Unassignable => {
            step(tx, id, &Command::Request(job.request.clone()))?;
        }
        JobState::Done { .. } | JobState::Withdrawn => return Err(Refusal::NotWhile(crate::city::dispatch::machine::job::name(job.state))),
    }
    jobs::of_subject(tx, subject).map(|(_, job)| job).ok_or(Refusal::NoJob)
}
