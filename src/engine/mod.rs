//! The engine: one writer, many readers.
//!
//! A command is a plain function on a [`Tx`]; it runs on the writer thread, many to a commit, and what it wrote is kept only if it succeeds *and*
//! recorded a decision that allowed it. With its writes the same commit takes its events, timers, effects and, for a request with an
//! idempotency key, its answer.
//!
//! Reading order: [`caller`] and [`decision`] (who, may they), [`tx`] (what a command can do), [`core`] (how one runs, synchronously, so that
//! the simulator can drive it), [`wiring`] (who reacts to whom), [`timer`], [`effect`], [`idempotency`], [`event`], [`attention`] (the rows), then
//! the threads around: [`writer`], [`acks`] and [`follow`] (other nodes), [`outbox`], [`clock`].

pub mod acks;
pub mod advance;
pub mod attention;
pub mod background;
pub mod caller;
pub mod clock;
pub mod core;
pub mod decision;
pub mod effect;
pub mod event;
pub mod fault;
mod folder;
pub mod follow;
pub mod handle;
pub mod idempotency;
pub mod interest;
pub mod outbox;
pub mod pause;
mod replication;
pub mod stats;
pub mod timer;
pub mod tx;
pub mod wiring;
pub mod writer;

pub use self::core::{Core, Ran};
pub use acks::{Ack, AckOptions};
pub use attention::Attention;
pub use background::Background;
pub use caller::{Caller, Principal, UserId, UserTag};
pub use clock::EngineClock;
pub use decision::{Attribute, Authorize, Decision, Denied, Question, Resource};
pub use effect::{Answered, Effect, EffectId, SentEffect};
pub use event::{Event, StoredEvent};
pub use fault::{Fault, WriteError};
pub use handle::{Done, Engine, EngineOptions};
pub use idempotency::{Once, StoredAnswer};
pub use interest::{Interest, Reach};
pub use outbox::{DeliveryError, Destination};
pub use timer::{FiredTimer, Timer, TimerId};
pub use tx::Tx;
pub use wiring::Wiring;

/// How a command ended that did not fail: done, or refused in a way that must be remembered (a wrong code that counts, a reused token that ends its
/// family). A refusal commits what the command wrote; the edge sends the problem.
#[derive(Debug)]
pub enum Verdict<T> {
    Done(T),
    Refused(crate::edge::Problem),
}

/// A row stored as JSON text inside postcard: data whose shape belongs to others.
pub(crate) fn json_text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("values of ours have string keys and no failing serializers, so JSON encoding cannot fail")
}
