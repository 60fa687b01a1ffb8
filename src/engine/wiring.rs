//! Who reacts to whom: filled once, in the composition root.

use std::any::TypeId;
use std::collections::HashMap;

use super::effect::{Answered, SentEffect};
use super::event::Event;
use super::fault::Fault;
use super::timer::FiredTimer;
use super::tx::{Tx, downcast};

type Reaction = Box<dyn Fn(&mut Tx<'_, '_>, &dyn Event) -> Result<(), Fault> + Send + Sync>;
type OnTimer = Box<dyn Fn(&mut Tx<'_, '_>, &FiredTimer) -> Result<(), Fault> + Send + Sync>;
type OnAnswer = Box<dyn Fn(&mut Tx<'_, '_>, &SentEffect, &Answered) -> Result<(), Fault> + Send + Sync>;

/// Reactions, timers' and answers' handlers.
#[derive(Default)]
pub struct Wiring {
    reactions: HashMap<TypeId, Vec<Reaction>>,
    timers: HashMap<&'static str, OnTimer>,
    answers: HashMap<&'static str, OnAnswer>,
}

impl Wiring {
    /// Nobody reacts to anything yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// After each `E`, in the same commit, in the order of registration. A domain refusal is handled inside; a fault aborts the whole command.
    pub fn on<E: Event>(&mut self, react: impl Fn(&mut Tx<'_, '_>, &E) -> Result<(), Fault> + Send + Sync + 'static) {
        self.reactions.entry(TypeId::of::<E>()).or_default().push(Box::new(move |tx, event| match downcast::<E>(event) {
            Some(event) => react(tx, event),
            None => Ok(()),
        }));
    }

    /// What a timer of `kind` does when it is due.
    pub fn timer(
        &mut self,
        kind: &'static str,
        handle: impl Fn(&mut Tx<'_, '_>, &FiredTimer) -> Result<(), Fault> + Send + Sync + 'static,
    ) {
        assert!(self.timers.insert(kind, Box::new(handle)).is_none(), "the timer kind {kind} has two handlers");
    }

    /// What happens when `destination` has answered an effect, or will not.
    pub fn answer(
        &mut self,
        destination: &'static str,
        handle: impl Fn(&mut Tx<'_, '_>, &SentEffect, &Answered) -> Result<(), Fault> + Send + Sync + 'static,
    ) {
        assert!(self.answers.insert(destination, Box::new(handle)).is_none(), "the destination {destination} has two handlers");
    }

    pub(super) fn react(&self, tx: &mut Tx<'_, '_>, event: &dyn Event) -> Result<(), Fault> {
        let kind = std::any::Any::type_id(event);
        self.reactions.get(&kind).into_iter().flatten().try_for_each(|reaction| reaction(tx, event))
    }

    pub(super) fn fire(&self, tx: &mut Tx<'_, '_>, timer: &FiredTimer) -> Result<(), Fault> {
        match self.timers.get(timer.kind.as_str()) {
            Some(handle) => handle(tx, timer),
            None => Err(Fault::new(format!("no handler for timers of kind {}", timer.kind))),
        }
    }

    pub(super) fn answered(&self, tx: &mut Tx<'_, '_>, sent: &SentEffect, answer: &Answered) -> Result<(), Fault> {
        match self.answers.get(sent.destination.as_str()) {
            Some(handle) => handle(tx, sent, answer),
            None => Ok(()),
        }
    }
}
