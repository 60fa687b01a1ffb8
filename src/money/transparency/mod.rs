//! The ledger in the open: anybody can check that it was never rewritten, and nobody learns whose money it is.
//!
//! ```text
//!   commit (posts transfers) ──► publisher ── entries, hashes ──► rows (DATA/ledger/, a cache)
//!                                    │
//!                                    └── signs ──► DATA/keys/ledger.head ──► GET /ledger/checkpoint
//!   stranger: old checkpoint + new checkpoint + tiles ──► "only grew", or proof of a fork
//! ```
//! The published head never goes back: it is durable beside the keys before anybody sees it, so that a state that was restored to before it, or in
//! which a transfer was rewritten, is noticed at the start. Then nothing more is published and the operators are told.
//!
//! Reading order: [`note`] (checkpoints and their signatures), [`keys`], [`rows`] (the hashes on disk), [`publisher`], [`http`], [`verify`] (what a stranger does,
//! and `medina ledger verify`).
//!
//! Sources: C2SP `tlog-checkpoint`, `signed-note`, `tlog-tiles`; RFC 6962.

pub mod http;
pub mod keys;
pub mod note;
pub mod publisher;
pub mod rows;
pub mod verify;

pub use publisher::{Head, Publisher};
