//! A cart and its lines.

use serde::{Deserialize, Serialize};
use storage::{Id, Index, Kind, Row, Table, Timestamp};

use crate::city::catalog::{ItemId, MerchantId};
use crate::city::cities::CityId;
use crate::engine::UserId;
use crate::money::Currency;

/// Ids of carts (`cart_…`); made by clients.
#[derive(Debug)]
pub struct CartTag;
impl Kind for CartTag {
    const PREFIX: &'static str = "cart";
}
pub type CartId = Id<CartTag>;

/// Lines in a cart.
pub const LINES_MAX: usize = 100;
/// Of one line.
pub const QUANTITY_MAX: u32 = 99;
/// Characters of a line's note.
pub const NOTE_CHARS_MAX: usize = 500;

/// So many of an item, at the price of the moment, in minor units of the city's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub item: ItemId,
    pub name: String,
    pub quantity: u32,
    pub unit_price: i64,
    pub note: Option<String>,
}

impl Line {
    /// Price times quantity. Prices are at most 10¹² and quantities 99, so this cannot overflow.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.unit_price * i64::from(self.quantity)
    }
}

/// The sum of the lines, in minor units.
#[must_use]
pub fn subtotal(lines: &[Line]) -> i64 {
    lines.iter().map(Line::total).sum()
}

/// What is wanted of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub item: ItemId,
    pub quantity: u32,
    pub note: Option<String>,
}

/// A stored cart. Its prices are for show; a quote prices anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    pub customer: UserId,
    pub city: CityId,
    pub merchant: MerchantId,
    pub currency: Currency,
    pub lines: Vec<Line>,
    pub updated_at: Timestamp,
}

impl Row for Cart {
    const VERSION: u8 = 1;
}

/// How long a cart that nobody puts again is kept.
pub const CART_KEPT_S: i64 = 30 * 86_400;

/// Carts by when they were last put.
pub static CARTS_BY_TIME: Index<CartId, Cart> = Index::new(421, "carts.by_time", |_, cart, keys| keys.add(&cart.updated_at));
/// Carts by id.
pub static CARTS: Table<CartId, Cart> = Table::new(420, "carts", &[&CARTS_BY_TIME]);

/// Why not. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such merchant")]
    UnknownMerchant,
    #[error("the merchant has no such item")]
    UnknownItem { place: usize },
    #[error("not available at the moment: {}", names.join(", "))]
    ItemUnavailable { items: Vec<ItemId>, names: Vec<String> },
}
