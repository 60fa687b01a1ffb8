//! Proof that the books are right: totals per currency, and balances rebuilt from the transfers and compared.

use std::collections::BTreeMap;

use super::model::{ACCOUNTS, Account, AccountKey, Currency, Outcome, TRANSFERS, TransferKind};
use crate::view::Read;

/// Totals of one currency over all accounts, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrencyTotals {
    pub currency: Currency,
    pub debits: u128,
    pub credits: u128,
}

impl CurrencyTotals {
    /// Zero if the books balance.
    #[must_use]
    pub fn difference(&self) -> i128 {
        self.debits as i128 - self.credits as i128
    }
}

/// An account whose stored balances are not what its transfers add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub account: AccountKey,
    pub stored: Option<Account>,
    pub rebuilt: Account,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    pub accounts: u64,
    pub transfers: u64,
    pub totals: Vec<CurrencyTotals>,
    pub mismatches: Vec<Mismatch>,
}

impl Audit {
    /// Whether every total is zero and every balance is right.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.mismatches.is_empty() && self.totals.iter().all(|total| total.difference() == 0)
    }
}

/// Posted totals per currency, from the stored balances.
pub fn trial_balance(read: &(impl Read + ?Sized)) -> Vec<CurrencyTotals> {
    totals(ACCOUNTS.scan(read))
}

fn totals(accounts: impl Iterator<Item = (AccountKey, Account)>) -> Vec<CurrencyTotals> {
    let mut sums: BTreeMap<Currency, (u128, u128)> = BTreeMap::new();
    for (key, account) in accounts {
        let sum = sums.entry(key.currency).or_default();
        sum.0 += u128::from(account.debits_posted);
        sum.1 += u128::from(account.credits_posted);
    }
    sums.into_iter().map(|(currency, (debits, credits))| CurrencyTotals { currency, debits, credits }).collect()
}

/// Rebuilds every balance from the transfers alone and compares.
pub fn audit(read: &(impl Read + ?Sized)) -> Audit {
    let stored: BTreeMap<AccountKey, Account> = ACCOUNTS.scan(read).collect();
    let mut rebuilt: BTreeMap<AccountKey, Account> = stored.iter().map(|(key, account)| (*key, Account::new(account.constraint))).collect();
    let mut transfers = 0;
    for (_, transfer) in TRANSFERS.scan(read) {
        transfers += 1;
        let (posted, pending) = match (transfer.kind, transfer.outcome) {
            (TransferKind::Single | TransferKind::Post { .. }, _) => (transfer.amount, 0),
            (TransferKind::Pending { .. }, Some(Outcome::Open)) => (0, transfer.amount),
            (TransferKind::Pending { .. } | TransferKind::Void { .. } | TransferKind::Expire { .. }, _) => (0, 0),
        };
        let absent = Account::new(super::model::Constraint::None);
        let debit = rebuilt.entry(transfer.debit).or_insert(absent);
        debit.debits_posted += posted;
        debit.debits_pending += pending;
        let credit = rebuilt.entry(transfer.credit).or_insert(absent);
        credit.credits_posted += posted;
        credit.credits_pending += pending;
    }
    let mismatches = rebuilt
        .iter()
        .filter(|(key, account)| stored.get(key) != Some(account))
        .map(|(key, account)| Mismatch { account: *key, stored: stored.get(key).copied(), rebuilt: *account })
        .collect();
    Audit { accounts: stored.len() as u64, transfers, totals: totals(stored.into_iter()), mismatches }
}
