//! Zones: polygons that a city's operators draw. Where deliveries go, where nobody is sent, and what they want to hear of.
//!
//! ```text
//!   delivery   a door must be in one of them (or in the settings' area); without any, the settings' area or the city's radius decides
//!   no_go      nobody is sent there: no quote, no order; what is under way there already is on the operators' list; ways go around it
//!   watch      only tells who comes and goes
//!
//!   pings ──► slots ──► the watcher, once a second: who moved, in which polygons (an R-tree) ──► crossings, many to a command ──► CourierEnteredZone,
//!                                                                                                                       CourierLeftZone
//! ```
//! A courier has crossed a border who is clearly beyond it, or has stayed beyond it for a while ([`border`]): a position that jitters on the line is no news.
//!
//! Reading order: [`model`], [`border`] (pure), [`commands`], [`views`], [`watcher`], [`http`].

pub mod border;
pub mod commands;
pub mod http;
pub mod model;
pub mod views;
pub mod watcher;

pub use http::routes;
pub use model::{Crossed, Purpose, Refusal, Zone, ZoneId};
pub use views::{NotServed, no_go, serves};
pub use watcher::ZoneWatcher;
