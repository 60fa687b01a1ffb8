//! Shifts: when a courier says, or is told, that they will work.
//!
//! ```text
//!   plan ──► Planned ── goes online (from a quarter of an hour before) ──► Begun ── its end ──► Ended
//!              │ ├── never did, its end ──► Missed
//!              │ └── ten minutes late: on the operators' list until they come
//!              └── cancel ──► Cancelled
//! ```
//!
//! Nobody goes online by a plan: a courier without a device in hand would be asked in vain. They are reminded, and are expected. Dispatch counts with who
//! is online; whoever is, in a shift of theirs, works until its end unless they say otherwise, and is asked for nothing that is picked up later.
//!
//! One timer follows a shift from step to step.
//!
//! Reading order: [`model`], [`commands`], [`http`].

pub mod commands;
pub mod http;
pub mod model;

pub use commands::{TIMER, on_due};
pub use http::routes;
pub use model::{Refusal, Shift, ShiftId, ShiftState};
