//! Commands on offers. An offer, its jobs and the courier's hands change together, in one commit.

use storage::Timestamp;

use super::event::{Happened, RouteChanged, What};
use super::jobs::{self, move_hands, step};
use super::machine::{job, offer};
use super::model::{
    JOBS, Job, JobState, OFFERS, OFFERS_LIVE, Offer, OfferId, OfferState, Refusal, RefusedBecause, SubjectId, Verdict, WhyNot,
};
use super::policy::{Found, Plan, Rules, eligible};
use super::{planted, scene};
use crate::city::couriers::machine::{Answer, Command as Hands};
use crate::city::couriers::{self, CourierId};
use crate::engine::{Fault, FiredTimer, Question, Resource, Timer, Tx};
use crate::money::Money;

/// Ends an offer that nobody answered. Wire it to [`on_deadline`].
pub const TIMER_DEADLINE: &str = "dispatch.offer_deadline";
/// Ends an offer that nobody saw. Wire it to [`on_unseen`].
pub const TIMER_UNSEEN: &str = "dispatch.offer_unseen";
/// How long an offer may be on its way to a device.
pub const UNSEEN_S: i64 = 10;

/// Asks the courier that a plan chose, if everything it relied on still holds.
///
/// # Errors
/// [`Refusal::NotWhile`] if a job does not look for a courier any more, [`Refusal::Unavailable`] if the courier cannot be asked: plan again.
pub fn make(tx: &mut Tx, plan: &Plan, policy: &str) -> Result<OfferId, Refusal> {
    let Found::Offer { courier, distance_m, eta } = plan.found else { unreachable!("the dispatcher makes offers of offers only") };
    let jobs: Vec<Job> = plan.jobs.iter().map(|id| JOBS.get(tx, id).ok_or(Refusal::NoJob)).collect::<Result<_, _>>()?;
    let first = jobs.first().ok_or(Refusal::NoJob)?;
    // A policy that plans ahead may find that a paused one cannot wait after all.
    if let Some(gone) = jobs.iter().find(|job| !matches!(job.state, JobState::Waiting { .. })) {
        return Err(Refusal::NotWhile(job::name(gone.state)));
    }
    let rules = scene::rules(tx, first.request.city).ok_or(Refusal::Unavailable(WhyNot::OtherCity))?;
    if let Some(why) = why_not(tx, &jobs, courier, &rules) {
        return Err(Refusal::Unavailable(why));
    }
    let id: OfferId = tx.new_id();
    let decision = jobs::keep_decision(tx, plan, policy, Verdict::Offered { courier, offer: id })?;
    let now = tx.now();
    let expires_at = now.plus_s(rules.offer_s);
    let offer = Offer {
        courier,
        city: first.request.city,
        jobs: plan.jobs.clone(),
        subjects: jobs.iter().map(|job| job.request.subject).collect(),
        state: OfferState::Made,
        made_at: now,
        expires_at,
        seen_at: None,
        decision,
        pickup: first.request.pickup,
        pickup_name: first.request.pickup_name.clone(),
        dropoffs: jobs.iter().map(|job| job.request.dropoff).collect(),
        items_count: jobs.iter().map(|job| job.request.items_count).sum(),
        distance_m,
        pay: total(jobs.iter().map(|job| job.request.pay)).expect("there is at least one job"),
        cash_due: total(jobs.iter().filter_map(|job| job.request.cash_due)),
        eta,
        reason: None,
        deadline: Some(tx.schedule(expires_at, Timer::new(TIMER_DEADLINE, id.as_u128()))),
        unseen: (UNSEEN_S < rules.offer_s).then(|| tx.schedule(now.plus_s(UNSEEN_S), Timer::new(TIMER_UNSEEN, id.as_u128()))),
    };
    OFFERS.put(tx, &id, &offer);
    for job in &plan.jobs {
        step(tx, *job, &job::Command::Offer { offer: id })?;
        tx.settle_attention(jobs::ATTENTION_FAILED, &job.to_string());
    }
    move_hands(tx, courier, &Hands::Ask { offer: id.as_u128() });
    tx.emit(Happened { city: offer.city, what: What::OfferMade { id, offer: Box::new(offer) } });
    Ok(id)
}

/// The sum; all of a city's amounts are of one currency.
fn total(amounts: impl Iterator<Item = Money>) -> Option<Money> {
    amounts.reduce(|sum, amount| Money { amount: sum.amount + amount.amount, ..sum })
}

/// What stands against asking them for all of these at once.
fn why_not(tx: &Tx, jobs: &[Job], courier: CourierId, rules: &Rules) -> Option<WhyNot> {
    let Some(account) = couriers::get(tx, courier) else { return Some(WhyNot::NotActive) };
    if couriers::silence(tx, courier).is_some() && !planted::is(planted::SILENT_ASKED) {
        return Some(WhyNot::Silent);
    }
    let mut presence = couriers::presence(tx, courier);
    for job in jobs {
        if let Some(why) = eligible::why_not(job, courier, &account, &presence, rules, tx.now()) {
            return Some(why);
        }
        // The next one comes on top of this one.
        presence.carries.push(eligible::carried(job));
    }
    None
}

fn asked(action: &'static str, id: OfferId, offer: &Offer, tx: &Tx) -> Question {
    let user = couriers::get(tx, offer.courier).map_or_else(String::new, |courier| courier.user.to_string());
    Question::new(action, Resource::new("Offer", id).with("courier", offer.courier.to_string()).with("user", user))
}

/// The courier takes the offer: exactly one accept wins.
///
/// # Errors
/// [`Refusal::Expired`] from the deadline on, [`Refusal::Taken`] the second time; [`Refusal::NoOffer`], [`Refusal::Denied`].
pub fn accept(tx: &mut Tx, id: OfferId) -> Result<Offer, Refusal> {
    let mut offer = OFFERS.get(tx, &id).ok_or(Refusal::NoOffer)?;
    tx.authorize(&asked("offers.accept", id, &offer, tx))?;
    end(tx, id, &mut offer, offer::Command::Accept, None)?;
    move_hands(tx, offer.courier, &Hands::Answer { offer: id.as_u128(), answer: Answer::Accepted });
    for job_id in &offer.jobs {
        let job = step(tx, *job_id, &job::Command::Accept { offer: id, courier: offer.courier })?;
        move_hands(tx, offer.courier, &Hands::TakeOn(eligible::carried(&job)));
        let subject = job.request.subject;
        tx.settle_attention(jobs::ATTENTION, &SubjectId::from_u128(subject).to_string());
        tx.emit(Happened { city: offer.city, what: What::Assigned { subject, courier: offer.courier, eta: offer.eta, by: None } });
    }
    tx.emit(RouteChanged { courier: offer.courier });
    jobs::room_left(tx, &offer);
    Ok(offer)
}

/// The courier says no; somebody else is asked.
///
/// # Errors
/// As [`accept`].
pub fn decline(tx: &mut Tx, id: OfferId, reason: Option<String>) -> Result<Offer, Refusal> {
    let mut offer = OFFERS.get(tx, &id).ok_or(Refusal::NoOffer)?;
    tx.authorize(&asked("offers.decline", id, &offer, tx))?;
    end(tx, id, &mut offer, offer::Command::Decline, reason)?;
    give_back(tx, id, &offer, Answer::Declined, Some(RefusedBecause::Declined));
    tx.emit(Happened { city: offer.city, what: What::OfferDeclined { id, courier: offer.courier, subjects: offer.subjects.clone() } });
    jobs::somebody_free(tx, offer.city);
    Ok(offer)
}

/// Takes an offer back through nobody's fault. Nothing happens if it has ended.
pub(super) fn void(tx: &mut Tx, id: OfferId, why: Option<RefusedBecause>, reason: &str) {
    let Some(mut offer) = OFFERS.get(tx, &id) else { return };
    if end(tx, id, &mut offer, offer::Command::Void, Some(reason.to_owned())).is_ok() {
        give_back(tx, id, &offer, Answer::Void, why);
        tx.emit(Happened { city: offer.city, what: What::OfferWithdrawn { id, courier: offer.courier, subjects: offer.subjects } });
    }
}

/// Takes back whatever a courier is being asked: they stopped work.
pub fn void_of(tx: &mut Tx, courier: CourierId, reason: &str) {
    if let Some(offer) = couriers::presence(tx, courier).asked {
        void(tx, OfferId::from_u128(offer), None, reason);
    }
}

/// Runs the machine, writes the row, takes the timers back.
fn end(tx: &mut Tx, id: OfferId, offer: &mut Offer, command: offer::Command, reason: Option<String>) -> Result<(), Refusal> {
    offer.state = offer::apply(offer::Facts { state: offer.state, expires_at: offer.expires_at }, command, tx.now())?;
    offer.reason = reason;
    for timer in [offer.deadline.take(), offer.unseen.take()].into_iter().flatten() {
        tx.cancel(timer);
    }
    OFFERS.put(tx, &id, offer);
    Ok(())
}

/// The jobs of an offer that ended without a yes look on; the courier is free to be asked.
fn give_back(tx: &mut Tx, id: OfferId, offer: &Offer, answer: Answer, why: Option<RefusedBecause>) {
    move_hands(tx, offer.courier, &Hands::Answer { offer: id.as_u128(), answer });
    for job in &offer.jobs {
        step(tx, *job, &job::Command::Refused { offer: id, courier: offer.courier, why }).expect("a live offer's jobs are offered by it");
    }
}

/// An offer reached a device of its courier. Changes nothing the second time.
pub fn seen(tx: &mut Tx, id: OfferId) {
    let Some(mut offer) = OFFERS.get(tx, &id).filter(|offer| offer.seen_at.is_none() && offer.state == OfferState::Made) else { return };
    offer.seen_at = Some(tx.now());
    if let Some(timer) = offer.unseen.take() {
        tx.cancel(timer);
    }
    OFFERS.put(tx, &id, &offer);
}

/// Handler of [`TIMER_DEADLINE`].
///
/// # Errors
/// None: a timer of an offer that ended, or was given more time, finds nothing to do.
pub fn on_deadline(tx: &mut Tx, timer: &FiredTimer) -> Result<(), Fault> {
    let id = OfferId::from_u128(timer.subject);
    let Some(mut offer) = OFFERS.get(tx, &id) else { return Ok(()) };
    if end(tx, id, &mut offer, offer::Command::Lapse, None).is_ok() {
        let (answer, why) = match offer.seen_at {
            Some(_) => (Answer::Lapsed, RefusedBecause::Lapsed),
            None => (Answer::Void, RefusedBecause::Unseen),
        };
        give_back(tx, id, &offer, answer, Some(why));
        tx.emit(Happened { city: offer.city, what: What::OfferExpired { id, courier: offer.courier, subjects: offer.subjects } });
    }
    Ok(())
}

/// Handler of [`TIMER_UNSEEN`].
///
/// # Errors
/// None: as [`on_deadline`].
pub fn on_unseen(tx: &mut Tx, timer: &FiredTimer) -> Result<(), Fault> {
    let id = OfferId::from_u128(timer.subject);
    if OFFERS.get(tx, &id).is_some_and(|offer| offer.seen_at.is_none() && offer.unseen.is_some_and(|unseen| unseen.at <= tx.now())) {
        void(tx, id, Some(RefusedBecause::Unseen), "it reached no device");
    }
    Ok(())
}

/// After a start: couriers' devices need a moment to come back, so no live offer ends before `until`.
pub fn give_time(tx: &mut Tx, until: Timestamp) {
    let live: Vec<(OfferId, Offer)> = OFFERS.find(tx, &OFFERS_LIVE, &()).filter(|(_, offer)| offer.expires_at < until).collect();
    for (id, mut offer) in live {
        for timer in [offer.deadline.take(), offer.unseen.take()].into_iter().flatten() {
            tx.cancel(timer);
        }
        offer.expires_at = until;
        offer.deadline = Some(tx.schedule(until, Timer::new(TIMER_DEADLINE, id.as_u128())));
        OFFERS.put(tx, &id, &offer);
    }
}
