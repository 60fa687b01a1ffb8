//! Pictures: stored once by the hash of their bytes, served as what they are.
//!
//! The row goes through the log, the bytes do not: they lie in `DATA/media/`, named by their BLAKE3 hash, durable before the row is written. A crash in
//! between leaves a file that nobody refers to, never a row without its file.
//!
//! Reading order: [`model`], [`sniff`], [`shelf`], [`commands`], [`http`].

pub mod commands;
pub mod http;
pub mod model;
pub mod shelf;
pub mod sniff;

pub use http::routes;
pub use model::{Media, MediaId, MediaTag};
pub use shelf::Shelf;
