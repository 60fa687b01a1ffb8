//! Accounts and presence; and how dispatch moves a courier's hands.

use serde_json::json;
use storage::{Read, Timestamp};

use super::machine::{self, Account, Command};
use super::model::{Availability, CAPACITY_MAX, COURIERS, Courier, CourierId, PRESENCES, Presence, Refusal, Status, Vehicle};
use super::{hours, views};
use crate::city::cities::{self, CityId};
use crate::city::dispatch;
use crate::city::place::Place;
use crate::city::shifts;
use crate::city::tracking::doubt;
use crate::engine::{Caller, Denied, Event, Fault, FiredTimer, Question, Resource, Timer, Tx, UserId};
use crate::people::users::{self, Role};

/// A courier's account or presence changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CourierChanged {
    pub courier: CourierId,
    pub city: CityId,
    pub status: Status,
    pub availability: Availability,
}

impl Event for CourierChanged {
    fn name(&self) -> &'static str {
        "CourierChanged"
    }
    fn topics(&self) -> Vec<String> {
        vec![format!("courier:{}", self.courier), format!("city:{}", self.city)]
    }
    fn data(&self) -> serde_json::Value {
        json!({"courier_id": self.courier.to_string(), "status": self.status, "presence": self.availability})
    }
}

/// A question about a courier.
#[must_use]
pub fn question(action: &'static str, id: CourierId, courier: &Courier) -> Question {
    let resource = Resource::new("Courier", id).with("user", courier.user.to_string()).with("city", courier.city.to_string());
    Question::new(action, resource)
}

/// The courier that the caller is.
///
/// # Errors
/// [`Denied::Forbidden`] for somebody who is none.
pub fn of_caller(read: &(impl Read + ?Sized), caller: &Caller) -> Result<(CourierId, Courier), Denied> {
    let user = caller.user_id().ok_or(Denied::Unauthenticated)?;
    views::of_user(read, user).ok_or(Denied::Forbidden)
}

/// Who wants to be, or is made, a courier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCourier {
    /// `None`: the caller.
    pub user: Option<UserId>,
    pub city: CityId,
    pub vehicle: Vehicle,
    pub capacity: u32,
    pub plate: Option<String>,
}

/// Makes a courier: active if an administrator asks, pending if they ask for themselves.
///
/// # Errors
/// [`Refusal::Exists`], [`Refusal::CityUnknown`], [`Refusal::UserUnknown`]; [`Refusal::Denied`].
pub fn create(tx: &mut Tx, new: NewCourier) -> Result<(CourierId, Courier), Refusal> {
    assert!((1..=CAPACITY_MAX).contains(&new.capacity), "the edge checks the capacity");
    let caller = tx.caller().user_id();
    let user = new.user.or(caller).ok_or(Denied::Unauthenticated)?;
    let id: CourierId = tx.new_id();
    let by_admin = caller.is_none() || caller.and_then(|caller| users::get(tx, caller)).is_some_and(|caller| caller.has(Role::Admin));
    let status = if by_admin { Status::Active } else { Status::Pending };
    let courier = Courier {
        user,
        city: new.city,
        vehicle: new.vehicle,
        capacity: new.capacity,
        plate: new.plate,
        status,
        version: 1,
        created_at: tx.now(),
    };
    tx.authorize(&question("couriers.create", id, &courier))?;
    cities::get(tx, new.city).ok_or(Refusal::CityUnknown)?;
    users::get(tx, user).ok_or(Refusal::UserUnknown)?;
    if views::of_user(tx, user).is_some() {
        return Err(Refusal::Exists);
    }
    COURIERS.put(tx, &id, &courier);
    users::bind_courier(tx, user, id.as_u128()).map_err(|_| Refusal::UserUnknown)?;
    activated(tx, &courier)?;
    changed(tx, id, &courier, Availability::Offline);
    Ok((id, courier))
}

fn activated(tx: &mut Tx, courier: &Courier) -> Result<(), Refusal> {
    match courier.status {
        Status::Active => users::grant_role(tx, courier.user, Role::Courier).map_err(|_| Refusal::UserUnknown),
        Status::Pending | Status::Suspended => Ok(()),
    }
}

fn changed(tx: &mut Tx, id: CourierId, courier: &Courier, availability: Availability) {
    tx.emit(CourierChanged { courier: id, city: courier.city, status: courier.status, availability });
}

/// Changes an account. Somebody who may no longer work is taken off offers, and offline as soon as their hands are empty.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::Stale`] for an old `if_match`, [`Refusal::HasActiveOrders`] for a move to another city; [`Refusal::Denied`].
pub fn edit(tx: &mut Tx, id: CourierId, if_match: Option<u64>, change: impl FnOnce(&mut Courier)) -> Result<Courier, Refusal> {
    let before = views::get(tx, id).ok_or(Refusal::Unknown)?;
    tx.authorize(&question("couriers.edit", id, &before))?;
    if if_match.is_some_and(|version| version != before.version) {
        return Err(Refusal::Stale { current: before.version });
    }
    let mut courier = before.clone();
    change(&mut courier);
    if courier == before {
        return Ok(before);
    }
    cities::get(tx, courier.city).ok_or(Refusal::CityUnknown)?;
    if courier.city != before.city && !views::presence(tx, id).carries.is_empty() {
        return Err(Refusal::HasActiveOrders);
    }
    courier.version += 1;
    COURIERS.put(tx, &id, &courier);
    let leaves = courier.status != Status::Active || courier.city != before.city;
    // What they are asked to take on might not fit any more.
    if leaves || courier.capacity < before.capacity {
        dispatch::offers::void_of(tx, id, "the account changed");
    }
    if leaves {
        stop_work(tx, id);
    }
    activated(tx, &courier)?;
    let availability = views::presence(tx, id).availability;
    changed(tx, id, &courier, availability);
    Ok(courier)
}

/// A person was erased: nobody works on this account any more, and its plate is theirs.
///
/// # Errors
/// Never; the signature is the engine's.
pub fn on_user(tx: &mut Tx, happened: &users::Happened) -> Result<(), Fault> {
    let found = views::of_user(tx, happened.user).filter(|_| happened.what == users::What::Erased);
    let Some((id, before)) = found else { return Ok(()) };
    let courier = Courier { status: Status::Suspended, plate: None, version: before.version + 1, ..before };
    COURIERS.put(tx, &id, &courier);
    dispatch::offers::void_of(tx, id, "the account has ended");
    stop_work(tx, id);
    let availability = views::presence(tx, id).availability;
    changed(tx, id, &courier, availability);
    Ok(())
}

/// No new jobs; what is in their hands they bring.
fn stop_work(tx: &mut Tx, id: CourierId) {
    let mut presence = views::presence(tx, id);
    if presence.availability != Availability::Offline {
        hours::count(tx, id, &presence);
        presence.availability = if presence.carries.is_empty() { Availability::Offline } else { Availability::Break };
        presence.changed_at = tx.now();
        PRESENCES.put(tx, &id, &presence);
        if presence.availability == Availability::Offline {
            gone(tx, id);
        }
    }
}

/// What a courier says they do now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    pub availability: Availability,
    pub until: Option<Timestamp>,
    pub position: Option<Place>,
}

/// The caller says what they do now. Who stops takes no offer with them; who starts is looked at for what found nobody.
///
/// # Errors
/// [`Refusal::NotActive`], [`Refusal::HasActiveOrders`], [`Refusal::UntilPassed`]; [`Refusal::Denied`].
pub fn report(tx: &mut Tx, report: Report) -> Result<(CourierId, Courier, Presence), Refusal> {
    let (id, courier) = of_caller(tx, tx.caller())?;
    tx.authorize(&question("couriers.presence", id, &courier))?;
    if report.availability != Availability::Online {
        dispatch::offers::void_of(tx, id, "the courier stopped work");
    }
    let Report { availability, until, position } = report;
    // In a shift of theirs they work until its end, unless they say otherwise.
    let until = until.or(shifts::commands::present(tx, id, availability));
    let before = views::presence(tx, id);
    apply(tx, id, &Command::Report { availability, until, position })?;
    hours::count(tx, id, &before);
    match availability {
        Availability::Offline => gone(tx, id),
        Availability::Online | Availability::Break => dispatch::silence::back(tx, id),
    }
    if let Some(until) = until {
        tx.schedule(until, Timer::new(TIMER_SHIFT_END, id.as_u128()));
    }
    if availability == Availability::Online {
        dispatch::jobs::somebody_free(tx, courier.city);
    }
    changed(tx, id, &courier, availability);
    let presence = views::presence(tx, id);
    Ok((id, courier, presence))
}

/// Moves a courier's presence or hands. Part of another, decided command.
///
/// # Errors
/// The machine's refusal; [`Refusal::Unknown`] for nobody.
pub fn apply(tx: &mut Tx, id: CourierId, command: &Command) -> Result<Presence, Refusal> {
    let courier = views::get(tx, id).ok_or(Refusal::Unknown)?;
    let account = Account { status: courier.status, capacity: courier.capacity };
    let presence = machine::apply(&views::presence(tx, id), account, command, tx.now())?;
    PRESENCES.put(tx, &id, &presence);
    match command {
        Command::PutDown { .. } if presence.carries.is_empty() => Ok(hands_empty(tx, id, &courier, presence)),
        Command::PutDown { .. }
        | Command::Report { .. }
        | Command::Ask { .. }
        | Command::Answer { .. }
        | Command::TakeOn(_)
        | Command::PickUp { .. } => Ok(presence),
    }
}

/// The last job is out of their hands: the break they asked for begins now, and a shift that is over ends.
fn hands_empty(tx: &mut Tx, id: CourierId, courier: &Courier, presence: Presence) -> Presence {
    let is_over = presence.until.is_some_and(|until| until <= tx.now()) || courier.status != Status::Active;
    match presence.availability {
        Availability::Online | Availability::Break if is_over => rest(tx, id, courier, Availability::Offline, true),
        Availability::Break => rest(tx, id, courier, Availability::Break, true),
        Availability::Online | Availability::Offline => presence,
    }
}

/// From now on they do nothing for us; `worked`: up to now they did.
fn rest(tx: &mut Tx, id: CourierId, courier: &Courier, next: Availability, worked: bool) -> Presence {
    let before = views::presence(tx, id);
    if worked {
        hours::count(tx, id, &Presence { availability: Availability::Online, ..before });
    }
    if next == Availability::Offline {
        dispatch::offers::void_of(tx, id, "the shift is over");
        gone(tx, id);
    }
    let presence = Presence { availability: next, changed_at: tx.now(), ..views::presence(tx, id) };
    PRESENCES.put(tx, &id, &presence);
    changed(tx, id, courier, next);
    presence
}

/// Whoever has gone home owes nobody a sign of life, and their positions are nobody's business.
fn gone(tx: &mut Tx, id: CourierId) {
    dispatch::silence::end(tx, id);
    tx.settle_attention(doubt::ATTENTION, &id.to_string());
}

/// A courier who is online and has not said until when works until then.
pub fn works_until(tx: &mut Tx, id: CourierId, until: Timestamp) {
    let presence = views::presence(tx, id);
    if presence.until.is_none() {
        PRESENCES.put(tx, &id, &Presence { until: Some(until), ..presence });
        tx.schedule(until, Timer::new(TIMER_SHIFT_END, id.as_u128()));
    }
}

/// Ends a shift at its `until`. Wire it to [`on_shift_end`].
pub const TIMER_SHIFT_END: &str = "couriers.shift_end";

/// Handler of [`TIMER_SHIFT_END`]: who has nothing in hand goes offline; who carries something does so when it is brought.
///
/// # Errors
/// None: a shift that was ended or made longer meanwhile is left alone.
pub fn on_shift_end(tx: &mut Tx, timer: &FiredTimer) -> Result<(), Fault> {
    let id = CourierId::from_u128(timer.subject);
    let presence = views::presence(tx, id);
    let is_over = presence.until.is_some_and(|until| until <= tx.now());
    let Some(courier) = views::get(tx, id).filter(|_| is_over) else { return Ok(()) };
    if presence.availability == Availability::Online
        && let Some(until) = shifts::commands::next(tx, id)
    {
        PRESENCES.put(tx, &id, &Presence { until: Some(until), ..presence });
        tx.schedule(until, Timer::new(TIMER_SHIFT_END, id.as_u128()));
        return Ok(());
    }
    match presence.availability {
        Availability::Offline => (),
        Availability::Online | Availability::Break if presence.carries.is_empty() => {
            rest(tx, id, &courier, Availability::Offline, presence.availability == Availability::Online);
        }
        Availability::Online | Availability::Break => dispatch::offers::void_of(tx, id, "the shift is over"),
    }
    Ok(())
}

/// [`apply`] where a refusal would mean that job and hands disagree.
///
/// # Errors
/// [`Fault`]: a bug.
pub fn must_apply(tx: &mut Tx, id: CourierId, command: &Command) -> Result<Presence, Fault> {
    apply(tx, id, command).map_err(|refusal| Fault::new(format!("the hands of {id} and dispatch disagree on {command:?}: {refusal}")))
}
