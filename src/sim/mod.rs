//! The simulator: the product's own commands on a disk, a clock and clients that misbehave, all under one seed.
//!
//! ```text
//!   seed ──► a small city, cloned ──► lives ──► each ended by a crash, a fault or in peace
//!              │                        │
//!              │   batches of commands by clients who repeat what they got no answer to,
//!              │   effects to a provider that is slow, forgetful and repeats itself,
//!              │   timers, folds, sweeps, a clock that jumps
//!              └──────────────────────► crash images ──► recovered, and checked against what was promised
//! ```
//! Promised: what was answered is there and is answered the same again; what was refused changed nothing; what got no answer is there wholly or not at
//! all; nothing else ever is. [`book`] holds the promises, [`crate::app::inspection`] the laws that hold between rows.
//!
//! One thread plays a seed, and nothing in it asks the machine for time or chance: a seed is a failure's address.
//!
//! Reading order: [`dice`], [`town`] (the disk that every seed starts from), [`act`] (what can be asked), [`crowd`] (who asks what), [`provider`] (the
//! other side of card payments), [`book`] (promises and checks), [`play`] (one seed), [`batch`] (one batch of it), `pair` (a follower, promotions), [`images`] (what a crash leaves),
//! [`campaign`] (many seeds).

pub mod act;
pub mod batch;
pub mod book;
pub mod campaign;
pub mod crowd;
pub mod dice;
pub mod images;
mod pair;
pub mod play;
pub mod provider;
pub mod town;

pub use campaign::{Campaign, Report};
pub use play::{Broken, Nodes, Played, Plot, play};
pub use town::Town;
