//! What others read of the catalog.

use storage::table::Cursor;
use storage::{Direction, Read, Timestamp};

use super::hours;
use super::model::{
    ITEMS, ITEMS_BY_MERCHANT, ITEMS_OUT, Item, ItemId, MERCHANTS, MERCHANTS_BY_AGE, MERCHANTS_BY_CITY, Merchant, MerchantId,
};
use crate::city::cities::{City, CityId};

/// The merchant.
pub fn merchant(read: &(impl Read + ?Sized), id: MerchantId) -> Option<Merchant> {
    MERCHANTS.get(read, &id)
}

/// The item.
pub fn item(read: &(impl Read + ?Sized), id: ItemId) -> Option<Item> {
    ITEMS.get(read, &id)
}

/// What a merchant sells, the oldest first.
pub fn items_of(read: &(impl Read + ?Sized), merchant: MerchantId) -> impl Iterator<Item = (ItemId, Item)> {
    ITEMS.find(read, &ITEMS_BY_MERCHANT, &merchant)
}

/// What a merchant sells but does not have at `at`.
pub fn items_out(read: &(impl Read + ?Sized), merchant: MerchantId, at: Timestamp) -> impl Iterator<Item = ItemId> {
    ITEMS.find(read, &ITEMS_OUT, &merchant).filter(move |(_, item)| !item.is_available(at)).map(|(id, _)| id)
}

/// Whether the merchant is open at `at`, by its hours and the city's clocks; always without hours.
#[must_use]
pub fn is_open(merchant: &Merchant, city: &City, at: Timestamp) -> bool {
    merchant.hours.as_ref().is_none_or(|hours| hours::is_open(hours, &city.zone(), at))
}

/// Merchants of a city, or all, the newest first.
pub fn merchants<'a>(
    read: &'a (impl Read + ?Sized),
    city: Option<CityId>,
    after: Option<&[u8]>,
) -> Box<dyn Iterator<Item = (Cursor, MerchantId, Merchant)> + 'a> {
    match city {
        Some(city) => Box::new(MERCHANTS.page(read, &MERCHANTS_BY_CITY, &city, after, Direction::Backward)),
        None => Box::new(MERCHANTS.page(read, &MERCHANTS_BY_AGE, &(), after, Direction::Backward)),
    }
}
