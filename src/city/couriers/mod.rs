//! Couriers: who they are, whether they work now, and what they carry.
//!
//! ```text
//!   account    pending ──► active ◄──► suspended            (an administrator decides)
//!
//!   presence   offline ◄──► online ◄──► break               (the courier decides; offline needs empty hands)
//!
//!              A break asked for with full hands begins when they are empty; so does the end of a shift (`until`).
//!
//!   device     heard ──nothing for minutes──► silent ──anything──► heard     (asked for nothing meanwhile; see dispatch)
//!
//!   hands      free ──ask──► asked ──answer──► free         (one live offer at a time)
//!              take on ──► carries 1..=capacity ──put down──► …
//! ```
//!
//! Reading order: [`model`], [`machine`] (presence and hands), [`commands`], [`views`], [`http`]. Dispatch moves the hands; nobody else does.

pub mod commands;
pub mod hours;
pub mod http;
pub mod machine;
pub mod model;
pub mod views;

pub use commands::CourierChanged;
pub use http::routes;
pub use model::{Availability, Carried, Courier, CourierId, Presence, Record, Refusal, Silence, Status, Vehicle};
pub use views::{get, of_user, presence, silence};
