//! Where couriers are: pings in, live positions out, and a sampled track as evidence.
//!
//! ```text
//!   ping ──► sign of life ──► check (age, future, accuracy, order, reach) ──► slot (memory) ──┬─► feed: who watches an order under way
//!                                  │ │ │                                          ▲            ├─► index picture, every 250 ms: who is near
//!                                  │ │ └─ a jump: kept apart ── others confirm ───┘            └─► trail ──every 30 s──► one `tracks` row a courier
//!                                  │ └─── late: only into the trail, by device time ────────────────► ▲
//!                                  └───── rejected, counted
//! ```
//! A ping never touches the log and waits for nobody. Three times are kept apart: the device's (where on the way), ours (what is believed, and how late
//! it came), and the machine's steady clock (who has fallen silent). What is in memory is lost with the process; after a start the slots are filled from
//! the presence rows and the next pings.
//!
//! Reading order: [`check`] and [`doubt`] (the rules, pure), [`signs`] (who was heard of), [`live`] (slots, feed), `intake` (pings in), `stated` (what is said of it), [`doing`] (what a
//! search shows of whom it finds), [`track`] (the sampled rows), [`http`].

pub mod check;
pub mod doing;
pub mod doubt;
pub mod http;
mod intake;
pub mod live;
pub mod signs;
mod stated;
pub mod track;

pub use check::{Ping, Rejected};
pub use doubt::Doubt;
pub use http::routes;
pub use intake::{Accepted, Alarm, Received};
pub use live::{Live, Moved, Passed, Tracking};
pub use signs::Heard;
pub use track::{TRACKS, Track};
