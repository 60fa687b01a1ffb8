//! The catalog: who sells, what, and when they are open.
//!
//! Rows that are created and edited, no state machine. Every change says so as [`Changed`]; the search index follows that, nobody else has to.
//!
//! Reading order: [`model`], [`hours`], [`commands`], [`views`], then the wire: [`merchants`], [`items`].

pub mod commands;
pub mod hours;
pub mod items;
pub mod merchants;
pub mod model;
pub mod views;

use utoipa_axum::router::OpenApiRouter;

pub use commands::Changed;
pub use hours::{Clock, Day, Opening};
pub use model::{Item, ItemId, ItemTag, Merchant, MerchantId, MerchantKind, MerchantTag, Refusal};
pub use views::{is_open, item, items_of, items_out, merchant};

/// Merchants, their menus, items.
pub fn routes() -> OpenApiRouter {
    merchants::routes().merge(items::routes())
}
