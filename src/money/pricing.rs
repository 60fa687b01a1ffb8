//! What an order costs: integers in, integers out, and the parts add up.
//!
//! ```text
//!   subtotal       Σ price × quantity
//! + delivery_fee   max(delivery_min, base + per_km × distance), paid by distance in metres
//! + service_fee    service_ppm of the subtotal, and the small-order fee below its limit
//! + surge          surge_ppm of the delivery fee
//! − discount       at most everything above
//!   ── taxed: tax_ppm of it, on top, or already inside where tax_included ──
//! + tip
//! = total          (with tax on top: + tax)
//! ```

use serde::{Deserialize, Serialize};

use super::amount::{Currency, Money, PPM, ratio_half_even};

/// A city's fees. Amounts are minor units of the city's currency, rates are parts per million.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fees {
    /// Delivery: the start.
    pub base: i64,
    /// Delivery: for each kilometre, by the metre.
    pub per_km: i64,
    /// Delivery: never less.
    pub delivery_min: i64,
    /// Delivery: never more, if above zero.
    pub delivery_max: i64,
    /// The platform's service fee, of the subtotal.
    pub service_ppm: u32,
    /// Below this subtotal the small-order fee is due.
    pub small_order_below: i64,
    pub small_order_fee: i64,
    /// Tax on everything but the tip.
    pub tax_ppm: u32,
    /// Prices hold the tax already.
    pub tax_included: bool,
    /// What the platform keeps of the merchant's net sales.
    pub commission_ppm: u32,
    /// What the courier gets of the net delivery fee and surge; the tip is theirs whole.
    pub courier_share_ppm: u32,
}

impl Fees {
    /// Starting values: 2.00 and 0.50 per kilometre, 5 % service, 20 % commission, 80 % of the fee to the courier, no tax, in units of the
    /// currency's major unit (200 and 50 where it has two digits).
    #[must_use]
    pub fn for_currency(currency: Currency) -> Self {
        Self::scaled(currency.minor_digits())
    }

    fn scaled(minor_digits: u32) -> Self {
        let tenths = |count: i64| ratio_half_even(count, 10_i64.pow(minor_digits), 10).expect("a few units fit").max(1);
        Self {
            base: tenths(20),
            per_km: tenths(5),
            delivery_min: tenths(20),
            delivery_max: 0,
            service_ppm: 50_000,
            small_order_below: 0,
            small_order_fee: 0,
            tax_ppm: 0,
            tax_included: true,
            commission_ppm: 200_000,
            courier_share_ppm: 800_000,
        }
    }

    /// Whether every value is one that prices can be made of; the field and what it may be if not.
    ///
    /// # Errors
    /// The field's name and its range in words.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let amounts = [
            ("base", self.base),
            ("per_km", self.per_km),
            ("delivery_min", self.delivery_min),
            ("delivery_max", self.delivery_max),
            ("small_order_below", self.small_order_below),
            ("small_order_fee", self.small_order_fee),
        ];
        if let Some((name, _)) = amounts.into_iter().find(|(_, amount)| !(0..=AMOUNT_MAX).contains(amount)) {
            return Err((name, "0 to 1000000000000 minor units"));
        }
        let rates = [
            ("service_ppm", self.service_ppm),
            ("tax_ppm", self.tax_ppm),
            ("commission_ppm", self.commission_ppm),
            ("courier_share_ppm", self.courier_share_ppm),
        ];
        match rates.into_iter().find(|(_, rate)| i64::from(*rate) > PPM) {
            Some((name, _)) => Err((name, "0 to 1000000 parts per million")),
            None => Ok(()),
        }
    }
}

/// Two digits; a city that knows its currency takes [`Fees::for_currency`].
impl Default for Fees {
    fn default() -> Self {
        Self::scaled(2)
    }
}

/// The largest amount that pricing takes or gives, in minor units: far from overflow in every sum.
pub const AMOUNT_MAX: i64 = 1_000_000_000_000;

/// What is priced. `surge_ppm` is on top of the delivery fee: 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Basket {
    pub items_subtotal: i64,
    pub distance_m: u32,
    pub tip: i64,
    pub discount: i64,
    pub surge_ppm: u32,
}

/// A price and its parts, in minor units of `currency`; none is negative.
///
/// `total = subtotal + delivery_fee + service_fee + surge − discount + tip`, and `+ tax` unless it is included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    pub currency: Currency,
    pub subtotal: i64,
    pub delivery_fee: i64,
    pub service_fee: i64,
    pub surge: i64,
    pub discount: i64,
    pub tax: i64,
    pub tip: i64,
    pub total: i64,
    pub tax_included: bool,
}

/// An amount is negative or above [`AMOUNT_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount is negative or too large")]
pub struct OutOfRange;

/// The price of `basket`.
///
/// # Errors
/// [`OutOfRange`] if anything given or the total is outside `0..=AMOUNT_MAX`.
pub fn price(fees: &Fees, currency: Currency, basket: &Basket) -> Result<Amounts, OutOfRange> {
    fees.check().map_err(|_| OutOfRange)?;
    let Basket { items_subtotal: subtotal, distance_m, tip, discount, surge_ppm } = *basket;
    for amount in [subtotal, tip, discount] {
        in_range(amount)?;
    }
    let delivery_fee = delivery_fee(fees, distance_m)?;
    let small = if subtotal < fees.small_order_below { fees.small_order_fee } else { 0 };
    let service_fee = part(subtotal, fees.service_ppm)? + small;
    let surge = part(delivery_fee, surge_ppm)?;
    let before = in_range(subtotal + delivery_fee + service_fee + surge)?;
    let discount = discount.min(before);
    let taxed = before - discount;
    let tax = if fees.tax_included { included_tax(taxed, fees.tax_ppm)? } else { part(taxed, fees.tax_ppm)? };
    let on_top = if fees.tax_included { 0 } else { tax };
    let total = in_range(taxed + on_top + tip)?;
    Ok(Amounts { currency, subtotal, delivery_fee, service_fee, surge, discount, tax, tip, total, tax_included: fees.tax_included })
}

fn in_range(amount: i64) -> Result<i64, OutOfRange> {
    if (0..=AMOUNT_MAX).contains(&amount) { Ok(amount) } else { Err(OutOfRange) }
}

fn part(amount: i64, rate_ppm: u32) -> Result<i64, OutOfRange> {
    ratio_half_even(amount, i64::from(rate_ppm), PPM).ok_or(OutOfRange).and_then(in_range)
}

/// What an amount that holds the tax already holds of it: `gross × r ÷ (1 + r)`.
fn included_tax(gross: i64, tax_ppm: u32) -> Result<i64, OutOfRange> {
    ratio_half_even(gross, i64::from(tax_ppm), PPM + i64::from(tax_ppm)).ok_or(OutOfRange)
}

fn delivery_fee(fees: &Fees, distance_m: u32) -> Result<i64, OutOfRange> {
    let by_distance = ratio_half_even(fees.per_km, i64::from(distance_m), 1000).ok_or(OutOfRange).and_then(in_range)?;
    let fee = (fees.base + by_distance).max(fees.delivery_min);
    in_range(if fees.delivery_max > 0 { fee.min(fees.delivery_max) } else { fee })
}

impl Amounts {
    /// One of the amounts with its currency.
    #[must_use]
    pub fn money(&self, amount: i64) -> Money {
        Money::new(amount, self.currency)
    }

    /// As the API shows it.
    #[must_use]
    pub fn shown(&self) -> ShownAmounts {
        ShownAmounts {
            subtotal: self.money(self.subtotal),
            delivery_fee: self.money(self.delivery_fee),
            service_fee: self.money(self.service_fee),
            surge: self.money(self.surge),
            discount: self.money(self.discount),
            tax: self.money(self.tax),
            tip: self.money(self.tip),
            total: self.money(self.total),
            tax_included: self.tax_included,
        }
    }
}

/// [`Amounts`] on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ShownAmounts {
    pub subtotal: Money,
    pub delivery_fee: Money,
    pub service_fee: Money,
    pub surge: Money,
    pub discount: Money,
    pub tax: Money,
    pub tip: Money,
    pub total: Money,
    pub tax_included: bool,
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn ghs() -> Currency {
        "GHS".parse().expect("a currency")
    }

    #[test]
    fn defaults_follow_the_exponent() {
        for (code, base, per_km) in [("GHS", 200, 50), ("JPY", 2, 1), ("TND", 2000, 500)] {
            let fees = Fees::for_currency(code.parse().expect("a currency"));
            assert_eq!((fees.base, fees.per_km), (base, per_km), "{code}");
        }
        let partial: Fees = serde_json::from_str(r#"{"tax_ppm": 150000}"#).expect("every field has a default");
        assert_eq!(partial, Fees { tax_ppm: 150_000, ..Fees::default() });
    }

    #[test]
    fn prices() {
        let basket = Basket { items_subtotal: 4000, distance_m: 3250, tip: 300, ..Basket::default() };
        let plain = Fees::default();
        let amounts = |fees: &Fees, basket: &Basket| {
            let shown = price(fees, ghs(), basket).expect("in range");
            (shown.delivery_fee, shown.service_fee, shown.surge, shown.discount, shown.tax, shown.total)
        };
        // 2.00 + 3.25 km × 0.50 = 3.625, half to even 3.62; 5 % of 40.00 = 2.00.
        assert_eq!(amounts(&plain, &basket), (362, 200, 0, 0, 0, 4862));
        assert_eq!(amounts(&Fees { tax_ppm: 150_000, ..plain.clone() }, &basket), (362, 200, 0, 0, 595, 4862), "inside");
        assert_eq!(
            amounts(&Fees { tax_ppm: 150_000, tax_included: false, ..plain.clone() }, &basket),
            (362, 200, 0, 0, 684, 5546),
            "on top"
        );
        assert_eq!(amounts(&Fees { delivery_max: 300, ..plain.clone() }, &basket), (300, 200, 0, 0, 0, 4800));
        assert_eq!(amounts(&Fees { small_order_below: 5000, small_order_fee: 100, ..plain.clone() }, &basket), (362, 300, 0, 0, 0, 4962));
        assert_eq!(amounts(&plain, &Basket { surge_ppm: 500_000, ..basket }), (362, 200, 181, 0, 0, 5043));
        assert_eq!(amounts(&plain, &Basket { discount: 1_000_000, ..basket }), (362, 200, 0, 4562, 0, 300), "a discount never pays out");
        for bad in [
            Basket { tip: -1, ..basket },
            Basket { items_subtotal: AMOUNT_MAX + 1, ..basket },
            Basket { items_subtotal: AMOUNT_MAX, ..basket },
        ] {
            assert_eq!(price(&plain, ghs(), &bad), Err(OutOfRange), "{bad:?}");
        }
    }

    #[test]
    fn golden_bytes() {
        let amounts = price(&Fees::default(), ghs(), &Basket { items_subtotal: 100, ..Basket::default() }).expect("in range");
        assert_eq!(postcard::to_stdvec(&amounts).expect("encodes"), [b'G', b'H', b'S', 200, 1, 144, 3, 10, 0, 0, 0, 0, 226, 4, 1]);
        let fees = postcard::to_stdvec(&Fees::default()).expect("encodes");
        assert_eq!(fees, [144, 3, 100, 144, 3, 0, 208, 134, 3, 0, 0, 0, 1, 192, 154, 12, 128, 234, 48]);
        assert_eq!(postcard::from_bytes::<Fees>(&fees).expect("decodes"), Fees::default());
    }

    prop_compose! {
        pub(crate) fn any_fees()(
            base in 0_i64..10_000, per_km in 0_i64..1000, delivery_min in 0_i64..1000, service_ppm in 0_u32..200_000, tax_ppm in 0_u32..400_000,
            tax_included: bool, commission_ppm in 0_u32..=1_000_000, courier_share_ppm in 0_u32..=1_000_000, small_order_below in 0_i64..5000,
        ) -> Fees {
            Fees { base, per_km, delivery_min, delivery_max: 0, service_ppm, small_order_below, small_order_fee: 150, tax_ppm, tax_included, commission_ppm, courier_share_ppm }
        }
    }

    prop_compose! {
        pub(crate) fn any_basket()(
            items_subtotal in 0_i64..1_000_000, distance_m in 0_u32..40_000, tip in 0_i64..10_000, discount in 0_i64..20_000, surge_ppm in 0_u32..2_000_000,
        ) -> Basket {
            Basket { items_subtotal, distance_m, tip, discount, surge_ppm }
        }
    }

    proptest! {
        /// The parts of every price add up, none is negative, and a longer way is never cheaper.
        #[test]
        fn parts_add_up_to_the_total(fees in any_fees(), basket in any_basket(), further in 0_u32..10_000) {
            let amounts = price(&fees, ghs(), &basket).expect("in range");
            let on_top = if amounts.tax_included { 0 } else { amounts.tax };
            let sum = amounts.subtotal + amounts.delivery_fee + amounts.service_fee + amounts.surge - amounts.discount + amounts.tip + on_top;
            prop_assert_eq!(sum, amounts.total);
            for part in [amounts.subtotal, amounts.delivery_fee, amounts.service_fee, amounts.surge, amounts.discount, amounts.tax, amounts.tip, amounts.total] {
                prop_assert!(part >= 0);
            }
            let longer = price(&fees, ghs(), &Basket { distance_m: basket.distance_m + further, ..basket }).expect("in range");
            prop_assert!(longer.delivery_fee >= amounts.delivery_fee);
        }
    }
}
