//! Asking, changing one's mind, and the act itself.

use std::collections::BTreeSet;

use super::{ERASURES, Erasure, GRACE_S, POSTPONED_S, Refusal};
use crate::engine::{Fault, FiredTimer, Question, Resource, Timer, Tx, UserId};
use crate::people::identity::sessions;
use crate::people::keyring;
use crate::people::users::{self, Role, USERS};

/// Ends the time to change one's mind. Wire it to [`on_due`].
pub const TIMER: &str = "people.erasure";
/// On the operators' list, by person: they cannot be erased yet.
pub const ATTENTION: &str = "erasure_postponed";

fn question(tx: &Tx, user: UserId) -> Question {
    // One's own is one's own; anybody else's is for administrators.
    let action = if tx.caller().user_id() == Some(user) { "me.erase" } else { "users.erase" };
    Question::new(action, Resource::new("User", user))
}

/// Somebody is to be erased in two weeks.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::Asked`], [`Refusal::Erased`], [`Refusal::LastAdmin`]; [`Refusal::Denied`].
pub fn ask(tx: &mut Tx, user: UserId) -> Result<Erasure, Refusal> {
    tx.authorize(&question(tx, user))?;
    let row = USERS.get(tx, &user).ok_or(Refusal::Unknown)?;
    match ERASURES.get(tx, &user) {
        Some(Erasure { erased_at: Some(_), .. }) => return Err(Refusal::Erased),
        Some(_) => return Err(Refusal::Asked),
        None => (),
    }
    if row.has(Role::Admin) && users::is_last_admin(tx) {
        return Err(Refusal::LastAdmin);
    }
    let (asked_at, by) = (tx.now(), tx.caller().user_id());
    let due_at = asked_at.plus_s(GRACE_S);
    let timer = Some(tx.schedule(due_at, Timer::new(TIMER, user.as_u128())));
    let erasure = Erasure { asked_at, by, due_at, timer, erased_at: None };
    ERASURES.put(tx, &user, &erasure);
    Ok(erasure)
}

/// They stay after all.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::NotAsked`], [`Refusal::Erased`]; [`Refusal::Denied`].
pub fn withdraw(tx: &mut Tx, user: UserId) -> Result<(), Refusal> {
    tx.authorize(&question(tx, user))?;
    USERS.get(tx, &user).ok_or(Refusal::Unknown)?;
    let erasure = ERASURES.get(tx, &user).ok_or(Refusal::NotAsked)?;
    if erasure.erased_at.is_some() {
        return Err(Refusal::Erased);
    }
    if let Some(timer) = erasure.timer {
        tx.cancel(timer);
    }
    tx.settle_attention(ATTENTION, &user.to_string());
    ERASURES.delete(tx, &user);
    Ok(())
}

/// Handler of [`TIMER`]. `busy` says what somebody has under way, in a few words.
///
/// # Errors
/// [`Fault`] if the key cannot be overwritten: tried again, then on the operators' list.
pub fn on_due(tx: &mut Tx, timer: &FiredTimer, busy: impl FnOnce(&Tx, UserId) -> Option<String>) -> Result<(), Fault> {
    let user = UserId::from_u128(timer.subject);
    let now = tx.now();
    let is_due = |erasure: &Erasure| erasure.erased_at.is_none() && erasure.due_at <= now;
    let Some(erasure) = ERASURES.get(tx, &user).filter(is_due) else { return Ok(()) };
    let is_last_admin = USERS.get(tx, &user).is_some_and(|row| row.has(Role::Admin)) && users::is_last_admin(tx);
    let reason = if is_last_admin { Some("nobody else is an administrator".to_owned()) } else { busy(tx, user) };
    if let Some(reason) = reason {
        let due_at = now.plus_s(POSTPONED_S);
        let timer = Some(tx.schedule(due_at, Timer::new(TIMER, user.as_u128())));
        ERASURES.put(tx, &user, &Erasure { due_at, timer, ..erasure });
        tx.attention(ATTENTION, &user.to_string(), format!("{user} cannot be erased yet: {reason}"), &["finish what is under way"]);
        return Ok(());
    }
    let slot = USERS.get(tx, &user).map(|row| row.slot);
    // The key first: should this commit be lost, the timer comes again and finds it gone already.
    if let Some(slot) = slot {
        keyring::erase_of(tx, slot).map_err(|error| Fault::new(format!("people.keys: {error}")))?;
    }
    tx.settle_attention(ATTENTION, &user.to_string());
    ERASURES.put(tx, &user, &Erasure { timer: None, erased_at: Some(now), ..erasure });
    forget(tx, user)
}

/// What finds somebody, lets them in and lets them act.
fn forget(tx: &mut Tx, user: UserId) -> Result<(), Fault> {
    sessions::forget_all(tx, user);
    crate::people::identity::password::remove(tx, user);
    users::forget(tx, user).map_err(|refusal| Fault::new(refusal.to_string()))
}

/// Persons that one command empties: each means a few events.
const AGAIN_MAX: usize = 32;

/// Whoever has an erased key and a row that still finds them: this copy is older than their erasure. Returns how many were emptied; ask again until there
/// was none.
///
/// # Errors
/// [`Fault`] if a row is gone meanwhile: a bug.
pub fn again(tx: &mut Tx, slots: &BTreeSet<u64>) -> Result<u64, Fault> {
    let still = USERS.scan(tx).filter(|(_, row)| slots.contains(&row.slot) && !row.is_forgotten());
    let still: Vec<UserId> = still.map(|(id, _)| id).take(AGAIN_MAX).collect();
    let now = tx.now();
    for user in &still {
        let before = ERASURES.get(tx, user);
        if let Some(timer) = before.as_ref().and_then(|erasure| erasure.timer) {
            tx.cancel(timer);
        }
        let asked = before.unwrap_or(Erasure { asked_at: now, by: None, due_at: now, timer: None, erased_at: None });
        ERASURES.put(tx, user, &Erasure { timer: None, erased_at: Some(now), ..asked });
        forget(tx, *user)?;
    }
    Ok(still.len() as u64)
}
