//! What couriers and operators do with shifts, and what time does.

use serde_json::json;
use storage::{Read, Timestamp};

use super::model::{
    AHEAD_S_MAX, EARLY_S, LATE_S, LENGTH_S_MAX, LENGTH_S_MIN, PLANNED_MAX, Refusal, SHIFTS, SHIFTS_LIVE, Shift, ShiftId, ShiftState,
};
use crate::city::couriers::{self, Availability, CourierId, Status};
use crate::engine::{Event, Fault, FiredTimer, Timer, Tx};

/// Follows a shift from step to step. Wire it to [`on_due`].
pub const TIMER: &str = "shifts.due";
/// On the operators' list, by shift: its courier has not come.
pub const ATTENTION: &str = "shift_not_begun";

/// Something happened to a shift.
#[derive(Clone, Debug, PartialEq)]
pub struct ShiftChanged {
    pub id: ShiftId,
    pub shift: Shift,
    pub name: &'static str,
}

impl Event for ShiftChanged {
    fn name(&self) -> &'static str {
        self.name
    }

    fn topics(&self) -> Vec<String> {
        vec![format!("courier:{}", self.shift.courier), format!("city:{}", self.shift.city)]
    }

    fn data(&self) -> serde_json::Value {
        json!({
            "shift_id": self.id.to_string(),
            "courier_id": self.shift.courier.to_string(),
            "starts_at": self.shift.starts_at.to_string(),
            "ends_at": self.shift.ends_at.to_string(),
            "status": self.shift.state,
        })
    }
}

fn keep(tx: &mut Tx, id: ShiftId, shift: &Shift, name: &'static str) {
    SHIFTS.put(tx, &id, shift);
    tx.emit(ShiftChanged { id, shift: shift.clone(), name });
}

fn wake(tx: &mut Tx, id: ShiftId, at: Timestamp) {
    tx.schedule(at, Timer::new(TIMER, id.as_u128()));
}

/// A courier's shifts ahead and under way, the soonest first.
pub fn live(read: &(impl Read + ?Sized), courier: CourierId) -> impl Iterator<Item = (ShiftId, Shift)> + '_ {
    SHIFTS.find(read, &SHIFTS_LIVE, &courier)
}

/// Plans a shift of a courier.
///
/// # Errors
/// [`Refusal::NoCourier`], [`Refusal::NotActive`]; [`Refusal::Start`] and [`Refusal::Length`] for times that cannot be; [`Refusal::Overlaps`],
/// [`Refusal::TooMany`]; [`Refusal::Denied`].
pub fn plan(tx: &mut Tx, courier: CourierId, starts_at: Timestamp, ends_at: Timestamp) -> Result<(ShiftId, Shift), Refusal> {
    let now = tx.now();
    let length_s = ends_at.ms_since(starts_at) / 1000;
    if starts_at <= now || starts_at.ms_since(now) > AHEAD_S_MAX * 1000 {
        return Err(Refusal::Start);
    }
    if !(LENGTH_S_MIN..=LENGTH_S_MAX).contains(&length_s) {
        return Err(Refusal::Length);
    }
    let account = couriers::get(tx, courier).ok_or(Refusal::NoCourier)?;
    tx.authorize(&couriers::commands::question("couriers.shifts", courier, &account))?;
    if account.status != Status::Active {
        return Err(Refusal::NotActive);
    }
    let others: Vec<(ShiftId, Shift)> = live(tx, courier).collect();
    if others.len() >= PLANNED_MAX {
        return Err(Refusal::TooMany);
    }
    if others.iter().any(|(_, other)| starts_at < other.ends_at && other.starts_at < ends_at) {
        return Err(Refusal::Overlaps);
    }
    let id: ShiftId = tx.new_id();
    let by = tx.caller().user_id();
    let shift = Shift { courier, city: account.city, starts_at, ends_at, state: ShiftState::Planned, begun_at: None, by };
    keep(tx, id, &shift, "ShiftPlanned");
    wake(tx, id, starts_at.minus_s(EARLY_S).max(now.plus_ms(1)));
    Ok((id, shift))
}

/// The shift will not be, or ends without its end.
///
/// # Errors
/// [`Refusal::Unknown`]; [`Refusal::Over`]; [`Refusal::Denied`].
pub fn cancel(tx: &mut Tx, id: ShiftId) -> Result<Shift, Refusal> {
    let before = SHIFTS.get(tx, &id).ok_or(Refusal::Unknown)?;
    let account = couriers::get(tx, before.courier).ok_or(Refusal::Unknown)?;
    tx.authorize(&couriers::commands::question("couriers.shifts", before.courier, &account))?;
    if !before.state.is_live() {
        return Err(Refusal::Over);
    }
    let shift = Shift { state: ShiftState::Cancelled, ..before };
    tx.settle_attention(ATTENTION, &id.to_string());
    keep(tx, id, &shift, "ShiftCancelled");
    Ok(shift)
}

/// A courier says that they work, or rest, from now on: the shift that this is part of has begun. Until when they work by it.
pub fn present(tx: &mut Tx, courier: CourierId, availability: Availability) -> Option<Timestamp> {
    let now = tx.now();
    let (id, shift) = live(tx, courier).find(|(_, shift)| shift.starts_at.minus_s(EARLY_S) <= now && now < shift.ends_at)?;
    match (availability, shift.state) {
        (Availability::Online, ShiftState::Planned) => Some(begin(tx, id, &shift)),
        (Availability::Online | Availability::Break, ShiftState::Begun) => Some(shift.ends_at),
        (Availability::Break, ShiftState::Planned)
        | (Availability::Offline, _)
        | (_, ShiftState::Ended | ShiftState::Missed | ShiftState::Cancelled) => None,
    }
}

/// A courier's time is over: a planned shift that begins now, or has begun without them, is begun by who works already. Until when they work by it.
pub fn next(tx: &mut Tx, courier: CourierId) -> Option<Timestamp> {
    let now = tx.now();
    let follows = |shift: &Shift| shift.state == ShiftState::Planned && shift.starts_at <= now && now < shift.ends_at;
    let (id, shift) = live(tx, courier).find(|(_, shift)| follows(shift))?;
    Some(begin(tx, id, &shift))
}

fn begin(tx: &mut Tx, id: ShiftId, shift: &Shift) -> Timestamp {
    let begun = Shift { state: ShiftState::Begun, begun_at: Some(tx.now()), ..shift.clone() };
    tx.settle_attention(ATTENTION, &id.to_string());
    keep(tx, id, &begun, "ShiftBegun");
    shift.ends_at
}

/// Handler of [`TIMER`]: reminds, expects, misses, ends.
///
/// # Errors
/// None: a shift that is over is left alone.
pub fn on_due(tx: &mut Tx, timer: &FiredTimer) -> Result<(), Fault> {
    let id = ShiftId::from_u128(timer.subject);
    let Some(shift) = SHIFTS.get(tx, &id).filter(|shift| shift.state.is_live()) else { return Ok(()) };
    let now = tx.now();
    let is_planned = shift.state == ShiftState::Planned;
    let late_at = shift.starts_at.plus_s(LATE_S);
    if now >= shift.ends_at {
        let (state, name) = if is_planned { (ShiftState::Missed, "ShiftMissed") } else { (ShiftState::Ended, "ShiftEnded") };
        tx.settle_attention(ATTENTION, &id.to_string());
        keep(tx, id, &Shift { state, ..shift }, name);
    } else if now >= late_at {
        if is_planned {
            let reason = format!("{} was to begin at {} and is not online", shift.courier, shift.starts_at);
            tx.attention(ATTENTION, &id.to_string(), reason, &["call the courier", "POST /v1/shifts/{id}/cancel"]);
        }
        wake(tx, id, shift.ends_at);
    } else if now >= shift.starts_at {
        // Who works already has come; they go on until its end, unless they said when they stop.
        let presence = couriers::presence(tx, shift.courier);
        if is_planned && presence.availability == Availability::Online {
            let until = begin(tx, id, &shift);
            couriers::commands::works_until(tx, shift.courier, until);
        }
        wake(tx, id, late_at);
    } else {
        if is_planned {
            tx.emit(ShiftChanged { id, shift: shift.clone(), name: "ShiftSoon" });
        }
        wake(tx, id, shift.starts_at);
    }
    Ok(())
}
