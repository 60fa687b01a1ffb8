//! Carts: what somebody means to order, from one merchant. The client makes the id and puts the whole cart each time.
//!
//! Reading order: [`model`], [`commands`], [`http`].

pub mod commands;
pub mod http;
pub mod model;
