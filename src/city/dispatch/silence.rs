//! Couriers whose devices have fallen silent: marked, given a grace, and what they have not picked up is looked after by others.
//!
//! Who is silent is found out beside the log, by the machine's steady clock ([`super::watch`]); what follows is these commands, which look again at what
//! the rows say. The grace is a timer of the log's time, so it is the same after a crash and on a promoted follower.
//!
//! ```text
//!   heard ── nothing for `silent_seconds` ──► silent: no offers; a live one is taken back; what is in the bag is on the operators' list
//!     ▲                                          │
//!     └──────────── any sign of life ────────────┤
//!                                                └── `grace_seconds` later: what is not picked up is released, with the reason in the order's history
//! ```

use serde_json::json;
use storage::Timestamp;

use super::jobs;
use super::model::{OfferId, RefusedBecause, SubjectId};
use super::{offers, planted};
use crate::city::cities::CityId;
use crate::city::couriers::model::{PRESENCES, SILENCES};
use crate::city::couriers::{self, Availability, CourierId, Silence, hours};
use crate::city::place::Place;
use crate::engine::{Event, Fault, FiredTimer, Timer, Tx};

/// Ends a silent courier's grace. Wire it to [`on_grace_over`].
pub const TIMER_GRACE: &str = "dispatch.silence_grace";
/// On the operators' list, by order: its courier has it in the bag and is silent.
pub const ATTENTION: &str = "courier_silent";
/// Jobs that are taken from a silent courier in one command; each sets off a few events.
const RELEASED_MAX: usize = 16;

/// A courier fell silent, or was heard of again.
#[derive(Clone, Debug, PartialEq)]
pub struct SilenceChanged {
    pub courier: CourierId,
    pub city: CityId,
    /// When the device was last heard of, if it is silent now.
    pub since: Option<Timestamp>,
}

impl Event for SilenceChanged {
    fn name(&self) -> &'static str {
        match self.since {
            Some(_) => "CourierSilent",
            None => "CourierHeard",
        }
    }

    fn topics(&self) -> Vec<String> {
        vec![format!("courier:{}", self.courier), format!("city:{}", self.city)]
    }

    fn data(&self) -> serde_json::Value {
        json!({ "courier_id": self.courier.to_string(), "heard_at": self.since.map(|at| at.to_string()) })
    }
}

/// What the watch found out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lost {
    /// Where the courier was last.
    pub last: Option<Place>,
    /// For how long nothing was heard.
    pub after_s: u32,
    /// How long they have to come back.
    pub grace_s: i64,
}

/// Nothing was heard of a courier for too long. Whether that matters: somebody who is offline, on a break with empty hands, or silent already is left
/// alone.
pub fn lost(tx: &mut Tx, courier: CourierId, lost: Lost) -> bool {
    let Some(account) = couriers::get(tx, courier) else { return false };
    let presence = couriers::presence(tx, courier);
    let rests = match presence.availability {
        Availability::Online => false,
        Availability::Break => presence.carries.is_empty(),
        Availability::Offline => true,
    };
    if rests || SILENCES.has(tx, &courier) {
        return false;
    }
    let now = tx.now();
    hours::count(tx, courier, &presence);
    PRESENCES.put(tx, &courier, &couriers::Presence { changed_at: now, ..presence.clone() });
    let grace = tx.schedule(now.plus_s(lost.grace_s), Timer::new(TIMER_GRACE, courier.as_u128()));
    let silence = Silence { since: now, after_s: lost.after_s, last: lost.last, grace: Some(grace) };
    SILENCES.put(tx, &courier, &silence);
    if let Some(offer) = presence.asked {
        offers::void(tx, OfferId::from_u128(offer), Some(RefusedBecause::Unseen), "the courier's device fell silent");
    }
    for carried in presence.carries.iter().filter(|carried| carried.picked_up) {
        tell_operators(tx, courier, carried.subject, &silence);
    }
    tx.emit(SilenceChanged { courier, city: account.city, since: Some(silence.heard_at()) });
    true
}

/// What is in the bag of somebody silent is for a person to find.
pub(super) fn tell_operators(tx: &mut Tx, courier: CourierId, subject: u128, silence: &Silence) {
    let last = silence
        .last
        .map(Place::point)
        .map_or_else(|| "nobody knows where".to_owned(), |point| format!("last seen at {:.5}, {:.5}", point.lat(), point.lon()));
    let reason = format!("{courier} has it in the bag and was not heard of since {}; {last}", silence.heard_at());
    tx.attention(
        ATTENTION,
        &SubjectId::from_u128(subject).to_string(),
        reason,
        &["call the courier", "POST /v1/dispatch/orders/{id}/assign", "POST /v1/orders/{id}/cancel"],
    );
}

/// The silence is over, without a word about it. Whether there was one.
pub fn end(tx: &mut Tx, courier: CourierId) -> bool {
    let Some(silence) = SILENCES.get(tx, &courier) else { return false };
    if let Some(grace) = silence.grace {
        tx.cancel(grace);
    }
    SILENCES.delete(tx, &courier);
    for carried in couriers::presence(tx, courier).carries {
        tx.settle_attention(ATTENTION, &SubjectId::from_u128(carried.subject).to_string());
    }
    true
}

/// The courier was heard of again: what they still have they bring, and they can be asked.
pub fn back(tx: &mut Tx, courier: CourierId) {
    if !end(tx, courier) {
        return;
    }
    let Some(account) = couriers::get(tx, courier) else { return };
    // The silence was no work: from now on it is.
    let presence = couriers::Presence { changed_at: tx.now(), ..couriers::presence(tx, courier) };
    PRESENCES.put(tx, &courier, &presence);
    tx.emit(SilenceChanged { courier, city: account.city, since: None });
    if presence.availability == Availability::Online {
        jobs::somebody_free(tx, account.city);
    }
}

/// Handler of [`TIMER_GRACE`].
///
/// # Errors
/// [`Fault`] if hands and jobs disagree: a bug.
pub fn on_grace_over(tx: &mut Tx, timer: &FiredTimer) -> Result<(), Fault> {
    let courier = CourierId::from_u128(timer.subject);
    let Some(silence) = SILENCES.get(tx, &courier).filter(|silence| silence.grace.is_some_and(|grace| grace.at <= tx.now())) else {
        return Ok(());
    };
    if planted::is(planted::SILENT_KEEPS) {
        return Ok(());
    }
    let carries = couriers::presence(tx, courier).carries;
    let waiting: Vec<u128> = carries.iter().filter(|carried| !carried.picked_up).map(|carried| carried.subject).collect();
    let reason = format!("the courier was not heard of since {}", silence.heard_at());
    for subject in waiting.iter().take(RELEASED_MAX) {
        jobs::take_from(tx, *subject, courier, RefusedBecause::Silent, &reason).map_err(|refusal| Fault::new(refusal.to_string()))?;
    }
    let grace = (waiting.len() > RELEASED_MAX).then(|| tx.schedule(tx.now().plus_ms(1), Timer::new(TIMER_GRACE, courier.as_u128())));
    // Emptying the hands may have ended a shift, and the silence with it.
    if SILENCES.has(tx, &courier) {
        SILENCES.put(tx, &courier, &Silence { grace, ..silence });
    }
    Ok(())
}
