//! What a leaf says of a transfer: everything that never changes, with pseudonyms where a person could stand. The layout is in `FORMAT.md`.

use crate::ledger::model::{AccountKey, LEAVES, TRANSFERS, Transfer, TransferId, TransferKind};
use crate::view::Read;

/// An entry's length.
pub const ENTRY_BYTES: usize = 163;
/// The layout that is written today; the first byte of each entry.
const FORMAT: u8 = 1;
/// In the place of an expiry that there is not.
const NEVER: i64 = i64::MIN;

/// Turns owners and subjects into names that only the key's holder can tell: without it nobody can try all ids, with it an auditor can be shown
/// which entries are whose.
#[derive(Clone)]
pub struct Pseudonyms([u8; 32]);

impl Pseudonyms {
    /// From the ledger's key.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// An account's owner. One owner has another name in each kind of account; the house, owner 0, has none to hide.
    #[must_use]
    pub fn owner(&self, account: &AccountKey) -> [u8; 32] {
        self.name(b"owner", account.code, account.owner)
    }

    /// What a transfer is for.
    #[must_use]
    pub fn subject(&self, subject: u128) -> [u8; 32] {
        self.name(b"subject", 0, subject)
    }

    fn name(&self, what: &[u8], code: u16, id: u128) -> [u8; 32] {
        if id == 0 {
            return [0; 32];
        }
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(what).update(&[0]).update(&code.to_be_bytes()).update(&id.to_be_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// A transfer's entry.
#[must_use]
pub fn entry(id: TransferId, transfer: &Transfer, names: &Pseudonyms) -> [u8; ENTRY_BYTES] {
    let (kind, other, expires_at) = match transfer.kind {
        TransferKind::Single => (0_u8, 0, NEVER),
        TransferKind::Pending { expires_at } => (1, 0, expires_at.map_or(NEVER, crate::Timestamp::millis)),
        TransferKind::Post { pending } => (2, pending.as_u128(), NEVER),
        TransferKind::Void { pending } => (3, pending.as_u128(), NEVER),
        TransferKind::Expire { pending } => (4, pending.as_u128(), NEVER),
    };
    let mut bytes = Vec::with_capacity(ENTRY_BYTES);
    bytes.push(FORMAT);
    bytes.extend_from_slice(&id.as_u128().to_be_bytes());
    bytes.extend_from_slice(&transfer.at.millis().to_be_bytes());
    bytes.extend_from_slice(&transfer.code.to_be_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(&other.to_be_bytes());
    bytes.extend_from_slice(&expires_at.to_be_bytes());
    bytes.extend_from_slice(&transfer.amount.to_be_bytes());
    bytes.extend_from_slice(&transfer.debit.currency.0);
    for account in [&transfer.debit, &transfer.credit] {
        bytes.extend_from_slice(&account.code.to_be_bytes());
        bytes.extend_from_slice(&names.owner(account));
    }
    bytes.extend_from_slice(&names.subject(transfer.subject));
    bytes.try_into().expect("the fields have fixed lengths that add up to ENTRY_BYTES")
}

/// The entry of leaf `leaf`, from the transfer as it stands; `None` if there is no such leaf.
pub fn entry_at(read: &(impl Read + ?Sized), leaf: u64, names: &Pseudonyms) -> Option<[u8; ENTRY_BYTES]> {
    let id = LEAVES.get(read, &leaf)?.0;
    TRANSFERS.get(read, &id).map(|transfer| entry(id, &transfer, names))
}
