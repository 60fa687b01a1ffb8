//! The laws of the templates, for any story of an order.

use std::path::Path;
use std::sync::Arc;

use medina::money::Money;
use medina::money::books::chart::{self, Code};
use medina::money::books::templates::{
    RefundTo, card_captured, cash_collected, escrow_available, refund_held, refund_paid, refund_released,
};
use medina::money::payments::Method;
use medina::money::pricing::{Amounts, Basket, Fees, price};
use medina::money::settlement::{SettlementFacts, settle_order};
use proptest::collection::vec;
use proptest::prelude::*;
use storage::disk::SimDisk;
use storage::ledger::{ACCOUNTS, Posted, audit};
use storage::{Options, Store, Timestamp, Txn};

use super::ghs;

const ORDER: u128 = 1;

/// What may happen to a paid order.
#[derive(Clone, Debug)]
enum Step {
    Hold { refund: u128, amount: i64 },
    Pay { refund: u128 },
    Release { refund: u128 },
    Settle,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u128..4, 1_i64..6_000).prop_map(|(refund, amount)| Step::Hold { refund, amount }),
        2 => (0_u128..4).prop_map(|refund| Step::Pay { refund }),
        2 => (0_u128..4).prop_map(|refund| Step::Release { refund }),
        1 => Just(Step::Settle),
    ]
}

fn facts(amounts: Amounts, fees: &Fees) -> SettlementFacts {
    SettlementFacts { order: ORDER, method: Method::Card, merchant: 2, courier: Some(3), amounts, fees: fees.clone() }
}

fn to(cash: bool) -> RefundTo<'static> {
    if cash { RefundTo::Wallet(9) } else { RefundTo::Provider("sandbox") }
}

/// Plays the story, then ends it: refunds that are open are paid or released, and the order is settled, or all that is left is refunded.
fn play(txn: &mut Txn<'_>, cash: bool, amounts: Amounts, fees: &Fees, steps: &[Step], delivered: bool) -> Result<(), TestCaseError> {
    let total = amounts.money(amounts.total);
    for posted in [Posted::New, Posted::Already] {
        let paid = if cash { cash_collected(txn, 3, 7, ORDER, total) } else { card_captured(txn, "sandbox", 7, ORDER, total) };
        prop_assert_eq!(paid, Ok(posted));
    }
    // What the intent's machine guards: never more out than in, each refund once.
    let (mut refundable, mut open) = (amounts.total, Vec::new());
    let mut settled = false;
    let mut known = Vec::new();
    for step in steps {
        match *step {
            Step::Hold { refund, amount } if amount <= refundable && !known.contains(&refund) => {
                prop_assert_eq!(refund_held(txn, to(cash), refund, ORDER, Money { amount, ..total }), Ok(Posted::New));
                known.push(refund);
                open.push((refund, amount));
                refundable -= amount;
            }
            Step::Pay { refund } if open.iter().any(|(id, _)| *id == refund) => {
                prop_assert_eq!(refund_paid(txn, refund), Ok(Posted::New));
                open.retain(|(id, _)| *id != refund);
            }
            Step::Release { refund } if open.iter().any(|(id, _)| *id == refund) => {
                prop_assert_eq!(refund_released(txn, refund), Ok(Posted::New));
                let back = open.iter().find(|(id, _)| *id == refund).map_or(0, |(_, amount)| *amount);
                open.retain(|(id, _)| *id != refund);
                refundable += back;
            }
            Step::Settle => {
                prop_assert_eq!(settle_order(txn, &facts(amounts, fees)), Ok(()));
                settled = true;
            }
            Step::Hold { .. } | Step::Pay { .. } | Step::Release { .. } => (),
        }
    }
    if delivered && !settled {
        prop_assert_eq!(settle_order(txn, &facts(amounts, fees)), Ok(()));
    } else if !settled && refundable > 0 {
        prop_assert_eq!(refund_held(txn, to(cash), 99, ORDER, Money { amount: refundable, ..total }), Ok(Posted::New));
        open.push((99, refundable));
    }
    for (refund, _) in open {
        // A refund of an order that is not settled must be paid to end it; of a settled one it may fail.
        let ended = if refund % 2 == 0 && (settled || delivered) { refund_released(txn, refund) } else { refund_paid(txn, refund) };
        prop_assert_eq!(ended, Ok(Posted::New));
    }
    prop_assert_eq!(escrow_available(txn, ORDER, ghs()), 0);
    let escrow = ACCOUNTS.get(txn, &chart::key(Code::Escrow, ORDER, ghs())).expect("it was paid into");
    prop_assert_eq!((escrow.credit_balance(), escrow.debits_pending), (0, 0));
    Ok(())
}

proptest! {
    /// However an order ends, its escrow ends empty, every currency balances, and the balances are what the transfers add up to.
    #[test]
    fn escrow_is_empty_at_the_end(
        subtotal in 1_i64..8_000, distance_m in 0_u32..9_000, tip in 0_i64..500, discount in 0_i64..500, tax_ppm in 0_u32..300_000, tax_included: bool,
        steps in vec(any_step(), 0..10), delivered: bool, cash: bool,
    ) {
        let fees = Fees { tax_ppm, tax_included, ..Fees::default() };
        let amounts = price(&fees, ghs(), &Basket { items_subtotal: subtotal, distance_m, tip, discount, surge_ppm: 0 }).expect("in range");
        let options = Options { segment_bytes: 64 << 10, cache_bytes: 1 << 20, ..Options::with_seed([2; 32]) };
        let mut store = Store::open(Arc::new(SimDisk::new(5)), Path::new("data"), options).expect("a new folder opens");
        store.begin(Timestamp::from_millis(1_000));
        let ran = store.run(|txn| play(txn, cash, amounts, &fees, &steps, delivered));
        ran.map(drop)?;
        let books = audit(store.head());
        prop_assert!(books.is_clean(), "{:?}", books);
    }
}
