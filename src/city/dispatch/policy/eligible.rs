//! Who may be asked at all. The policy asks it on a view, the writer again on the truth.

use storage::Timestamp;

use super::Rules;
use crate::city::cities::CityId;
use crate::city::couriers::machine::has_room;
use crate::city::couriers::{Availability, Carried, Courier, CourierId, Presence, Status};
use crate::city::dispatch::model::{Job, RefusedBecause, WhyNot};

/// Somebody who did not answer, or was not reached, is not asked about the same job again for this long.
pub const SILENCE_REMEMBERED_S: i64 = 120;
/// Somebody who said no.
pub const NO_REMEMBERED_S: i64 = 600;

/// Why this courier cannot be asked to bring this job, as far as rows tell.
#[must_use]
pub fn why_not(job: &Job, id: CourierId, account: &Courier, presence: &Presence, rules: &Rules, now: Timestamp) -> Option<WhyNot> {
    off_duty(job.request.city, account, presence, now)
        .or_else(|| barred(job, id, now))
        .or_else(|| presence.asked.is_some().then_some(WhyNot::Asked))
        .or_else(|| hands(job, account, presence, rules))
}

/// Why nobody needs to think of this courier at all now.
#[must_use]
pub fn off_duty(city: CityId, account: &Courier, presence: &Presence, now: Timestamp) -> Option<WhyNot> {
    if account.status != Status::Active {
        return Some(WhyNot::NotActive);
    }
    if account.city != city {
        return Some(WhyNot::OtherCity);
    }
    match presence.availability {
        Availability::Online => (),
        Availability::Offline => return Some(WhyNot::Offline),
        Availability::Break => return Some(WhyNot::OnBreak),
    }
    presence.until.is_some_and(|until| until <= now).then_some(WhyNot::EndsBefore)
}

/// What happened between this job and this courier.
#[must_use]
pub fn barred(job: &Job, id: CourierId, now: Timestamp) -> Option<WhyNot> {
    let theirs = job.refused.iter().filter(|refused| refused.courier == id);
    theirs.filter_map(|refused| remembered(refused.why, now.ms_since(refused.at))).next()
}

/// What is in their hands already.
fn hands(job: &Job, account: &Courier, presence: &Presence, rules: &Rules) -> Option<WhyNot> {
    let request = &job.request;
    // One way at a time, unless it is the same counter and nothing has left it yet.
    if presence.carries.iter().any(|carried| carried.picked_up || carried.merchant != request.merchant) {
        return Some(WhyNot::Busy);
    }
    burden(job, account, presence, rules)
}

/// What they can carry, in goods and in cash.
fn burden(job: &Job, account: &Courier, presence: &Presence, rules: &Rules) -> Option<WhyNot> {
    let request = &job.request;
    if !has_room(presence, account.capacity, request.size) {
        return Some(WhyNot::Full);
    }
    // Cash of what is under way. What was handed in or is still held from before is the wallet's business.
    let cash = request.cash_due.map_or(0, |cash| cash.amount);
    if cash > 0 && rules.cash_limit.is_some_and(|limit| presence.cash().saturating_add(cash) > limit) {
        return Some(WhyNot::Cash);
    }
    None
}

/// Why an operator cannot give this to them either. What they said of it and which way they go already is the operator's to weigh.
#[must_use]
pub fn by_hand(job: &Job, account: &Courier, presence: &Presence, rules: &Rules, now: Timestamp) -> Option<WhyNot> {
    off_duty(job.request.city, account, presence, now).or_else(|| burden(job, account, presence, rules))
}

/// How a job looks in the hands of whoever takes it.
#[must_use]
pub fn carried(job: &Job) -> Carried {
    let request = &job.request;
    Carried {
        subject: request.subject,
        merchant: request.merchant,
        size: request.size,
        cash: request.cash_due.map_or(0, |cash| cash.amount),
        picked_up: false,
    }
}

fn remembered(why: RefusedBecause, since_ms: i64) -> Option<WhyNot> {
    let within = |seconds: i64| since_ms < seconds * 1000;
    match why {
        RefusedBecause::Declined => within(NO_REMEMBERED_S).then_some(WhyNot::Declined),
        RefusedBecause::Lapsed => within(SILENCE_REMEMBERED_S).then_some(WhyNot::Lapsed),
        RefusedBecause::Unseen => within(SILENCE_REMEMBERED_S).then_some(WhyNot::Unseen),
        RefusedBecause::Released => Some(WhyNot::Released),
        RefusedBecause::ByHand => within(NO_REMEMBERED_S).then_some(WhyNot::ByHand),
        RefusedBecause::Silent => within(SILENCE_REMEMBERED_S).then_some(WhyNot::Silent),
    }
}
