//! Accounts, transfers and why a transfer is refused.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{Id, Kind};
use crate::key::KeyPart;
use crate::table::{Index, Row, Table};

/// An ISO 4217 code. The ledger knows no exponent: amounts are minor units.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Currency(pub [u8; 3]);

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or("???"))
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which account: what it is for, whose it is, in which currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountKey {
    /// The chart's number (the product's, not ours).
    pub code: u16,
    /// 128 bits of an id, or 0 for the house's own.
    pub owner: u128,
    pub currency: Currency,
}

impl KeyPart for AccountKey {
    fn encode(&self, into: &mut Vec<u8>) {
        (self.code, self.owner, self.currency.0).encode(into);
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        let (code, owner, currency) = <(u16, u128, [u8; 3])>::decode(from)?;
        Some(Self { code, owner, currency: Currency(currency) })
    }
}

/// What an account must never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Constraint {
    None,
    /// The holder's money: pending and posted debits never exceed posted credits.
    DebitsMustNotExceedCredits,
    /// An asset: pending and posted credits never exceed posted debits.
    CreditsMustNotExceedDebits,
}

/// An account's constraint and balances, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub constraint: Constraint,
    pub debits_pending: u64,
    pub debits_posted: u64,
    pub credits_pending: u64,
    pub credits_posted: u64,
}

impl Account {
    pub(super) fn new(constraint: Constraint) -> Self {
        Self { constraint, debits_pending: 0, debits_posted: 0, credits_pending: 0, credits_posted: 0 }
    }

    /// Posted credits minus posted debits: what is owed to the holder.
    #[must_use]
    pub fn credit_balance(&self) -> i128 {
        i128::from(self.credits_posted) - i128::from(self.debits_posted)
    }

    pub(super) fn keeps_its_constraint(&self) -> bool {
        let (debits, credits) = (i128::from(self.debits_posted), i128::from(self.credits_posted));
        match self.constraint {
            Constraint::None => true,
            Constraint::DebitsMustNotExceedCredits => debits + i128::from(self.debits_pending) <= credits,
            Constraint::CreditsMustNotExceedDebits => credits + i128::from(self.credits_pending) <= debits,
        }
    }
}

impl Row for Account {
    const VERSION: u8 = 1;
}

/// Ids of transfers (`trf_…`). Callers may derive them from what they pay for, so that a repeat is recognised.
#[derive(Debug)]
pub struct TransferTag;
impl Kind for TransferTag {
    const PREFIX: &'static str = "trf";
}
pub type TransferId = Id<TransferTag>;

/// What is asked of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub id: TransferId,
    pub debit: AccountKey,
    pub credit: AccountKey,
    /// Minor units. For [`TransferKind::Post`]: how much of the pending amount.
    pub amount: u64,
    pub kind: TransferKind,
    /// The template's number (the product's, not ours).
    pub code: u16,
    /// 128 bits of what it is for.
    pub subject: u128,
}

/// One phase or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransferKind {
    Single,
    /// Reserves until posted, voided, or this time.
    Pending {
        expires_at: Option<Timestamp>,
    },
    /// Posts `amount` of a pending transfer and releases the rest.
    Post {
        pending: TransferId,
    },
    /// Releases a pending transfer.
    Void {
        pending: TransferId,
    },
    /// A pending transfer whose time ran out; written by the ledger itself.
    Expire {
        pending: TransferId,
    },
}

/// A pending transfer's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Open,
    Posted(u64),
    Voided,
    Expired,
}

/// A transfer as written. Only `outcome` ever changes, once, and only for a pending one.
///
/// `leaf` is its place in the order of posting, from 0: its leaf in the [tree](super::tree). `None` only in rows of before there was a tree, until
/// [`super::number_old`] has given them theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    pub debit: AccountKey,
    pub credit: AccountKey,
    pub amount: u64,
    pub kind: TransferKind,
    pub code: u16,
    pub subject: u128,
    pub at: Timestamp,
    pub outcome: Option<Outcome>,
    pub leaf: Option<u64>,
}

impl Row for Transfer {
    const VERSION: u8 = 2;

    fn upgrade(version: u8, bytes: &[u8]) -> Option<Self> {
        /// Version 1, of before there was a tree.
        #[derive(Deserialize)]
        struct Treeless {
            debit: AccountKey,
            credit: AccountKey,
            amount: u64,
            kind: TransferKind,
            code: u16,
            subject: u128,
            at: Timestamp,
            outcome: Option<Outcome>,
        }
        let old: Treeless = if version == 1 { postcard::from_bytes(bytes).ok()? } else { return None };
        let Treeless { debit, credit, amount, kind, code, subject, at, outcome } = old;
        Some(Self { debit, credit, amount, kind, code, subject, at, outcome, leaf: None })
    }
}

/// Which transfer is a leaf of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf(pub TransferId);

impl Row for Leaf {
    const VERSION: u8 = 1;
}

/// How many leaves there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafCount(pub u64);

impl Row for LeafCount {
    const VERSION: u8 = 1;
}

impl Transfer {
    pub(super) fn is_as_asked(&self, step: &Step) -> bool {
        (self.debit, self.credit, self.amount, self.kind, self.code, self.subject)
            == (step.debit, step.credit, step.amount, step.kind, step.code, step.subject)
    }
}

/// A transfer's index keys: each of its accounts, newest last.
pub static TRANSFERS_BY_ACCOUNT: Index<TransferId, Transfer> = Index::new(12, "ledger.transfers.by_account", |_, transfer, keys| {
    keys.add(&(transfer.debit, transfer.at));
    keys.add(&(transfer.credit, transfer.at));
});
/// Open pending transfers, by the time they run out.
pub static PENDING_BY_EXPIRY: Index<TransferId, Transfer> = Index::new(13, "ledger.transfers.pending_by_expiry", |_, transfer, keys| {
    if let (TransferKind::Pending { expires_at: Some(at) }, Some(Outcome::Open)) = (transfer.kind, transfer.outcome) {
        keys.add(&at);
    }
});
pub static ACCOUNTS: Table<AccountKey, Account> = Table::new(10, "ledger.accounts", &[]);
pub static TRANSFERS: Table<TransferId, Transfer> = Table::new(11, "ledger.transfers", &[&TRANSFERS_BY_ACCOUNT, &PENDING_BY_EXPIRY]);
/// Transfers in the order of posting.
pub static LEAVES: Table<u64, Leaf> = Table::new(14, "ledger.leaves", &[]);
pub static LEAF_COUNT: Table<(), LeafCount> = Table::new(15, "ledger.leaf_count", &[]);

/// Why the ledger said no. Nothing has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("debit and credit are the same account")]
    SameAccount,
    #[error("the accounts have different currencies")]
    CurrencyMismatch,
    #[error("the amount is zero")]
    ZeroAmount,
    #[error("account {0:?} does not exist")]
    UnknownAccount(AccountKey),
    #[error("account {account:?} would break its constraint")]
    Constraint { account: AccountKey },
    #[error("a balance would exceed what 64 bits hold")]
    Overflow,
    #[error("a transfer with this id exists and is another one")]
    ExistsDifferent,
    #[error("no such pending transfer")]
    UnknownPending,
    #[error("the pending transfer has ended already")]
    PendingEnded,
    #[error("more than the pending amount")]
    ExceedsPending,
    #[error("the expiry is not in the future")]
    ExpiryInThePast,
    #[error("accounts or currency differ from the pending transfer's")]
    PendingDiffers,
    #[error("only the ledger itself lets a pending transfer expire")]
    ExpireIsInternal,
}
