//! Quotes: what a cart costs at a door, honoured until it expires, used once.
//!
//! Reading order: [`model`], [`commands`], [`http`].

pub mod commands;
pub mod http;
pub mod model;
