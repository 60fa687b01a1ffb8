//! Money: amounts, prices, payments with their providers, and what they do to the ledger.
//!
//! Reading order: [`amount`] (integers of minor units, the two places where anything is rounded), [`pricing`] (what an order costs),
//! [`books`] (the chart of accounts and every template that posts into the ledger), [`payments`] (intents, refunds, webhooks),
//! [`settlement`] (an order's money goes to whom it belongs), [`sandbox`] (a payment provider for the test mode, a real other side).
//!
//! Nothing here knows what is paid for: an intent belongs to a [`payments::Subject`]. Who must follow a payment reacts to
//! [`payments::Happened`].

pub mod amount;
pub mod books;
pub mod payments;
pub mod pricing;
pub mod sandbox;
pub mod settlement;
pub mod transparency;

pub use amount::{Currency, Money};
