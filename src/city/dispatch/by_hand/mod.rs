//! By hand: an operator gives a delivery to a courier, or has another one looked for.
//!
//! ```text
//!   nobody has it, or is asked ──── to B ────► B has it                       (a live offer of it is taken back)
//!   A has it, not picked up ─────── to B ────► A's way loses it, B has it
//!   A has it in the bag ─────────── to B ────► B has it in the bag: they meet (also if A is silent)
//!   not picked up ──────────────── to whom it may concern ────► A is not asked again for a while, dispatch looks
//! ```
//!
//! What was said between dispatch and a courier (a no, a release) does not bind an operator, nor that they go another way already. What is true of the
//! courier does: account, city, shift, room, cash.
//!
//! Reading order: [`Handed`] (what is kept), [`commands`], [`http`].

pub mod commands;
pub mod http;

use serde::{Deserialize, Serialize};
use storage::{Direction, Read, Row, Table, Timestamp};

use crate::city::couriers::CourierId;
use crate::engine::UserId;

/// What an operator did with a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    pub at: Timestamp,
    /// Who had it.
    pub from: Option<CourierId>,
    /// Who has it since; none: dispatch was to look.
    pub to: Option<CourierId>,
    /// The operator; none: the system.
    pub by: Option<UserId>,
    pub reason: String,
    /// It was in `from`'s bag.
    pub picked_up: bool,
}

impl Row for Handed {
    const VERSION: u8 = 1;
}

/// By subject, numbered from 1.
pub static BY_HAND: Table<(u128, u32), Handed> = Table::new(375, "dispatch.by_hand", &[]);

/// What operators did with a subject, the oldest first.
pub fn of_subject(read: &(impl Read + ?Sized), subject: u128) -> impl Iterator<Item = Handed> + '_ {
    BY_HAND.scan_prefix(read, &(subject,), Direction::Forward).map(|(_, handed)| handed)
}
