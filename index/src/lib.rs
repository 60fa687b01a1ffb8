//! What Medina finds things with: where couriers are now ([`geo::Positions`]), which places and areas are near
//! ([`geo::Places`], [`geo::Areas`]), how long it takes by road ([`roads::RoadMap`]), and full-text search ([`text::TextIndex`]).
//!
//! This crate knows neither storage nor HTTP nor any vertical: callers bring ids, points and documents.

pub mod geo;
#[cfg(not(loom))]
pub mod roads;
mod sync;
#[cfg(not(loom))]
pub mod text;
