//! The rules: what a step does to two balances, and when it may not.

use super::model::{
    ACCOUNTS, Account, AccountKey, Constraint, LEAF_COUNT, LEAVES, Leaf, LeafCount, Outcome, PENDING_BY_EXPIRY, Refusal, Step, TRANSFERS,
    Transfer, TransferId, TransferKind,
};
use crate::clock::Timestamp;
use crate::txn::Txn;
use crate::view::{Direction, Read};

/// What posting a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    New,
    /// The same transfer had been written before; nothing changed.
    Already,
}

/// Makes sure that an account exists.
pub fn open(txn: &mut Txn<'_>, key: AccountKey, constraint: Constraint) {
    if !ACCOUNTS.has(txn, &key) {
        ACCOUNTS.put(txn, &key, &Account::new(constraint));
    }
}

/// Writes one transfer.
///
/// # Errors
/// [`Refusal`]; then nothing has been written.
pub fn post(txn: &mut Txn<'_>, step: &Step) -> Result<Posted, Refusal> {
    if let Some(written) = TRANSFERS.get(txn, &step.id) {
        return if written.is_as_asked(step) { Ok(Posted::Already) } else { Err(Refusal::ExistsDifferent) };
    }
    if step.debit == step.credit {
        return Err(Refusal::SameAccount);
    }
    if step.debit.currency != step.credit.currency {
        return Err(Refusal::CurrencyMismatch);
    }
    if step.amount == 0 && !matches!(step.kind, TransferKind::Void { .. }) {
        return Err(Refusal::ZeroAmount);
    }
    let pair = Pair::load(txn, step.debit, step.credit)?;
    let now = txn.now();
    let (pair, ended) = match step.kind {
        TransferKind::Single => (pair.posted(step.amount)?, None),
        TransferKind::Pending { expires_at } => {
            if expires_at.is_some_and(|at| at <= now) {
                return Err(Refusal::ExpiryInThePast);
            }
            (pair.reserved(step.amount)?, None)
        }
        TransferKind::Post { pending } => {
            let held = open_pending(txn, pending, step)?;
            if step.amount > held.amount {
                return Err(Refusal::ExceedsPending);
            }
            if expired(&held, now) {
                return Err(Refusal::PendingEnded);
            }
            (pair.released(held.amount).posted(step.amount)?, Some((pending, held, Outcome::Posted(step.amount))))
        }
        TransferKind::Void { pending } => {
            let held = open_pending(txn, pending, step)?;
            if step.amount != 0 && step.amount != held.amount {
                return Err(Refusal::ExceedsPending);
            }
            (pair.released(held.amount), Some((pending, held, Outcome::Voided)))
        }
        TransferKind::Expire { .. } => return Err(Refusal::ExpireIsInternal),
    };
    pair.check()?;
    pair.store(txn);
    if let Some((id, held, outcome)) = ended {
        TRANSFERS.put(txn, &id, &Transfer { outcome: Some(outcome), ..held });
    }
    write(txn, step, now);
    Ok(Posted::New)
}

/// Writes several transfers, all or none, in order.
///
/// # Errors
/// The place of the first that is refused, and why; then nothing has been written.
pub fn post_linked(txn: &mut Txn<'_>, steps: &[Step]) -> Result<(), (usize, Refusal)> {
    let before = txn.savepoint();
    for (place, step) in steps.iter().enumerate() {
        if let Err(refusal) = post(txn, step) {
            txn.rollback(before);
            return Err((place, refusal));
        }
    }
    Ok(())
}

/// When the next pending transfer runs out.
pub fn next_expiry(read: &(impl Read + ?Sized)) -> Option<Timestamp> {
    TRANSFERS.page(read, &PENDING_BY_EXPIRY, &(), None, Direction::Forward).next().and_then(|(_, _, held)| match held.kind {
        TransferKind::Pending { expires_at } => expires_at,
        TransferKind::Single | TransferKind::Post { .. } | TransferKind::Void { .. } | TransferKind::Expire { .. } => None,
    })
}

/// Releases pending transfers whose time has come, at most `limit`. Returns how many.
pub fn expire_due(txn: &mut Txn<'_>, limit: usize) -> usize {
    let now = txn.now();
    // Index keys end with the transfer's id; everything due sorts before the first key of the next millisecond.
    let due: Vec<(TransferId, Transfer)> = TRANSFERS
        .page(txn, &PENDING_BY_EXPIRY, &(), None, Direction::Forward)
        .map(|(_, id, held)| (id, held))
        .take_while(|(_, held)| expired(held, now))
        .take(limit)
        .collect();
    for (pending, held) in &due {
        // Whoever makes ids could have made this one before: nothing that is written is ever overwritten.
        let mut id = expiry_id(*pending);
        while TRANSFERS.has(txn, &id) {
            id = expiry_id(id);
        }
        let pair = Pair::load(txn, held.debit, held.credit).expect("a pending transfer's accounts exist: they are never deleted");
        pair.released(held.amount).store(txn);
        TRANSFERS.put(txn, pending, &Transfer { outcome: Some(Outcome::Expired), ..*held });
        let step = Step {
            id,
            debit: held.debit,
            credit: held.credit,
            amount: held.amount,
            kind: TransferKind::Expire { pending: *pending },
            code: held.code,
            subject: held.subject,
        };
        write(txn, &step, now);
    }
    due.len()
}

/// The id under which a pending transfer's expiry is written: derived, so that it can happen once only.
fn expiry_id(pending: TransferId) -> TransferId {
    let digest = blake3::derive_key("medina ledger expiry 1", &pending.as_u128().to_be_bytes());
    TransferId::from_u128(u128::from_be_bytes(digest[..16].try_into().expect("16 of 32 bytes")))
}

/// How many transfers have been posted: the size of the tree.
pub fn leaf_count(read: &(impl Read + ?Sized)) -> u64 {
    LEAF_COUNT.get(read, &()).map_or(0, |count| count.0)
}

/// Gives a transfer the next place in the order of posting, in the commit that posts it.
fn next_leaf(txn: &mut Txn<'_>, id: TransferId) -> u64 {
    let leaf = leaf_count(txn);
    LEAVES.put(txn, &leaf, &Leaf(id));
    LEAF_COUNT.put(txn, &(), &LeafCount(leaf + 1));
    leaf
}

/// Gives transfers of before there was a tree their places, by time and id, before the first one that has a place of its own. Returns how many.
///
/// Costs a scan if no transfer has a place yet, else a look.
pub fn number_old(txn: &mut Txn<'_>) -> usize {
    if leaf_count(txn) > 0 {
        return 0;
    }
    let mut old: Vec<(TransferId, Transfer)> = TRANSFERS.scan(txn).collect();
    old.sort_by_key(|(id, transfer)| (transfer.at, *id));
    for (id, transfer) in &old {
        let leaf = Some(next_leaf(txn, *id));
        TRANSFERS.put(txn, id, &Transfer { leaf, ..*transfer });
    }
    old.len()
}

fn write(txn: &mut Txn<'_>, step: &Step, at: Timestamp) {
    let outcome = matches!(step.kind, TransferKind::Pending { .. }).then_some(Outcome::Open);
    let Step { id, debit, credit, amount, kind, code, subject } = *step;
    let leaf = Some(next_leaf(txn, id));
    // Whoever comes here has looked that there is no such transfer.
    TRANSFERS.put_new(txn, &id, &Transfer { debit, credit, amount, kind, code, subject, at, outcome, leaf });
}

fn open_pending(txn: &Txn<'_>, pending: TransferId, step: &Step) -> Result<Transfer, Refusal> {
    let held = TRANSFERS.get(txn, &pending).ok_or(Refusal::UnknownPending)?;
    if !matches!(held.kind, TransferKind::Pending { .. }) {
        return Err(Refusal::UnknownPending);
    }
    if (held.debit, held.credit) != (step.debit, step.credit) {
        return Err(Refusal::PendingDiffers);
    }
    if held.outcome == Some(Outcome::Open) { Ok(held) } else { Err(Refusal::PendingEnded) }
}

fn expired(held: &Transfer, now: Timestamp) -> bool {
    matches!(held.kind, TransferKind::Pending { expires_at: Some(at) } if at <= now)
}

/// The two accounts of a transfer, in memory until all checks have passed.
#[derive(Clone, Copy)]
struct Pair {
    debit: (AccountKey, Account),
    credit: (AccountKey, Account),
}

impl Pair {
    fn load(txn: &Txn<'_>, debit: AccountKey, credit: AccountKey) -> Result<Self, Refusal> {
        let load = |key: AccountKey| ACCOUNTS.get(txn, &key).map(|account| (key, account)).ok_or(Refusal::UnknownAccount(key));
        Ok(Self { debit: load(debit)?, credit: load(credit)? })
    }

    fn posted(mut self, amount: u64) -> Result<Self, Refusal> {
        self.debit.1.debits_posted = self.debit.1.debits_posted.checked_add(amount).ok_or(Refusal::Overflow)?;
        self.credit.1.credits_posted = self.credit.1.credits_posted.checked_add(amount).ok_or(Refusal::Overflow)?;
        Ok(self)
    }

    fn reserved(mut self, amount: u64) -> Result<Self, Refusal> {
        self.debit.1.debits_pending = self.debit.1.debits_pending.checked_add(amount).ok_or(Refusal::Overflow)?;
        self.credit.1.credits_pending = self.credit.1.credits_pending.checked_add(amount).ok_or(Refusal::Overflow)?;
        Ok(self)
    }

    fn released(mut self, amount: u64) -> Self {
        assert!(self.debit.1.debits_pending >= amount, "an open pending transfer's amount is part of its debit account's pending debits");
        assert!(
            self.credit.1.credits_pending >= amount,
            "an open pending transfer's amount is part of its credit account's pending credits"
        );
        self.debit.1.debits_pending -= amount;
        self.credit.1.credits_pending -= amount;
        self
    }

    fn check(&self) -> Result<(), Refusal> {
        for (account, state) in [&self.debit, &self.credit] {
            if !state.keeps_its_constraint() {
                return Err(Refusal::Constraint { account: *account });
            }
        }
        Ok(())
    }

    fn store(&self, txn: &mut Txn<'_>) {
        for (account, state) in [&self.debit, &self.credit] {
            ACCOUNTS.put(txn, account, state);
        }
    }
}
