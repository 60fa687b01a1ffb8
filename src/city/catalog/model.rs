//! Words: ids, rows, refusals.

use index::geo::Point;
use serde::{Deserialize, Serialize};
use storage::{Id, Index, Kind, Row, Table, Timestamp};
use utoipa::ToSchema;

use super::hours::Opening;
use crate::city::cities::CityId;
use crate::city::field::Invalid;
use crate::city::place::Place;
use crate::engine::{Denied, Fault};
use crate::money::{Currency, Money};

/// Ids of merchants (`mer_…`).
#[derive(Debug)]
pub struct MerchantTag;
impl Kind for MerchantTag {
    const PREFIX: &'static str = "mer";
}
pub type MerchantId = Id<MerchantTag>;

/// Ids of items (`itm_…`).
#[derive(Debug)]
pub struct ItemTag;
impl Kind for ItemTag {
    const PREFIX: &'static str = "itm";
}
pub type ItemId = Id<ItemTag>;

/// A merchant may have this many items, so that a menu is one answer.
pub const ITEMS_MAX: usize = 1_000;
/// How long a merchant needs where nobody said otherwise.
pub const PREP_MINUTES_DEFAULT: u32 = 15;

/// What sort of merchant. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MerchantKind {
    Restaurant,
    Shop,
}

/// Somebody who sells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Merchant {
    pub city: CityId,
    pub name: String,
    pub kind: MerchantKind,
    pub position: Place,
    pub address: Option<String>,
    pub phone: Option<String>,
    /// Lower case, without repeats.
    pub cuisines: Vec<String>,
    /// From acceptance until an order is ready, if they do not say otherwise.
    pub prep_minutes: u32,
    /// `None`: always open.
    pub hours: Option<Vec<Opening>>,
    /// Counts changes, from 1.
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Row for Merchant {
    const VERSION: u8 = 1;
}

impl Merchant {
    /// Where it is.
    #[must_use]
    pub fn point(&self) -> Point {
        self.position.point()
    }
}

/// Something that a merchant sells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub merchant: MerchantId,
    pub name: String,
    /// In the city's currency.
    pub price: Money,
    pub description: Option<String>,
    pub category: Option<String>,
    /// Lower case, without repeats.
    pub tags: Vec<String>,
    pub available: bool,
    /// Not available before then, whatever `available` says.
    pub unavailable_until: Option<Timestamp>,
    /// Counts changes, from 1.
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Row for Item {
    const VERSION: u8 = 1;
}

impl Item {
    /// Whether it can be ordered at `at`, as far as the item itself is concerned.
    #[must_use]
    pub fn is_available(&self, at: Timestamp) -> bool {
        self.available && self.unavailable_until.is_none_or(|until| until <= at)
    }
}

/// Merchants of a city, the oldest first.
pub static MERCHANTS_BY_CITY: Index<MerchantId, Merchant> =
    Index::new(311, "catalog.merchants.by_city", |_, merchant, keys| keys.add(&merchant.city));
/// All merchants, the oldest first: ids are ordered by the time of making.
pub static MERCHANTS_BY_AGE: Index<MerchantId, Merchant> = Index::new(312, "catalog.merchants.by_age", |_, _, keys| keys.add(&()));
pub static MERCHANTS: Table<MerchantId, Merchant> = Table::new(310, "catalog.merchants", &[&MERCHANTS_BY_CITY, &MERCHANTS_BY_AGE]);

/// A merchant's items, the oldest first.
pub static ITEMS_BY_MERCHANT: Index<ItemId, Item> = Index::new(316, "catalog.items.by_merchant", |_, item, keys| keys.add(&item.merchant));
/// A merchant's items that are not simply available: few, so that asking what is out does not read the whole menu.
pub static ITEMS_OUT: Index<ItemId, Item> = Index::new(317, "catalog.items.out", |_, item, keys| {
    if !item.available || item.unavailable_until.is_some() {
        keys.add(&item.merchant);
    }
});
pub static ITEMS: Table<ItemId, Item> = Table::new(315, "catalog.items", &[&ITEMS_BY_MERCHANT, &ITEMS_OUT]);

/// Why not.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("no such merchant")]
    MerchantUnknown,
    #[error("no such item")]
    ItemUnknown,
    #[error("no such city")]
    CityUnknown,
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("prices here are in {expected}, not {found}")]
    Currency { expected: Currency, found: Currency },
    #[error("a menu has at most {ITEMS_MAX} items")]
    MenuFull,
    /// Edited meanwhile.
    #[error("it has version {version} by now")]
    Stale { version: u64 },
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Fault(#[from] Fault),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stored layouts: a change here is a new `VERSION` and an `upgrade`.
    #[test]
    fn golden_bytes() {
        let id = 0x0102_0304_0506_0708_090A_0B0C_0D0E_0F10_u128;
        let merchant = Merchant {
            city: CityId::from_u128(id),
            name: "M".to_owned(),
            kind: MerchantKind::Shop,
            position: Point::new(0.5, -2.0).expect("on earth").into(),
            address: None,
            phone: Some("+1".to_owned()),
            cuisines: vec!["a".to_owned()],
            prep_minutes: 300,
            hours: Some(vec![Opening {
                day: super::super::Day::Sun,
                opens: "22:30".parse().expect("a time"),
                closes: "03:05".parse().expect("a time"),
            }]),
            version: 2,
            created_at: Timestamp::from_millis(1),
            updated_at: Timestamp::from_millis(2),
        };
        let place = [0.5_f64, -2.0].map(f64::to_le_bytes).concat();
        let tail = [0, 1, 2, b'+', b'1', 1, 1, b'a', 0xAC, 2, 1, 1, 6, 22, 30, 3, 5, 2, 2, 4];
        let bytes = [&[1], id.to_be_bytes().as_slice(), &[1, b'M', 1], &place, &tail].concat();
        assert_eq!(merchant.to_bytes(), bytes);
        assert_eq!(Merchant::from_bytes(&bytes), Some(merchant));

        let item = Item {
            merchant: MerchantId::from_u128(id),
            name: "I".to_owned(),
            price: Money::new(150, "GHS".parse().expect("a currency")),
            description: None,
            category: Some("c".to_owned()),
            tags: vec!["t".to_owned()],
            available: true,
            unavailable_until: Some(Timestamp::from_millis(3)),
            version: 1,
            created_at: Timestamp::from_millis(1),
            updated_at: Timestamp::from_millis(2),
        };
        let tail = [1, b'I', 0xAC, 2, b'G', b'H', b'S', 0, 1, 1, b'c', 1, 1, b't', 1, 1, 6, 1, 2, 4];
        let bytes = [&[1], id.to_be_bytes().as_slice(), &tail].concat();
        assert_eq!(item.to_bytes(), bytes);
        assert_eq!(Item::from_bytes(&bytes), Some(item));
    }

    #[test]
    fn items_come_back_by_themselves() {
        let at = Timestamp::from_millis;
        for (available, until, expected) in
            [(true, None, true), (false, None, false), (true, Some(6), false), (true, Some(5), true), (false, Some(4), false)]
        {
            let item = Item {
                merchant: MerchantId::from_u128(0),
                name: String::new(),
                price: Money::zero("GHS".parse().expect("a currency")),
                description: None,
                category: None,
                tags: Vec::new(),
                available,
                unavailable_until: until.map(at),
                version: 1,
                created_at: at(0),
                updated_at: at(0),
            };
            assert_eq!(item.is_available(at(5)), expected, "{available} {until:?}");
        }
    }
}
