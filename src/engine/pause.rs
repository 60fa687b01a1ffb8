//! The outbox stands still until an operator releases it: in a restored copy everything that was sent after the snapshot would go out twice.

use serde::{Deserialize, Serialize};
use storage::{Row, Table, Timestamp, Txn};

use super::Tx;
use super::attention::{ATTENTION, Attention};

/// Why nothing is sent, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub since: Timestamp,
    pub why: String,
}

impl Row for Paused {
    const VERSION: u8 = 1;
}

/// There is a row while nothing is sent.
pub static OUTBOX_PAUSED: Table<(), Paused> = Table::new(40, "engine.outbox.paused", &[]);

const KIND: &str = "outbox_paused";
const SUBJECT: &str = "outbox";

/// Stops the outbox. On storage's own transaction, because a restore does it before there is an engine.
pub fn pause(txn: &mut Txn<'_>, why: &str) {
    let since = txn.now();
    OUTBOX_PAUSED.put(txn, &(), &Paused { since, why: why.to_owned() });
    let actions = vec!["POST /v1/ops/outbox/release".to_owned(), "medina outbox release".to_owned()];
    ATTENTION.put(txn, &(KIND.to_owned(), SUBJECT.to_owned()), &Attention { reason: why.to_owned(), since, actions });
}

/// Lets it send again; what it was, if it was paused.
pub fn release(tx: &mut Tx<'_, '_>) -> Option<Paused> {
    tx.settle_attention(KIND, SUBJECT);
    OUTBOX_PAUSED.delete(tx, &())
}
