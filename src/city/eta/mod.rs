//! When it will be at the door: followed on the way, told when it matters, and measured at the end.
//!
//! ```text
//!   assigned ──► a row: expected then        ping ──► the watcher, at most once in LOOK_EVERY_S a courier: the way from here, by the travel provider
//!   picked up ─► expected now                                │ moved by more than the dead band, or near for the first time
//!   arrived                                                  ▼
//!   delivered ─► the errors are counted                 one command: the row, `JobExpected` (orders follow it with EtaChanged), `CourierNear`
//!   unassigned, withdrawn ─► the row is gone
//! ```
//! What a customer is shown moves only when the new time differs by more than a share of what is left ([`machine::dead_band_s`]): positions jitter, promises
//! should not.
//!
//! Reading order: [`model`], [`machine`] (what is worth telling, pure), [`commands`], [`watcher`], [`views`].

pub mod commands;
pub mod machine;
pub mod model;
pub mod views;
pub mod watcher;

pub use commands::{arrived, ended, on_dispatch, picked_up};
pub use model::{CourierNear, Expected, JobExpected, Stop};
pub use watcher::EtaWatcher;
