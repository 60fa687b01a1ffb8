//! A quote, and why there is none.

use serde::{Deserialize, Serialize};
use storage::{Id, Index, Kind, Row, Table, Timestamp};

use crate::city::catalog::{ItemId, MerchantId};
use crate::city::cities::CityId;
use crate::city::place::Place;
use crate::city::zones::NotServed;
use crate::engine::UserId;
use crate::money::Currency;
use crate::money::pricing::{Amounts, Fees};
use crate::people::keyring::Sealed;
use crate::trade::carts::model::{CartId, Line};
use crate::trade::orders::OrderId;

/// Ids of quotes (`quo_…`).
#[derive(Debug)]
pub struct QuoteTag;
impl Kind for QuoteTag {
    const PREFIX: &'static str = "quo";
}
pub type QuoteId = Id<QuoteTag>;

/// How long a quote holds.
pub const QUOTE_TTL_S: i64 = 600;

/// A stored quote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    pub customer: UserId,
    pub cart: CartId,
    pub city: CityId,
    pub merchant: MerchantId,
    pub lines: Vec<Line>,
    pub amounts: Amounts,
    /// The fees that made the price; settlement goes by them too.
    pub fees: Fees,
    pub dropoff: Place,
    /// A JSON `Address`, sealed with the customer's key.
    pub address: Option<Sealed>,
    pub distance_m: u32,
    /// Until the food is ready, from acceptance.
    pub prep_s: u32,
    /// From the merchant to the door.
    pub travel_s: u32,
    pub expires_at: Timestamp,
    pub used_by: Option<OrderId>,
}

impl Row for Quote {
    const VERSION: u8 = 1;
}

/// How long a quote that became no order is kept after its end: who comes back late is told that it has expired.
pub const QUOTE_KEPT_S: i64 = 86_400;

/// Quotes that became no order, by their end.
pub static QUOTES_BY_EXPIRY: Index<QuoteId, Quote> = Index::new(431, "quotes.by_expiry", |_, quote, keys| {
    if quote.used_by.is_none() {
        keys.add(&quote.expires_at);
    }
});
/// Quotes by id.
pub static QUOTES: Table<QuoteId, Quote> = Table::new(430, "quotes", &[&QUOTES_BY_EXPIRY]);

impl From<NotServed> for Refusal {
    fn from(not: NotServed) -> Self {
        match not {
            NotServed::OutOfArea => Self::OutOfArea,
            NotServed::NoGo { zone } => Self::NoGo { zone },
        }
    }
}

/// Why not. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the cart is empty")]
    EmptyCart,
    #[error("the merchant takes no orders at the moment")]
    MerchantClosed,
    #[error("not available at the moment: {}", names.join(", "))]
    ItemUnavailable { items: Vec<ItemId>, names: Vec<String> },
    #[error("the merchant does not deliver there")]
    OutOfArea,
    #[error("nobody is sent to {zone} at the moment")]
    NoGo { zone: String },
    #[error("prices here are in {0}")]
    WrongCurrency(Currency),
    #[error("the tip cannot be that")]
    TipOutOfRange,
    #[error("the sum is too large")]
    TooExpensive,
}
