//! The laws of the ledger, for any sequence of steps.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use storage::disk::SimDisk;
use storage::ledger::{
    ACCOUNTS, Account, AccountKey, Constraint, Currency, Posted, Refusal, Step, TRANSFERS, TransferId, TransferKind, audit, expire_due,
    open, post, post_linked,
};
use storage::{Options, Store, Timestamp, Txn};

const GHS: Currency = Currency(*b"GHS");
const EUR: Currency = Currency(*b"EUR");

/// Three without a constraint, a purse that may not be overdrawn, an asset that may not go below zero, and one in another currency.
fn accounts() -> Vec<(AccountKey, Constraint)> {
    let key = |code, currency| AccountKey { code, owner: 0, currency };
    vec![
        (key(1, GHS), Constraint::None),
        (key(2, GHS), Constraint::None),
        (key(3, GHS), Constraint::DebitsMustNotExceedCredits),
        (key(4, GHS), Constraint::CreditsMustNotExceedDebits),
        (key(5, EUR), Constraint::None),
    ]
}

fn books() -> Store {
    let options = Options { segment_bytes: 64 << 10, cache_bytes: 1 << 20, ..Options::with_seed([2; 32]) };
    let mut store = Store::open(Arc::new(SimDisk::new(5)), Path::new("data"), options).expect("a new folder opens");
    store.begin(Timestamp::from_millis(1_000));
    run(&mut store, |txn| {
        for (key, constraint) in accounts() {
            open(txn, key, constraint);
        }
    });
    store
}

fn run<T>(store: &mut Store, command: impl FnOnce(&mut Txn<'_>) -> T) -> T {
    match store.run(|txn| Ok::<T, ()>(command(txn))) {
        Ok((_, value)) => value,
        Err(()) => unreachable!("the command never refuses"),
    }
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        4 => Just(TransferKind::Single),
        3 => proptest::option::of(0_i64..3_000).prop_map(|at| TransferKind::Pending { expires_at: at.map(Timestamp::from_millis) }),
        2 => (0_u128..12).prop_map(|id| TransferKind::Post { pending: TransferId::from_u128(id) }),
        1 => (0_u128..12).prop_map(|id| TransferKind::Void { pending: TransferId::from_u128(id) }),
    ];
    (0_u128..40, 0_usize..5, 0_usize..5, 0_u64..60, kind).prop_map(|(id, debit, credit, amount, kind)| Step {
        id: TransferId::from_u128(id),
        debit: accounts()[debit].0,
        credit: accounts()[credit].0,
        amount,
        kind,
        code: 1,
        subject: 0,
    })
}

fn balances(store: &Store) -> BTreeMap<AccountKey, Account> {
    ACCOUNTS.scan(store.head()).collect()
}

fn constraints_hold(store: &Store) -> Result<(), TestCaseError> {
    for (key, account) in balances(store) {
        let (debits, credits) = (account.debits_posted, account.credits_posted);
        match account.constraint {
            Constraint::None => (),
            Constraint::DebitsMustNotExceedCredits => prop_assert!(debits + account.debits_pending <= credits, "{key:?} {account:?}"),
            Constraint::CreditsMustNotExceedDebits => prop_assert!(credits + account.credits_pending <= debits, "{key:?} {account:?}"),
        }
    }
    Ok(())
}

proptest! {
    /// However steps come, refused or not: every currency sums to zero, no constraint is breached, and balances are what the transfers say.
    #[test]
    fn the_books_balance(steps in vec(step(), 1..60), expire_at in 0_i64..4_000) {
        let mut store = books();
        for step in &steps {
            let before = balances(&store);
            let posted = run(&mut store, |txn| post(txn, step));
            if posted != Ok(Posted::New) {
                prop_assert_eq!(&before, &balances(&store), "{:?} changed balances", posted);
            }
            constraints_hold(&store)?;
        }
        store.commit().expect("the disk is healthy");
        store.begin(Timestamp::from_millis(expire_at));
        run(&mut store, |txn| expire_due(txn, 1_000));
        constraints_hold(&store)?;
        let audit = audit(store.head());
        prop_assert!(audit.is_clean(), "{audit:?}");
        for total in audit.totals {
            prop_assert_eq!(total.difference(), 0);
        }
    }

    /// A step that was written is recognised for ever, whatever has come between; the same id for something else is refused.
    #[test]
    fn a_replayed_transfer_changes_nothing(steps in vec(step(), 1..40)) {
        let mut store = books();
        let written: Vec<Step> = steps.into_iter().filter(|step| run(&mut store, |txn| post(txn, step)) == Ok(Posted::New)).collect();
        let before = balances(&store);
        for step in &written {
            prop_assert_eq!(run(&mut store, |txn| post(txn, step)), Ok(Posted::Already));
            let other = Step { amount: step.amount + 1, ..*step };
            prop_assert_eq!(run(&mut store, |txn| post(txn, &other)), Err(Refusal::ExistsDifferent));
        }
        prop_assert_eq!(before, balances(&store));
    }

    /// Transfers between unconstrained accounts give the same balances in any order.
    #[test]
    fn order_of_independent_transfers_does_not_matter(amounts in vec((0_usize..2, 1_u64..1_000), 1..20), seed: u64) {
        let steps: Vec<Step> = amounts.iter().enumerate().map(|(n, (way, amount))| Step {
            id: TransferId::from_u128(n as u128),
            debit: accounts()[*way].0,
            credit: accounts()[1 - *way].0,
            amount: *amount, kind: TransferKind::Single, code: 1, subject: 0,
        }).collect();
        let mut shuffled = steps.clone();
        shuffled.sort_by_key(|step| (step.id.as_u128() as u64).wrapping_mul(seed | 1).rotate_left(17));
        let result = |steps: &[Step]| {
            let mut store = books();
            for step in steps {
                assert_eq!(run(&mut store, |txn| post(txn, step)), Ok(Posted::New));
            }
            balances(&store)
        };
        prop_assert_eq!(result(&steps), result(&shuffled));
    }

    /// Linked steps are written all or not at all.
    #[test]
    fn linked_means_all_or_none(steps in vec(step(), 2..6)) {
        let mut store = books();
        let before = balances(&store);
        let count = TRANSFERS.scan(store.head()).count();
        if run(&mut store, |txn| post_linked(txn, &steps)).is_err() {
            prop_assert_eq!(before, balances(&store));
            prop_assert_eq!(count, TRANSFERS.scan(store.head()).count());
        } else {
            for step in &steps {
                prop_assert!(TRANSFERS.has(store.head(), &step.id));
            }
        }
    }
}

/// The id of an expiry follows from its pending transfer's: whoever posts something else under it first must not lose it.
#[test]
fn an_expiry_overwrites_nothing() {
    let mut store = books();
    let [(a, _), (b, _), ..] = accounts()[..] else { unreachable!("there are five accounts") };
    let step = |id, kind| Step { id, debit: a, credit: b, amount: 100, kind, code: 1, subject: 0 };
    let pending = TransferId::from_u128(1);
    let digest = blake3::derive_key("medina ledger expiry 1", &pending.as_u128().to_be_bytes());
    let squatter = TransferId::from_u128(u128::from_be_bytes(digest[..16].try_into().expect("16 of 32 bytes")));
    run(&mut store, |txn| {
        let hold = TransferKind::Pending { expires_at: Some(Timestamp::from_millis(2_000)) };
        assert_eq!(post(txn, &step(pending, hold)), Ok(Posted::New));
        assert_eq!(post(txn, &step(squatter, TransferKind::Single)), Ok(Posted::New));
    });
    store.commit().expect("the disk is healthy");
    store.begin(Timestamp::from_millis(2_000));
    assert_eq!(run(&mut store, |txn| expire_due(txn, 10)), 1);
    assert_eq!(TRANSFERS.get(store.head(), &squatter).expect("it was posted").kind, TransferKind::Single);
    assert_eq!((TRANSFERS.scan(store.head()).count(), audit(store.head()).is_clean()), (3, true));
}

#[test]
fn two_phases_end_once() {
    let mut store = books();
    let [(a, _), (b, _), ..] = accounts()[..] else { unreachable!("there are five accounts") };
    let hold = |id: u128, expires: i64| Step {
        id: TransferId::from_u128(id),
        debit: a,
        credit: b,
        amount: 100,
        kind: TransferKind::Pending { expires_at: Some(Timestamp::from_millis(expires)) },
        code: 1,
        subject: 0,
    };
    let end = |id: u128, amount, kind| Step { id: TransferId::from_u128(id), debit: a, credit: b, amount, kind, code: 1, subject: 0 };
    let pending = TransferId::from_u128(1);
    let cases = [
        (hold(1, 5_000), Ok(Posted::New)),
        (hold(9, 500), Err(Refusal::ExpiryInThePast)),
        (end(2, 101, TransferKind::Post { pending }), Err(Refusal::ExceedsPending)),
        (end(2, 60, TransferKind::Post { pending }), Ok(Posted::New)),
        (end(3, 40, TransferKind::Post { pending }), Err(Refusal::PendingEnded)),
        (end(4, 0, TransferKind::Void { pending }), Err(Refusal::PendingEnded)),
        (hold(5, 2_000), Ok(Posted::New)),
        (end(6, 0, TransferKind::Void { pending: TransferId::from_u128(77) }), Err(Refusal::UnknownPending)),
        (end(7, 5, TransferKind::Expire { pending: TransferId::from_u128(5) }), Err(Refusal::ExpireIsInternal)),
    ];
    for (step, expected) in cases {
        assert_eq!(run(&mut store, |txn| post(txn, &step)), expected, "{step:?}");
    }
    let account = balances(&store)[&a];
    assert_eq!((account.debits_posted, account.debits_pending), (60, 100), "part was posted, the rest released; the other hold stands");
    store.commit().expect("the disk is healthy");
    store.begin(Timestamp::from_millis(2_000));
    assert_eq!(run(&mut store, |txn| expire_due(txn, 10)), 1);
    assert_eq!(run(&mut store, |txn| expire_due(txn, 10)), 0);
    let account = balances(&store)[&a];
    assert_eq!((account.debits_posted, account.debits_pending), (60, 0));
    assert!(audit(store.head()).is_clean());
}
