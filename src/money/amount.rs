//! Amounts: integers of a currency's minor unit. No float, no implicit rounding.
//!
//! Anything that is not exact goes through [`ratio_half_even`] (one part of an amount) or [`split`] (all parts of an amount), so that parts
//! always add up to the whole.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use storage::ledger;

/// Parts per million: the unit of every rate.
pub const PPM: i64 = 1_000_000;

/// A currency of ISO 4217 that is in use and has a minor unit's exponent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Not a currency of ISO 4217, or one without minor units (gold, test codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a currency of ISO 4217 (three capital letters, such as GHS)")]
pub struct NotACurrency;

impl Currency {
    /// How many decimal digits the minor unit is away from the major one: 2 for GHS, 0 for JPY, 3 for TND.
    #[must_use]
    pub fn minor_digits(self) -> u32 {
        iso_currency::Currency::from_code(self.code()).and_then(iso_currency::Currency::exponent).map_or(2, u32::from)
    }

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the constructor took three ASCII letters")
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| NotACurrency)?;
        let known = iso_currency::Currency::from_code(text).ok_or(NotACurrency)?;
        known.exponent().filter(|digits| *digits <= 4).map(|_| Self(code)).ok_or(NotACurrency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Currency> for ledger::Currency {
    fn from(currency: Currency) -> Self {
        Self(currency.0)
    }
}

impl TryFrom<ledger::Currency> for Currency {
    type Error = NotACurrency;

    fn try_from(currency: ledger::Currency) -> Result<Self, NotACurrency> {
        std::str::from_utf8(&currency.0).map_err(|_| NotACurrency)?.parse()
    }
}

/// In JSON the code, in rows its three bytes.
impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            let code = <[u8; 3]>::deserialize(deserializer)?;
            Self::try_from(ledger::Currency(code)).map_err(de::Error::custom)
        }
    }
}

/// An amount of a currency, in minor units: `{"amount": 1250, "currency": "GHS"}` is 12.50 cedis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    pub amount: i64,
    #[schema(value_type = String, example = "GHS")]
    pub currency: Currency,
}

impl Money {
    #[must_use]
    pub const fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// The sum; none for two currencies or beyond 64 bits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        self.amount.checked_add(other.amount).map(|amount| Self::new(amount, self.currency))
    }

    /// The difference; none for two currencies or beyond 64 bits.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        self.amount.checked_sub(other.amount).map(|amount| Self::new(amount, self.currency))
    }

    /// `quantity` times; none beyond 64 bits.
    #[must_use]
    pub fn checked_mul(self, quantity: i64) -> Option<Self> {
        self.amount.checked_mul(quantity).map(|amount| Self::new(amount, self.currency))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.minor_digits() as usize;
        let sign = if self.amount < 0 { "-" } else { "" };
        let scale = 10_u64.pow(self.currency.minor_digits());
        let (major, minor) = (self.amount.unsigned_abs() / scale, self.amount.unsigned_abs() % scale);
        if digits == 0 {
            write!(f, "{sign}{major} {}", self.currency)
        } else {
            write!(f, "{sign}{major}.{minor:0digits$} {}", self.currency)
        }
    }
}

/// `amount × numerator ÷ denominator`, rounded half to even: the one place where a part of an amount is rounded.
///
/// None if the result is beyond 64 bits.
///
/// # Panics
/// If `denominator` is not above zero.
#[must_use]
pub fn ratio_half_even(amount: i64, numerator: i64, denominator: i64) -> Option<i64> {
    assert!(denominator > 0, "a ratio needs a denominator above zero");
    let product = i128::from(amount) * i128::from(numerator);
    let denominator = i128::from(denominator);
    let (quotient, rest) = (product.div_euclid(denominator), product.rem_euclid(denominator));
    let up = match (2 * rest).cmp(&denominator) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient.rem_euclid(2) == 1,
        std::cmp::Ordering::Greater => true,
    };
    i64::try_from(quotient + i128::from(up)).ok()
}

/// `rate_ppm` parts per million of `amount`, rounded half to even. A rate up to 100 % cannot leave 64 bits.
///
/// # Panics
/// If the rate is above 100 %: that is not a share.
#[must_use]
pub fn share_half_even(amount: i64, rate_ppm: u32) -> i64 {
    assert!(i64::from(rate_ppm) <= PPM, "a share is at most the whole");
    ratio_half_even(amount, i64::from(rate_ppm), PPM).expect("a share of 64 bits has 64 bits")
}

/// `amount` split by `weights`: each part is within one unit of its exact share, and the parts add up to `amount`. What rounding left goes to
/// the largest remainders, the first of equals first. With no weight above zero everything goes to the first.
///
/// # Panics
/// If `weights` is empty.
#[must_use]
pub fn split(amount: i64, weights: &[u64]) -> Vec<i64> {
    assert!(!weights.is_empty(), "somebody must get the money");
    let total: i128 = weights.iter().map(|&weight| i128::from(weight)).sum();
    if total == 0 {
        let mut parts = vec![0; weights.len()];
        parts[0] = amount;
        return parts;
    }
    let exact = |weight: u64| i128::from(amount) * i128::from(weight);
    let mut parts: Vec<i128> = weights.iter().map(|&weight| exact(weight).div_euclid(total)).collect();
    let left = i128::from(amount) - parts.iter().sum::<i128>();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|&place| (std::cmp::Reverse(exact(weights[place]).rem_euclid(total)), place));
    for place in by_remainder.into_iter().take(usize::try_from(left).expect("fewer units are left than there are parts")) {
        parts[place] += 1;
    }
    parts.into_iter().map(|part| i64::try_from(part).expect("a part is not larger than the whole")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn currencies() {
        for (code, digits) in
            [("GHS", Some(2)), ("JPY", Some(0)), ("TND", Some(3)), ("XAU", None), ("ghs", None), ("GH", None), ("ÄÖ", None), ("XYZ", None)]
        {
            assert_eq!(code.parse::<Currency>().ok().map(Currency::minor_digits), digits, "{code}");
        }
        let shown = |amount, code: &str| Money::new(amount, code.parse().expect("a currency")).to_string();
        assert_eq!((shown(1250, "GHS"), shown(-5, "GHS"), shown(70, "JPY")), ("12.50 GHS".into(), "-0.05 GHS".into(), "70 JPY".into()));
    }

    #[test]
    fn wire_and_disk() {
        let money = Money::new(1250, "GHS".parse().expect("a currency"));
        let json = serde_json::to_string(&money).expect("encodes");
        assert_eq!(json, r#"{"amount":1250,"currency":"GHS"}"#);
        assert_eq!(serde_json::from_str::<Money>(&json).expect("decodes"), money);
        for bad in [
            r#"{"amount":12.5,"currency":"GHS"}"#,
            r#"{"amount":1,"currency":"ghs"}"#,
            r#"{"amount":1,"currency":"GHS","x":1}"#,
            r#"{"amount":1}"#,
        ] {
            assert!(serde_json::from_str::<Money>(bad).is_err(), "{bad}");
        }
        let bytes = postcard::to_stdvec(&money).expect("encodes");
        assert_eq!(bytes, [0xC4, 0x13, b'G', b'H', b'S']);
        assert_eq!(postcard::from_bytes::<Money>(&bytes).expect("decodes"), money);
    }

    #[test]
    fn half_goes_to_even() {
        for (amount, numerator, denominator, expected) in [
            (5, 1, 2, 2),
            (7, 1, 2, 4),
            (-5, 1, 2, -2),
            (-7, 1, 2, -4),
            (10, 1, 3, 3),
            (11, 1, 3, 4),
            (5, -1, 2, -2),
            (i64::MAX, 1, 1, i64::MAX),
        ] {
            assert_eq!(ratio_half_even(amount, numerator, denominator), Some(expected), "{amount} × {numerator} / {denominator}");
        }
        assert_eq!(ratio_half_even(i64::MAX, 2, 1), None);
    }

    proptest! {
        /// Parts add up to the whole, and none is a unit or more away from its exact share.
        #[test]
        fn parts_add_up(amount in -1_000_000_000_000_i64..1_000_000_000_000, weights in vec(0_u64..1_000_000, 1..8)) {
            let parts = split(amount, &weights);
            prop_assert_eq!(parts.iter().sum::<i64>(), amount);
            let total: i128 = weights.iter().map(|&weight| i128::from(weight)).sum();
            if total > 0 {
                for (part, weight) in parts.iter().zip(&weights) {
                    let away = i128::from(*part) * total - i128::from(amount) * i128::from(*weight);
                    prop_assert!(away.abs() < total, "{} of {} by {:?}", part, amount, weights);
                }
            }
        }

        /// Rounding is never more than half a unit away, and a tie is even.
        #[test]
        fn rounding_is_the_nearest(amount in -1_000_000_000_i64..1_000_000_000, numerator in 0_i64..2_000_000, denominator in 1_i64..2_000_000) {
            let rounded = i128::from(ratio_half_even(amount, numerator, denominator).expect("small"));
            let away = 2 * (rounded * i128::from(denominator) - i128::from(amount) * i128::from(numerator)).abs();
            prop_assert!(away <= i128::from(denominator));
            prop_assert!(away < i128::from(denominator) || rounded % 2 == 0);
        }
    }
}
