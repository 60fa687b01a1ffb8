//! Where couriers are: pings in, live positions out, and a sampled track as evidence.
//!
//! ```text
//!   ping ──► check (age, future, accuracy, order, speed) ──► slot (memory) ──┬─► feed: who watches an order under way
//!                 │                                                          ├─► index picture, every 250 ms: who is near
//!                 └─► rejected, counted                                      └─► trail ──every 30 s──► one `tracks` row a courier
//! ```
//! A ping never touches the log. What is in memory is lost with the process; after a start the slots are filled from the presence rows and the
//! next pings.
//!
//! Reading order: [`check`] (the rules, pure), [`live`] (slots, feed), [`doing`] (what a search shows of whom it finds), [`track`] (the sampled rows), [`http`].

pub mod check;
pub mod doing;
pub mod http;
pub mod live;
pub mod track;

pub use check::{Ping, Rejected};
pub use http::routes;
pub use live::{Accepted, Live, Moved, Tracking};
pub use track::{TRACKS, Track};
