//! Cities: where the appliance works, in which money, at which time of day, by which rules.
//!
//! A city's row says what it is and changes rarely; its [`Settings`] say how it is run. Both count their versions apart, so that an
//! operator who moves a fee does not collide with one who renames the place.
//!
//! Reading order: [`model`], [`settings`], [`area`], [`commands`], [`views`], [`http`], `wire` (settings on the wire).

pub mod area;
pub mod commands;
pub mod http;
pub mod model;
pub mod settings;
pub mod views;
mod wire;

pub use area::ServiceArea;
pub use commands::Changed;
pub use http::routes;
pub use model::{City, CityId, CityTag, Refusal};
pub use settings::{Capture, PaymentMethod, Proof, Settings};
pub use views::{at, get, serves, settings};
