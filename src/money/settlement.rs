//! An order's money goes to whom it belongs: shares from a price, one linked transfer.
//!
//! Tax inside prices is taken out of each part in proportion, so that commission and the courier's share are of net amounts. A discount is
//! borne by the platform.

use serde::{Deserialize, Serialize};
use storage::ledger;
use storage::{Row, Table, Timestamp, Txn};

use super::amount::{Currency, share_half_even, split};
use super::books::templates;
use super::payments::Method;
use super::pricing::{Amounts, Fees};

/// What is settled, and by which rates.
#[derive(Clone, Debug)]
pub struct SettlementFacts {
    /// The order (or any other subject): the owner of the escrow.
    pub order: u128,
    pub method: Method,
    pub merchant: u128,
    /// None where nobody delivered: then a tip is the merchant's.
    pub courier: Option<u128>,
    pub amounts: Amounts,
    pub fees: Fees,
}

/// Who gets what, in minor units. The parts add up to the price before the discount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    pub currency: Currency,
    pub merchant: (u128, i64),
    pub courier: Option<(u128, i64)>,
    pub commission: i64,
    pub fees: i64,
    pub tax: i64,
    /// The platform's part of the price: the discount.
    pub promotion: i64,
}

impl Shares {
    /// Everything that leaves escrow.
    #[must_use]
    pub fn paid_out(&self) -> i64 {
        self.merchant.1 + self.courier.map_or(0, |(_, amount)| amount) + self.commission + self.fees + self.tax
    }
}

/// Divides a price.
#[must_use]
pub fn shares(facts: &SettlementFacts) -> Shares {
    let SettlementFacts { amounts, fees, .. } = facts;
    let gross = [amounts.subtotal, amounts.delivery_fee + amounts.surge, amounts.service_fee];
    let weights = gross.map(|part| u64::try_from(part).expect("no part of a price is negative"));
    let inside = if amounts.tax_included { amounts.tax } else { 0 };
    let taxes = split(inside, &weights);
    let [sales, delivery, service] = [gross[0] - taxes[0], gross[1] - taxes[1], gross[2] - taxes[2]];
    let commission = share_half_even(sales, fees.commission_ppm);
    let to_courier = facts.courier.map_or(0, |_| share_half_even(delivery, fees.courier_share_ppm));
    let merchants_tip = if facts.courier.is_none() { amounts.tip } else { 0 };
    Shares {
        currency: amounts.currency,
        merchant: (facts.merchant, sales - commission + merchants_tip),
        courier: facts.courier.map(|courier| (courier, to_courier + amounts.tip)),
        commission,
        fees: service + delivery - to_courier,
        tax: amounts.tax,
        promotion: amounts.discount,
    }
}

/// A settlement as it happened: the source of statements and earnings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    pub at: Timestamp,
    pub method: Method,
    pub shares: Shares,
}

impl Row for Settlement {
    const VERSION: u8 = 1;
}

/// Settlements by order.
pub static SETTLEMENTS: Table<u128, Settlement> = Table::new(210, "money.settlements", &[]);

/// Empties the order's escrow; a second call changes nothing.
///
/// # Errors
/// Escrow holds more than the price: nothing has been written.
pub fn settle_order(txn: &mut Txn<'_>, facts: &SettlementFacts) -> Result<(), ledger::Refusal> {
    if SETTLEMENTS.has(txn, &facts.order) {
        return Ok(());
    }
    let shares = shares(facts);
    templates::settled(txn, facts.order, &shares)?;
    let settlement = Settlement { at: txn.now(), method: facts.method, shares };
    SETTLEMENTS.put(txn, &facts.order, &settlement);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::pricing::tests::{any_basket, any_fees, ghs};
    use crate::money::pricing::{Basket, price};

    fn facts(fees: &Fees, basket: &Basket, courier: Option<u128>) -> SettlementFacts {
        let amounts = price(fees, ghs(), basket).expect("in range");
        SettlementFacts { order: 1, method: Method::Card, merchant: 2, courier, amounts, fees: fees.clone() }
    }

    #[test]
    fn a_price_divided() {
        let fees = Fees { tax_ppm: 150_000, ..Fees::default() };
        let basket = Basket { items_subtotal: 4000, distance_m: 3250, tip: 300, discount: 500, ..Basket::default() };
        let shares = shares(&facts(&fees, &basket, Some(3)));
        // 45.62 less 5.00 holds 5.30 of tax: 4.65, 0.42 and 0.23 by 40.00 : 3.62 : 2.00.
        let expected = Shares {
            currency: ghs(),
            merchant: (2, 3535 - 707),
            courier: Some((3, 256 + 300)),
            commission: 707,
            fees: 177 + 320 - 256,
            tax: 530,
            promotion: 500,
        };
        assert_eq!(shares, expected);
    }

    #[test]
    fn golden_bytes() {
        let basket = Basket { items_subtotal: 100, ..Basket::default() };
        let row =
            Settlement { at: Timestamp::from_millis(1), method: Method::Cash, shares: shares(&facts(&Fees::default(), &basket, Some(3))) };
        assert_eq!(row.to_bytes(), [1, 2, 2, b'G', b'H', b'S', 2, 160, 1, 1, 3, 192, 2, 40, 90, 0, 0]);
        assert_eq!(Settlement::from_bytes(&row.to_bytes()), Some(row));
    }

    proptest! {
        /// However a price is made, its shares add up to it and nobody's is negative.
        #[test]
        fn shares_add_up(fees in any_fees(), basket in any_basket(), delivered: bool) {
            let facts = facts(&fees, &basket, delivered.then_some(3));
            let shares = shares(&facts);
            prop_assert_eq!(shares.paid_out(), facts.amounts.total + facts.amounts.discount);
            for part in [shares.merchant.1, shares.courier.map_or(0, |(_, amount)| amount), shares.commission, shares.fees, shares.tax, shares.promotion] {
                prop_assert!(part >= 0, "{:?}", shares);
            }
        }
    }
}
