//! The epochs of a history: each began where the one before ended. A position of an earlier epoch beyond that end is on a lost timeline.

use serde::{Deserialize, Serialize};

use crate::log::Position;
use crate::table::{Row, Table};
use crate::txn::Txn;
use crate::view::{Direction, Read};

/// An epoch began right after this position of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochStart(pub Position);

impl Row for EpochStart {
    const VERSION: u8 = 1;
}

/// By epoch; the first one has no row.
pub static EPOCHS: Table<u64, EpochStart> = Table::new(1, "storage.epochs", &[]);

pub(crate) fn put(txn: &mut Txn<'_>, epoch: u64, before: Position) {
    EPOCHS.put(txn, &epoch, &EpochStart(before));
}

/// Whether command `seq` of `epoch` is on a timeline that this history has left: a later epoch began before it.
pub fn is_lost(read: &(impl Read + ?Sized), epoch: u64, seq: u64) -> bool {
    let later = EPOCHS.scan_range(read, &epoch.saturating_add(1), &u64::MAX, Direction::Forward).next();
    later.is_some_and(|(_, EpochStart(before))| seq > before.seq)
}
