//! What is dirty, and how a document is made of it.

use std::collections::BTreeSet;

use index::text::{Document, Kind};
use serde::Deserialize;
use storage::{Direction, Read};

use crate::city::catalog::commands::{ITEM_CHANGED, MERCHANT_CHANGED};
use crate::city::catalog::model::{ITEMS, MERCHANTS};
use crate::city::catalog::{self, Item, ItemId, Merchant, MerchantId};
use crate::engine::StoredEvent;
use crate::engine::event::EVENTS;

/// Things whose documents are out of date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    /// Themselves and all their items, which show the merchant's name, place and cuisines.
    pub merchants: BTreeSet<MerchantId>,
    pub items: BTreeSet<ItemId>,
}

#[derive(Deserialize)]
struct MerchantRef {
    merchant_id: MerchantId,
}

#[derive(Deserialize)]
struct ItemRef {
    item_id: ItemId,
}

impl Dirty {
    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.merchants.is_empty() && self.items.is_empty()
    }

    /// Adds what the events of the commands after `seq`, up to and with `to`, have changed.
    pub fn read(&mut self, read: &impl Read, seq: u64, to: u64) {
        for (_, event) in EVENTS.scan_range(read, &(seq + 1, 0_u32), &(to + 1, 0_u32), Direction::Forward) {
            self.add(&event);
        }
    }

    fn add(&mut self, event: &StoredEvent) {
        match event.name.as_str() {
            MERCHANT_CHANGED => self.merchants.extend(parsed::<MerchantRef>(event).map(|event| event.merchant_id)),
            ITEM_CHANGED => self.items.extend(parsed::<ItemRef>(event).map(|event| event.item_id)),
            _ => (),
        }
    }

    /// Everything there is.
    pub fn everything(read: &impl Read) -> Self {
        // A merchant brings its items along.
        Self { merchants: MERCHANTS.scan(read).map(|(id, _)| id).collect(), items: BTreeSet::new() }
    }

    /// The documents as they should be, one after the other.
    pub fn documents<'a>(&'a self, read: &'a impl Read) -> impl Iterator<Item = Document> + 'a {
        let merchants = self.merchants.iter().filter_map(|id| Some((*id, MERCHANTS.get(read, id)?)));
        let whole = merchants.flat_map(|(id, merchant)| {
            let items: Vec<Document> = catalog::items_of(read, id).map(|(item_id, item)| of_item(item_id, &item, id, &merchant)).collect();
            std::iter::once(of_merchant(id, &merchant)).chain(items)
        });
        let single = self.items.iter().filter_map(|id| {
            let item = ITEMS.get(read, id)?;
            if self.merchants.contains(&item.merchant) {
                return None;
            }
            Some(of_item(*id, &item, item.merchant, &MERCHANTS.get(read, &item.merchant)?))
        });
        whole.chain(single)
    }
}

fn parsed<T: for<'de> Deserialize<'de>>(event: &StoredEvent) -> Option<T> {
    let parsed = serde_json::from_str(&event.data);
    if let Err(error) = &parsed {
        // Written by this binary's own code: a mismatch is a bug, and a hole in the index, not a reason to stop feeding it.
        tracing::error!(name = event.name, %error, "a catalog event does not parse");
    }
    parsed.ok()
}

fn of_merchant(id: MerchantId, merchant: &Merchant) -> Document {
    Document {
        id: id.to_string(),
        kind: Kind::Merchant,
        merchant_id: None,
        city_id: merchant.city.to_string(),
        name: merchant.name.clone(),
        description: merchant.address.clone().unwrap_or_default(),
        category: String::new(),
        tags: Vec::new(),
        cuisines: merchant.cuisines.clone(),
        point: merchant.point(),
        rating_milli: None,
        price_minor: None,
        currency: String::new(),
        popularity: 0,
    }
}

fn of_item(id: ItemId, item: &Item, merchant_id: MerchantId, merchant: &Merchant) -> Document {
    let mut tags = item.tags.clone();
    tags.push(merchant.name.clone());
    Document {
        id: id.to_string(),
        kind: Kind::Item,
        merchant_id: Some(merchant_id.to_string()),
        city_id: merchant.city.to_string(),
        name: item.name.clone(),
        description: item.description.clone().unwrap_or_default(),
        category: item.category.clone().unwrap_or_default(),
        tags,
        cuisines: merchant.cuisines.clone(),
        point: merchant.point(),
        rating_milli: None,
        price_minor: Some(item.price.amount),
        currency: item.price.currency.to_string(),
        popularity: 0,
    }
}
