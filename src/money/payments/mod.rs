//! Payments: an intent to pay for a subject, the provider that carries it out, and refunds.
//!
//! ```text
//!   requires_payment_method ──confirm──► processing ──────────────┐  "we do not know yet"
//!      │   │      │                        │  │                   │
//!      │   │      └──────► requires_action ◄──┘                   │
//!      │   │                  │       │                           │
//!      │   └──────────────────┼───────┴──► authorized ◄───────────┘
//!      │                      │            │   │
//!      │  declined            │  cancelled,│   └──captured──► captured ──refunds add up──► refunded
//!      ▼                      ▼  expired   ▼
//!   failed                 cancelled, expired (an expiry only before authorised)
//! ```
//! Cash begins at `authorized` (a promise to pay at the door) and is `captured` when the courier has it. `captured` with parts keeps the state.
//! Every way back is refused and counted. What a provider says too early (captured before authorized) is kept in the intent and heard again
//! after the next step, what it says late or twice changes nothing: the end does not depend on the order of delivery.
//!
//! A declined card ends its intent: another try is a new intent, which cancels a live one. An authorisation that arrives after the end is voided.
//!
//! Reading order: [`model`], [`machine`] (the rules), [`carry`] (what an event does to books, outbox and listeners), [`intents`] and [`refunds`]
//! (commands), [`notices`] (what providers say), [`provider`] (the trait they are behind), [`signature`], [`http`].

pub mod carry;
pub mod http;
pub mod intents;
pub mod machine;
pub mod model;
pub mod notices;
pub mod provider;
pub mod refunds;
pub mod signature;

pub use model::{
    CaptureTime, Connector, Happened, Intent, IntentId, Method, NextAction, Notice, Refund, RefundId, RefundState, Refusal, Status,
    Subject, SubjectKind, What,
};

use crate::engine::Wiring;

/// Registers the module's own timers and the answers of its providers.
pub fn wire(wiring: &mut Wiring) {
    wiring.timer(intents::EXPIRY, intents::on_expiry);
    for connector in Connector::PROVIDERS {
        wiring.answer(connector.name(), notices::on_answer);
    }
}
