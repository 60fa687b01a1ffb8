//! The verticals. The first: a basket becomes a quote, a quote becomes an order, an order is cooked, carried and settled.
//!
//! Reading order: [`carts`], [`quotes`], [`orders`]. The three are one vertical: a quote reads its cart, an order its quote, never the other way.
//! They share [`address`] and [`failure`].

pub mod address;
pub mod carts;
pub mod failure;
pub mod orders;
mod problem;
pub mod quotes;

use utoipa_axum::router::OpenApiRouter;

pub use orders::http::Services;

/// All routes of the vertical.
pub fn routes(services: Services) -> OpenApiRouter {
    carts::http::routes().merge(quotes::http::routes(services.tracking.clone())).merge(orders::http::routes(services))
}

/// Registers the vertical's own timers. Payments' and dispatch's news are joined in the composition root.
pub fn wire(wiring: &mut crate::engine::Wiring) {
    use orders::consequences::{UNACCEPTED, UNPAID, UNSEEN};
    wiring.timer(UNPAID, orders::on_unpaid);
    wiring.timer(UNACCEPTED, orders::on_unaccepted);
    wiring.timer(UNSEEN, orders::on_unseen);
    wiring.timer(orders::overdue::OVERDUE, orders::on_overdue);
}
