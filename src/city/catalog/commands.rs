//! What merchants do to what they sell.

use serde_json::{Value, json};

use super::model::{ITEMS, ITEMS_BY_MERCHANT, ITEMS_MAX, Item, ItemId, MERCHANTS, Merchant, MerchantId, Refusal};
use crate::city::cities::{self, CityId};
use crate::engine::{Event, Fault, Question, Resource, Tx};
use crate::people::users::{self, Role};

/// A merchant or an item was made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The merchant itself.
    Merchant { merchant: MerchantId, city: CityId },
    /// One of its items.
    Item { item: ItemId, merchant: MerchantId, city: CityId },
}

/// Names of [`Changed`] in streams.
pub const MERCHANT_CHANGED: &str = "MerchantChanged";
pub const ITEM_CHANGED: &str = "ItemChanged";

impl Event for Changed {
    fn name(&self) -> &'static str {
        match self {
            Self::Merchant { .. } => MERCHANT_CHANGED,
            Self::Item { .. } => ITEM_CHANGED,
        }
    }

    fn topics(&self) -> Vec<String> {
        let (Self::Merchant { merchant, city } | Self::Item { merchant, city, .. }) = self;
        vec![format!("merchant:{merchant}"), format!("city:{city}")]
    }

    fn data(&self) -> Value {
        match self {
            Self::Merchant { merchant, city } => json!({ "merchant_id": merchant, "city_id": city }),
            Self::Item { item, merchant, city } => json!({ "item_id": item, "merchant_id": merchant, "city_id": city }),
        }
    }
}

fn question(action: &'static str, id: MerchantId, merchant: &Merchant) -> Question {
    Question::new(action, Resource::new("Merchant", id).with("city", merchant.city.to_string()))
}

fn check_version(if_match: Option<u64>, version: u64) -> Result<(), Refusal> {
    if if_match.is_none_or(|wanted| wanted == version) { Ok(()) } else { Err(Refusal::Stale { version }) }
}

/// Adds a merchant; who is a merchant by role becomes its staff. `draft` is checked; its version and times are set here.
///
/// # Errors
/// [`Refusal::CityUnknown`], [`Refusal::Denied`].
pub fn create_merchant(tx: &mut Tx<'_, '_>, draft: Merchant) -> Result<(MerchantId, Merchant), Refusal> {
    let city = draft.city;
    cities::get(tx, city).ok_or(Refusal::CityUnknown)?;
    tx.authorize(&Question::new("merchants.create", Resource::new("City", city)))?;
    let id: MerchantId = tx.new_id();
    let now = tx.now();
    let merchant = Merchant { version: 1, created_at: now, updated_at: now, ..draft };
    MERCHANTS.put(tx, &id, &merchant);
    if let Some(user) = tx.caller().user_id()
        && users::get(tx, user).is_some_and(|row| row.has(Role::Merchant))
    {
        users::bind_merchant(tx, user, id.as_u128()).map_err(|refusal| Fault::new(format!("binding {user} to {id}: {refusal}")))?;
    }
    tx.emit(Changed::Merchant { merchant: id, city });
    Ok((id, merchant))
}

/// Changes a merchant. `change` gets the row as it is; the city stays.
///
/// # Errors
/// [`Refusal::MerchantUnknown`], [`Refusal::Denied`], [`Refusal::Stale`], or what `change` refuses.
pub fn edit_merchant(
    tx: &mut Tx<'_, '_>,
    id: MerchantId,
    if_match: Option<u64>,
    change: impl FnOnce(&mut Merchant) -> Result<(), Refusal>,
) -> Result<Merchant, Refusal> {
    let before = MERCHANTS.get(tx, &id).ok_or(Refusal::MerchantUnknown)?;
    let mut merchant = before.clone();
    // What is invalid is said before who may: the contract's order.
    change(&mut merchant)?;
    tx.authorize(&question("merchants.edit", id, &before))?;
    check_version(if_match, before.version)?;
    if merchant == before {
        return Ok(merchant);
    }
    merchant.version += 1;
    merchant.updated_at = tx.now();
    MERCHANTS.put(tx, &id, &merchant);
    tx.emit(Changed::Merchant { merchant: id, city: merchant.city });
    Ok(merchant)
}

/// Adds an item to a merchant's menu. `draft` is checked but for its currency; its version and times are set here.
///
/// # Errors
/// [`Refusal::MerchantUnknown`], [`Refusal::Currency`], [`Refusal::Denied`], [`Refusal::MenuFull`].
pub fn create_item(tx: &mut Tx<'_, '_>, draft: Item) -> Result<(ItemId, Item), Refusal> {
    let merchant_id = draft.merchant;
    let merchant = MERCHANTS.get(tx, &merchant_id).ok_or(Refusal::MerchantUnknown)?;
    check_currency(tx, &merchant, &draft)?;
    tx.authorize(&question("items.create", merchant_id, &merchant))?;
    if ITEMS.keys(tx, &ITEMS_BY_MERCHANT, &merchant_id).take(ITEMS_MAX).count() == ITEMS_MAX {
        return Err(Refusal::MenuFull);
    }
    let id: ItemId = tx.new_id();
    let now = tx.now();
    let item = Item { version: 1, created_at: now, updated_at: now, ..draft };
    ITEMS.put(tx, &id, &item);
    tx.emit(Changed::Item { item: id, merchant: merchant_id, city: merchant.city });
    Ok((id, item))
}

/// Changes an item. `change` gets the row as it is; the merchant stays.
///
/// # Errors
/// [`Refusal::ItemUnknown`], [`Refusal::Currency`], [`Refusal::Denied`], [`Refusal::Stale`], or what `change` refuses.
pub fn edit_item(
    tx: &mut Tx<'_, '_>,
    id: ItemId,
    if_match: Option<u64>,
    change: impl FnOnce(&mut Item) -> Result<(), Refusal>,
) -> Result<Item, Refusal> {
    let before = ITEMS.get(tx, &id).ok_or(Refusal::ItemUnknown)?;
    let merchant = MERCHANTS.get(tx, &before.merchant).ok_or_else(|| Fault::new(format!("{id} is an item of no merchant")))?;
    let mut item = before.clone();
    change(&mut item)?;
    check_currency(tx, &merchant, &item)?;
    tx.authorize(&question("items.edit", before.merchant, &merchant))?;
    check_version(if_match, before.version)?;
    if item == before {
        return Ok(item);
    }
    item.version += 1;
    item.updated_at = tx.now();
    ITEMS.put(tx, &id, &item);
    tx.emit(Changed::Item { item: id, merchant: item.merchant, city: merchant.city });
    Ok(item)
}

fn check_currency(tx: &Tx<'_, '_>, merchant: &Merchant, item: &Item) -> Result<(), Refusal> {
    let city = cities::get(tx, merchant.city).ok_or_else(|| Fault::new(format!("{} has merchants and no row", merchant.city)))?;
    let (expected, found) = (city.currency, item.price.currency);
    if expected == found { Ok(()) } else { Err(Refusal::Currency { expected, found }) }
}
