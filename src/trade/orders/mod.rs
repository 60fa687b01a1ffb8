//! Orders: event-sourced. The stream of an order's events is the truth, its row is their fold.
//!
//! ```text
//! CREATED ─► PENDING_PAYMENT ─► CONFIRMED ─► ACCEPTED ─► PREPARING ─► READY_FOR_PICKUP ◄──────────────────────────┐ unassigned
//!    └───────(cash)────────────────▲ │           │           │                └─► ASSIGNED ─► EN_ROUTE_TO_RESTAURANT ─► AT_RESTAURANT
//!                                    │           │           │                                                             │ pickup code
//!    CREATED … ACCEPTED ─► CANCELLED ◄───────────┘           │           SETTLED ◄─ DELIVERED ◄─ AT_CUSTOMER ◄─ EN_ROUTE_ ◄─ PICKED_UP
//!    CONFIRMED ─► REJECTED           ▲                       │                      delivery code               TO_CUSTOMER   │
//!                                    └── PREPARING … AT_RESTAURANT (support) ── PICKED_UP … AT_CUSTOMER (DeliveryFailed, support)
//! ```
//! A courier may be found before the food is ready. Until READY that is a *leg* beside the state (notes in the stream that are not served); at READY
//! the leg's events are recorded and the state catches up.
//!
//! Reading order: [`model`] and [`state`] (words), [`record`] (rows), [`machine`] (what happens), [`fold`] (what it leaves), [`stream`] (recording, and the audit),
//! [`placing`], [`kitchen`], [`ride`], [`moving`], [`ending`] (commands by who asks), [`follow`] and [`overdue`] (payments, dispatch, timers), [`views`] and [`list`] (reads),
//! [`bodies`], [`http`], [`http_list`] (the wire).

pub mod bodies;
pub mod consequences;
pub mod ending;
pub mod fold;
pub mod follow;
pub mod http;
pub mod http_list;
pub mod kitchen;
pub mod list;
pub mod machine;
pub mod model;
pub mod moving;
pub mod number;
pub mod overdue;
pub mod parts;
pub mod placing;
pub mod record;
pub mod ride;
pub mod served;
pub mod state;
pub mod stream;
pub mod track;
pub mod views;

pub use follow::{on_dispatch, on_expected, on_payment, on_unaccepted, on_unpaid, on_unseen};
pub use model::{OrderId, State};
pub use overdue::on_overdue;
pub use stream::{Confirmed, EtaChanged, Happened, LegChanged, Mismatch, audit};
