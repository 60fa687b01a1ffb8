//! Commands on jobs: what others ask of dispatch, and what the dispatcher finds out. All are part of a decided command.

use storage::{Read, Timestamp};

use super::demand;
use super::event::{Happened, RouteChanged, What};
use super::machine::job::{self, Command};
use super::model::{
    DECISIONS, Decision, DecisionId, JOBS, JOBS_BY_SUBJECT, JOBS_STRANDED, Job, JobId, JobState, Offer, Pause, Refusal, RefusedBecause,
    Request, SubjectId, Verdict,
};
use super::offers;
use super::policy::Plan;
use super::scene;
use super::silence;
use crate::city::cities::CityId;
use crate::city::couriers::{self, CourierId, machine};
use crate::city::eta;
use crate::city::place::Place;
use crate::city::travel::trips;
use crate::city::zones;
use crate::engine::{Fault, FiredTimer, Timer, Tx};

/// Ends a job's pause. Wire it to [`on_look`].
pub const TIMER_LOOK: &str = "dispatch.look";
/// Kind of entry on the operators' list.
pub const ATTENTION: &str = "unassigned";
/// Another, by job: the dispatcher stumbles over it.
pub const ATTENTION_FAILED: &str = "dispatch_failed";

/// The first retry when nobody was there; doubled up to the longest.
const RETRY_S: i64 = 5;
const RETRY_S_MAX: i64 = 60;
/// Misses, or refusals, after which operators are told.
const TOLD_AFTER: u32 = 4;
/// Later than thought by more than this, an offer that nobody has answered is taken back.
const LATER_MAX_S: i64 = 120;
/// Ready, and searched for without a courier, for this long: given up.
pub const GIVE_UP_S: i64 = 3_600;
/// Jobs that are looked at at once when one courier comes free; the rest have their timers.
const WOKEN_MAX: usize = 4;
/// Stranded jobs that are searched for some of the same counter.
const SEARCHED_MAX: usize = 64;

/// The job about a subject.
#[must_use]
pub fn of_subject(read: &(impl Read + ?Sized), subject: u128) -> Option<(JobId, Job)> {
    JOBS.find(read, &JOBS_BY_SUBJECT, &subject).next()
}

fn must_exist(tx: &Tx, subject: u128) -> Result<(JobId, Job), Refusal> {
    of_subject(tx, subject).ok_or(Refusal::NoJob)
}

/// Runs the machine and keeps the look timer in step with the pause.
pub(super) fn step(tx: &mut Tx, id: JobId, command: &Command) -> Result<Job, Refusal> {
    let before = JOBS.get(tx, &id);
    let mut job = job::apply(before.as_ref(), command, tx.now())?;
    let wanted = match job.state {
        JobState::Waiting { pause: Some((_, until)) } => Some(until),
        JobState::Waiting { pause: None }
        | JobState::Offered { .. }
        | JobState::Assigned { .. }
        | JobState::Done { .. }
        | JobState::Withdrawn
        | JobState::Unassignable => None,
    };
    if let Some(timer) = job.look.take_if(|timer| wanted != Some(timer.at)) {
        tx.cancel(timer);
    }
    if let (Some(at), None) = (wanted, job.look) {
        job.look = Some(tx.schedule(at, Timer::new(TIMER_LOOK, id.as_u128())));
    }
    JOBS.put(tx, &id, &job);
    Ok(job)
}

/// Somebody wants something brought. A second request about the same subject changes nothing while the first is under way, and begins anew after it
/// was withdrawn or found nobody.
///
/// # Errors
/// [`Refusal::NotWhile`] once it was brought; [`Refusal::NoCity`].
pub fn request(tx: &mut Tx, request: Request) -> Result<JobId, Refusal> {
    scene::rules(tx, request.city).ok_or(Refusal::NoCity)?;
    let id = match of_subject(tx, request.subject) {
        Some((id, _)) => id,
        None => {
            demand::note(tx, request.city, request.pickup.point());
            tx.new_id()
        }
    };
    step(tx, id, &Command::Request(request)).map(|_| id)
}

/// It will be ready at another time than thought.
///
/// # Errors
/// [`Refusal::NoJob`]; [`Refusal::NotWhile`] once the job is over.
pub fn ready_changed(tx: &mut Tx, subject: u128, ready_at: Timestamp) -> Result<(), Refusal> {
    let (id, before) = must_exist(tx, subject)?;
    if let JobState::Offered { offer } = before.state
        && ready_at.ms_since(before.request.ready_at) > LATER_MAX_S * 1000
    {
        // Whoever is being asked would come far too early: it is planned again.
        offers::void(tx, offer, None, "it will be ready later than thought");
    }
    let job = step(tx, id, &Command::ReadyAt(ready_at))?;
    if let JobState::Assigned { courier, .. } = job.state
        && before.request.ready_at != ready_at
    {
        tx.emit(RouteChanged { courier });
    }
    Ok(())
}

/// It goes to another door. Whoever is being asked was asked for another way: they are asked again, or somebody else is.
///
/// # Errors
/// [`Refusal::NoJob`]; [`Refusal::NotWhile`] once the job is over.
pub fn dropoff_moved(tx: &mut Tx, subject: u128, dropoff: Place, due_at: Option<Timestamp>) -> Result<(), Refusal> {
    let (id, before) = must_exist(tx, subject)?;
    if let JobState::Offered { offer } = before.state {
        offers::void(tx, offer, None, "the customer wants it brought elsewhere");
    }
    let job = step(tx, id, &Command::Dropoff { dropoff, due_at })?;
    if let JobState::Assigned { courier, .. } = job.state {
        tx.emit(RouteChanged { courier });
    }
    Ok(())
}

/// It need not be brought any more. Nothing happens if there is no job, or it is over.
pub fn withdraw(tx: &mut Tx, subject: u128) {
    let Some((id, job)) = of_subject(tx, subject) else { return };
    match job.state {
        JobState::Offered { offer } => offers::void(tx, offer, None, "the job was withdrawn"),
        JobState::Assigned { courier, .. } => put_down(tx, courier, subject, false),
        JobState::Waiting { .. } | JobState::Unassignable => (),
        JobState::Done { .. } | JobState::Withdrawn => return,
    }
    eta::ended(tx, subject);
    tx.settle_attention(zones::commands::ATTENTION, &SubjectId::from_u128(subject).to_string());
    tx.settle_attention(ATTENTION, &SubjectId::from_u128(subject).to_string());
    tx.settle_attention(ATTENTION_FAILED, &id.to_string());
    step(tx, id, &Command::Withdraw).expect("only a job that is done or withdrawn cannot be withdrawn, and those returned above");
    if !matches!(job.state, JobState::Waiting { .. } | JobState::Unassignable) {
        somebody_free(tx, job.request.city);
    }
}

/// The courier has it in the bag.
///
/// # Errors
/// [`Refusal::NoJob`], [`Refusal::NotWhile`], [`Refusal::NotTheirs`].
pub fn picked_up(tx: &mut Tx, subject: u128, courier: CourierId) -> Result<(), Refusal> {
    let (id, _) = must_exist(tx, subject)?;
    let job = step(tx, id, &Command::PickUp { courier })?;
    trips::departed(tx, courier, job.request.pickup);
    move_hands(tx, courier, &machine::Command::PickUp { subject });
    if let Some(silence) = couriers::silence(tx, courier) {
        silence::tell_operators(tx, courier, subject, &silence);
    }
    Ok(())
}

/// The courier gives it back; another is looked for, and this one is not asked again.
///
/// # Errors
/// [`Refusal::NoJob`], [`Refusal::NotWhile`], [`Refusal::NotTheirs`].
pub fn release(tx: &mut Tx, subject: u128, courier: CourierId, reason: &str) -> Result<(), Refusal> {
    take_from(tx, subject, courier, RefusedBecause::Released, reason)
}

/// It is taken out of a courier's hands before the pick-up, and another is looked for.
///
/// # Errors
/// As [`release`].
pub(super) fn take_from(tx: &mut Tx, subject: u128, courier: CourierId, why: RefusedBecause, reason: &str) -> Result<(), Refusal> {
    let (id, _) = must_exist(tx, subject)?;
    let job = step(tx, id, &Command::Release { courier, why })?;
    put_down(tx, courier, subject, false);
    let city = job.request.city;
    let by = tx.caller().user_id().filter(|_| why == RefusedBecause::ByHand);
    tx.emit(Happened { city, what: What::Unassigned { subject, courier, reason: reason.to_owned(), by } });
    tell_operators(tx, &job);
    somebody_free(tx, city);
    Ok(())
}

/// It was brought.
///
/// # Errors
/// [`Refusal::NoJob`], [`Refusal::NotWhile`] unless somebody had it.
pub fn finished(tx: &mut Tx, subject: u128) -> Result<(), Refusal> {
    let (id, _) = must_exist(tx, subject)?;
    let job = step(tx, id, &Command::Finish)?;
    let JobState::Done { courier } = job.state else { unreachable!("the machine finishes into Done") };
    put_down(tx, courier, subject, true);
    couriers::hours::earn(tx, courier, job.request.pay.amount);
    brought(tx, subject, courier, &job);
    somebody_free(tx, job.request.city);
    Ok(())
}

/// What a delivery teaches: how long the way took, and how wrong the expectation was.
fn brought(tx: &mut Tx, subject: u128, courier: CourierId, job: &Job) {
    let arrived_at = eta::model::EXPECTED.get(tx, &subject).and_then(|expected| expected.arrived_at);
    if let Some(account) = couriers::get(tx, courier) {
        let carries_on = couriers::presence(tx, courier).carries.iter().any(|carried| carried.picked_up);
        trips::reached(tx, courier, job.request.city, account.vehicle, job.request.dropoff, arrived_at, carries_on);
    }
    tx.settle_attention(zones::commands::ATTENTION, &SubjectId::from_u128(subject).to_string());
    eta::commands::delivered(tx, subject, arrived_at.unwrap_or(tx.now()));
}

pub(super) fn put_down(tx: &mut Tx, courier: CourierId, subject: u128, delivered: bool) {
    tx.settle_attention(silence::ATTENTION, &SubjectId::from_u128(subject).to_string());
    move_hands(tx, courier, &machine::Command::PutDown { subject, delivered });
    tx.emit(RouteChanged { courier });
}

/// Job and hands change in the same commit, always together: a refusal here is a bug, and the command is aborted by it.
pub(super) fn move_hands(tx: &mut Tx, courier: CourierId, command: &machine::Command) {
    if let Err(refusal) = couriers::commands::apply(tx, courier, command) {
        panic!("the hands of {courier} and dispatch disagree on {command:?}: {refusal}");
    }
}

/// A courier can be asked (again): the jobs that have waited longest for anybody are looked at now.
pub fn somebody_free(tx: &mut Tx, city: CityId) {
    let stranded: Vec<JobId> = JOBS.keys(tx, &JOBS_STRANDED, &city).take(WOKEN_MAX).collect();
    for id in stranded {
        step(tx, id, &Command::Look).expect("the index holds waiting jobs only");
    }
}

/// A courier who has just accepted may take more from the same counter: what waits there is looked at now.
pub(super) fn room_left(tx: &mut Tx, offer: &Offer) {
    let Some(taken) = offer.jobs.first().and_then(|id| JOBS.get(tx, id)) else { return };
    let same_counter = |id: &JobId| JOBS.get(tx, id).is_some_and(|job| job.request.merchant == taken.request.merchant);
    let stranded: Vec<JobId> = JOBS.keys(tx, &JOBS_STRANDED, &offer.city).take(SEARCHED_MAX).filter(same_counter).take(WOKEN_MAX).collect();
    for id in stranded {
        step(tx, id, &Command::Look).expect("the index holds waiting jobs only");
    }
}

/// Handler of [`TIMER_LOOK`].
///
/// # Errors
/// None: a timer that came too late finds nothing to do.
pub fn on_look(tx: &mut Tx, timer: &FiredTimer) -> Result<(), Fault> {
    let id = JobId::from_u128(timer.subject);
    match JOBS.get(tx, &id).map(|job| job.state) {
        Some(JobState::Waiting { pause: Some(_) }) => {
            step(tx, id, &Command::Look).map(drop).map_err(|refusal| Fault::new(refusal.to_string()))
        }
        Some(
            JobState::Waiting { pause: None }
            | JobState::Offered { .. }
            | JobState::Assigned { .. }
            | JobState::Done { .. }
            | JobState::Withdrawn
            | JobState::Unassignable,
        )
        | None => Ok(()),
    }
}

/// The dispatcher found that it is too early: looked at again at `until`.
///
/// # Errors
/// [`Refusal::NotWhile`] if a job is not due any more.
pub fn later(tx: &mut Tx, jobs: &[JobId], until: Timestamp) -> Result<(), Refusal> {
    jobs.iter().try_for_each(|id| {
        // The view was behind: what became ready meanwhile is looked at again at once.
        let until = until.max(tx.now().plus_ms(1));
        step(tx, *id, &Command::Pause { pause: Pause::Early, until }).map(drop)
    })
}

/// The dispatcher found nobody: kept as a decision, retried later and later, told to the operators, given up after an hour.
///
/// # Errors
/// [`Refusal::NotWhile`] if a job is not due any more.
pub fn nobody(tx: &mut Tx, plan: &Plan, policy: &str) -> Result<DecisionId, Refusal> {
    let now = tx.now();
    for id in &plan.jobs {
        let before = JOBS.get(tx, id).ok_or(Refusal::NoJob)?;
        let pause_s = RETRY_S.saturating_mul(1 << before.misses.min(10)).min(RETRY_S_MAX);
        let job = step(tx, *id, &Command::Pause { pause: Pause::Nobody, until: now.plus_s(pause_s) })?;
        tell_operators(tx, &job);
        if now.ms_since(job.request.ready_at.max(job.searching_since)) >= GIVE_UP_S * 1000 {
            let job = step(tx, *id, &Command::GiveUp)?;
            tx.emit(Happened { city: job.request.city, what: What::Unassignable { subject: job.request.subject } });
        }
    }
    keep_decision(tx, plan, policy, Verdict::Nobody)
}

fn tell_operators(tx: &mut Tx, job: &Job) {
    if job.misses + job.round >= TOLD_AFTER {
        let subject = SubjectId::from_u128(job.request.subject).to_string();
        let reason = format!("no courier yet: {} refused, {} looks found nobody", job.refused.len(), job.misses);
        tx.attention(ATTENTION, &subject, reason, &["assign", "cancel"]);
    }
}

/// Writes down why.
pub(super) fn keep_decision(tx: &mut Tx, plan: &Plan, policy: &str, verdict: Verdict) -> Result<DecisionId, Refusal> {
    let jobs: Vec<Job> = plan.jobs.iter().map(|id| JOBS.get(tx, id).ok_or(Refusal::NoJob)).collect::<Result<_, _>>()?;
    let id = tx.new_id();
    let decision = Decision {
        at: tx.now(),
        policy: policy.to_owned(),
        jobs: plan.jobs.clone(),
        subjects: jobs.iter().map(|job| job.request.subject).collect(),
        round: jobs.iter().map(|job| job.round).max().unwrap_or(0),
        radius_m: plan.radius_m,
        candidates: plan.candidates.clone(),
        verdict,
    };
    DECISIONS.put(tx, &id, &decision);
    Ok(id)
}
