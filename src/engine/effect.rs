//! Effects: calls to the outside, written in the commit that wants them and sent after it.
//!
//! ```text
//!   pending ──sent, answered──► (removed, the answer's handler ran in the same commit)
//!      │  ▲
//!      │  └── retried after 1 s, 2 s, 4 s, … (at most 5 min apart)
//!      └──refused, or 8 tries──► dead ──retry (operator)──► pending
//!                                  └──discard (operator)──► (removed)
//! ```

use serde::{Deserialize, Serialize};
use storage::{Direction, Id, Index, Kind, Read, Row, Table, Timestamp};

/// An effect to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    pub destination: &'static str,
    pub subject: u128,
    pub kind: &'static str,
    pub body: String,
}

impl Effect {
    /// `destination` names who sends it; effects of one `subject` to one destination are sent in order; `body` is JSON text.
    #[must_use]
    pub fn new(destination: &'static str, subject: u128, kind: &'static str, body: String) -> Self {
        Self { destination, subject, kind, body }
    }
}

/// Ids of effects; a provider sees it as the idempotency key.
#[derive(Debug)]
pub struct EffectTag;
impl Kind for EffectTag {
    const PREFIX: &'static str = "eff";
}
pub type EffectId = Id<EffectTag>;

/// Where an effect stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EffectState {
    Pending,
    Dead,
}

/// An effect as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectRow {
    pub destination: String,
    pub subject: u128,
    pub kind: String,
    pub body: String,
    pub state: EffectState,
    pub tries: u8,
    pub next_at: Timestamp,
    pub created_at: Timestamp,
    pub last_error: Option<String>,
}

impl Row for EffectRow {
    const VERSION: u8 = 1;
}

/// An effect as its destination and its answer's handler see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentEffect {
    pub id: EffectId,
    pub subject: u128,
    pub kind: String,
    pub body: String,
    pub destination: String,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The other side answered: an HTTP-like status and its body.
    With { status: u16, body: String },
    /// It will not be tried again by itself; an operator may.
    GaveUp { why: String },
}

/// Pending ones by the time of their next try, dead ones apart.
pub static OUTBOX_BY_STATE: Index<EffectId, EffectRow> = Index::new(24, "engine.outbox.by_state", |_, row, keys| match row.state {
    EffectState::Pending => keys.add(&(0_u8, row.next_at)),
    EffectState::Dead => keys.add(&(1_u8, row.next_at)),
});
/// Pending ones of a subject, oldest first: order is kept per subject.
pub static OUTBOX_BY_SUBJECT: Index<EffectId, EffectRow> = Index::new(25, "engine.outbox.by_subject", |_, row, keys| {
    if row.state == EffectState::Pending {
        keys.add(&(row.destination.clone(), row.subject));
    }
});
pub static OUTBOX: Table<EffectId, EffectRow> = Table::new(23, "engine.outbox", &[&OUTBOX_BY_STATE, &OUTBOX_BY_SUBJECT]);

/// When the next try is due.
pub fn next_due(read: &(impl Read + ?Sized)) -> Option<Timestamp> {
    OUTBOX.page(read, &OUTBOX_BY_STATE, &0_u8, None, Direction::Forward).next().map(|(_, _, row)| row.next_at)
}
