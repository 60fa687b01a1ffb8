//! What a command can do.

use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use storage::{Direction, Key, Read, Timestamp, Txn, Value};

use super::attention::{ATTENTION, Attention};
use super::caller::{Caller, Principal};
use super::decision::{Authorize, Cause, Decision, Denied, Question};
use super::effect::{Effect, EffectId, EffectRow, EffectState, OUTBOX};
use super::event::Event;
use super::timer::{FiredTimer, TIMERS, Timer, TimerId};

/// A running command's transaction: storage's [`Txn`], and the decision, events, timers and effects that commit with it.
pub struct Tx<'t, 's> {
    txn: &'t mut Txn<'s>,
    caller: &'t Caller,
    authorize: &'t dyn Authorize,
    decision: Option<Decision>,
    pub(super) events: Vec<Arc<dyn Event>>,
}

impl<'t, 's> Tx<'t, 's> {
    pub(super) fn new(txn: &'t mut Txn<'s>, caller: &'t Caller, authorize: &'t dyn Authorize) -> Self {
        // The appliance's own doings are decided by being started inside the engine.
        let decision = match caller.principal {
            Principal::System(cause) => Some(Decision::System(Cause::new(cause))),
            Principal::Anonymous | Principal::User(_) => None,
        };
        Self { txn, caller, authorize, decision, events: Vec::new() }
    }

    /// Who asks.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        self.caller
    }

    /// The decision recorded so far.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }

    /// Asks the policy and records its permission.
    ///
    /// # Errors
    /// [`Denied`]; the caller passes it on, the command leaves nothing.
    pub fn authorize(&mut self, question: &Question) -> Result<(), Denied> {
        if matches!(self.caller.principal, Principal::System(_)) {
            return Ok(());
        }
        let policy = self.authorize.decide(&*self.txn, self.caller, question)?;
        self.decision = Some(Decision::Allowed { action: question.action, policy });
        Ok(())
    }

    /// Says what happened; reactions run after the command returned `Ok`, in the same commit.
    pub fn emit(&mut self, event: impl Event) {
        self.events.push(Arc::new(event));
    }

    /// Does something at `at` (at once if that has passed).
    pub fn schedule(&mut self, at: Timestamp, timer: Timer) -> TimerId {
        let id = self.txn.new_id();
        let Timer { kind, subject, data } = timer;
        TIMERS.put(self.txn, &(at, id), &FiredTimer { kind: kind.to_owned(), subject, data, at, failures: 0 });
        TimerId { at, id }
    }

    /// Takes a timer back; harmless if it has fired.
    pub fn cancel(&mut self, timer: TimerId) {
        TIMERS.delete(self.txn, &(timer.at, timer.id));
    }

    /// Sends something to the outside after the commit.
    pub fn effect(&mut self, effect: Effect) -> EffectId {
        let id = self.txn.new_id();
        let now = self.txn.now();
        let Effect { destination, subject, kind, body } = effect;
        let row = EffectRow {
            destination: destination.to_owned(),
            subject,
            kind: kind.to_owned(),
            body,
            state: EffectState::Pending,
            tries: 0,
            next_at: now,
            created_at: now,
            last_error: None,
        };
        OUTBOX.put(self.txn, &id, &row);
        id
    }

    /// Puts something on the operators' list (once per kind and subject; the first time stands).
    pub fn attention(&mut self, kind: &'static str, subject: &str, reason: impl Into<String>, actions: &[&str]) {
        let key = (kind.to_owned(), subject.to_owned());
        let since = ATTENTION.get(self.txn, &key).map_or(self.txn.now(), |row| row.since);
        let actions = actions.iter().map(ToString::to_string).collect();
        ATTENTION.put(self.txn, &key, &Attention { reason: reason.into(), since, actions });
    }

    /// Takes it off again.
    pub fn settle_attention(&mut self, kind: &'static str, subject: &str) {
        ATTENTION.delete(self.txn, &(kind.to_owned(), subject.to_owned()));
    }
}

impl<'s> Deref for Tx<'_, 's> {
    type Target = Txn<'s>;
    fn deref(&self) -> &Txn<'s> {
        self.txn
    }
}

impl DerefMut for Tx<'_, '_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.txn
    }
}

impl Read for Tx<'_, '_> {
    fn get_raw(&self, key: &[u8]) -> Option<Value> {
        self.txn.get_raw(key)
    }
    fn scan_raw<'a>(&'a self, from: &[u8], to: &[u8], direction: Direction) -> Box<dyn Iterator<Item = (Key, Value)> + 'a> {
        self.txn.scan_raw(from, to, direction)
    }
}

/// The event behind the trait object, if it is an `E`.
pub(super) fn downcast<E: Event>(event: &dyn Event) -> Option<&E> {
    (event as &dyn Any).downcast_ref()
}
