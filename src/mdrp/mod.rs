//! Real days of meal delivery: the public instances of the Meal Delivery Routing Problem, played, checked and measured.
//!
//! Pure: no engine, no HTTP, no clock. A player (the reference one here, the dispatch bench, a replay over the API) turns an
//! [`Instance`] into a [`Solution`]; [`check`] believes nothing of it; [`measure`] puts numbers on it.
//!
//! ```text
//!  folder ──► Instance ──► player ──► Solution ──► check ──► Report
//!                 │       (greedy)     │   ▲          ▲
//!                 └──► rules ──────────┘   └─ folder  └─ shares no rule with `rules`: only Instance's travel times
//! ```
//!
//! Units: every time and duration is whole **seconds** (`_s`) from the start of the day. The files hold minutes: those of an
//! instance are whole, but half of an odd service time is half a minute, and production decides between minutes. Seconds keep both exact.
//! [`Instance::travel_s`] is always a whole number of minutes, because the problem rounds travel up to minutes.
//!
//! Read in this order: `instance`, `rules`, `solution`, `checker`, `metrics`, `greedy`, `people`, `day` (a day played by anybody who decides); `table` reads and writes cells of text.
//!
//! Source: Reyes, Erera, Savelsbergh, Sahasrabudhe, O'Neil, "The Meal Delivery Routing Problem" (2018); formats and measures as
//! its public evaluator has them (mdrplib, `compute_performance_summary.py`).

mod checker;
mod day;
mod greedy;
mod instance;
mod metrics;
mod people;
mod rules;
mod solution;
mod table;

pub use checker::{Report, Rule, Violation, check};
pub use day::{Call, Mind, Moment, Played, ROUND_S, Rider, Sent, play_by};
pub use greedy::{Leave, play};
pub use instance::{Courier, Instance, Order, Parameters, Place, Point, Restaurant};
pub use metrics::{Metrics, Summary, measure};
pub use people::People;
pub use rules::{Bundle, Stop, Trip, arrival_s, just_in_time_s, pickup_s, stops, trip};
pub use solution::{Assignment, Delivery, Move, Solution};
pub use table::ReadError;
