//! The epochs of a history: each began where the one before ended. A position of an earlier epoch beyond that end is on a lost timeline.
//!
//! Rows of storage's own table 0: key `00 00 02` and the epoch (u64, big-endian); value a version byte and postcard of the [`Position`] before.

use crate::log::Position;
use crate::txn::Txn;
use crate::view::{Direction, Read};

const PREFIX: [u8; 3] = [0, 0, 2];
const AFTER: [u8; 3] = [0, 0, 3];
const VERSION: u8 = 1;

/// Where an epoch began: right after `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    pub epoch: u64,
    pub before: Position,
}

fn key(epoch: u64) -> [u8; 11] {
    let mut key = [0; 11];
    key[..3].copy_from_slice(&PREFIX);
    key[3..].copy_from_slice(&epoch.to_be_bytes());
    key
}

pub(crate) fn put(txn: &mut Txn<'_>, epoch: u64, before: Position) {
    let mut value = vec![VERSION];
    value.extend(postcard::to_stdvec(&before).expect("a position is plain data and always encodes"));
    txn.set_raw(&key(epoch), Some(value.into()));
}

/// The epochs that this history opened, ascending. The first one has no row.
pub fn starts(read: &(impl Read + ?Sized)) -> Vec<EpochStart> {
    read.scan_raw(&PREFIX, &AFTER, Direction::Forward).map(|(key, value)| start(&key, &value)).collect()
}

fn start(key: &[u8], value: &[u8]) -> EpochStart {
    let damaged = || -> ! { crate::fault::raise(crate::Fault::damaged(key, "not the start of an epoch")) };
    let epoch: [u8; 8] = key.get(3..).and_then(|epoch| epoch.try_into().ok()).unwrap_or_else(|| damaged());
    let before = match value.split_first() {
        Some((&VERSION, rest)) => postcard::from_bytes(rest).unwrap_or_else(|_| damaged()),
        _ => damaged(),
    };
    EpochStart { epoch: u64::from_be_bytes(epoch), before }
}

/// Whether command `seq` of `epoch` is on a timeline that this history has left: a later epoch began before it.
pub fn is_lost(read: &(impl Read + ?Sized), epoch: u64, seq: u64) -> bool {
    let mut later = read.scan_raw(&key(epoch.saturating_add(1)), &AFTER, Direction::Forward);
    later.next().is_some_and(|(key, value)| seq > start(&key, &value).before.seq)
}
