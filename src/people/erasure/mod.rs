//! Erasure: somebody wants to be forgotten, and is.
//!
//! ```text
//!   ask ──► Asked ── two weeks ──► busy (orders, goods, money, a kitchen)? a day later again ──► Erased
//!             └── withdraw ──► as before
//! ```
//!
//! Erased: the person's key is overwritten, and with it everything that was ever sealed for them, in the rows, the log, the snapshots. What finds them
//! (keyed hashes), lets them in (password, sign-ins) and lets them act (roles) goes, too. The row stays, with the id that orders and the ledger name:
//! money and history are not theirs alone.
//!
//! A copy that is older than the erasure has the row as it was; the list of erased keys lies beside it (`ops::backup::erased`), and at the start of a
//! node that leads such rows are emptied again ([`again`]).

mod commands;
pub mod http;

use serde::{Deserialize, Serialize};
use storage::{Row, Table, Timestamp};

use crate::engine::{TimerId, UserId};

pub use commands::{ATTENTION, TIMER, again, ask, on_due, withdraw};

/// Somebody is to be erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    pub asked_at: Timestamp,
    /// Who asked: themselves, or an administrator.
    pub by: Option<UserId>,
    pub due_at: Timestamp,
    pub timer: Option<TimerId>,
    pub erased_at: Option<Timestamp>,
}

impl Row for Erasure {
    const VERSION: u8 = 1;
}

/// By person.
pub static ERASURES: Table<UserId, Erasure> = Table::new(119, "people.erasures", &[]);

/// Time to change one's mind, and for others to finish what they have with the person.
pub const GRACE_S: i64 = 14 * 86_400;
/// Who is busy then is looked at again after this.
pub const POSTPONED_S: i64 = 86_400;

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no such user")]
    Unknown,
    #[error("the erasure has been asked for already")]
    Asked,
    #[error("no erasure has been asked for")]
    NotAsked,
    #[error("the person has been erased")]
    Erased,
    #[error("this is the last administrator: make another one first")]
    LastAdmin,
    #[error(transparent)]
    Denied(#[from] crate::engine::Denied),
}
