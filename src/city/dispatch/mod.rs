//! Who brings it: jobs look for couriers.
//!
//! Dispatch knows *jobs* (subject, pickup, drop-off, ready time, size, pay), not orders; whoever wants something brought asks with
//! [`jobs::request`] and follows [`Happened`].
//!
//! ```text
//!   job        request
//!                 │
//!                 ▼        offer               accept                 finish
//!        ┌──► Waiting ───────────► Offered ───────────► Assigned ───────────► Done
//!        │     │ ▲ ▲                  │                    │
//!        │     │ │ └── decline, lapse, void ◄──┘            │
//!        │     │ └──────────── release (not that courier again), or taken from a silent courier
//!        │     │ give up
//!        │     ▼
//!        └── Unassignable           Waiting | Offered | Assigned | Unassignable ── withdraw ──► Withdrawn
//!                                   Waiting | Assigned | Unassignable ── assign (an operator's hand) ──► Assigned
//!   request again
//!
//!   Waiting is due (a dispatcher looks now) or paused (a durable timer makes it due): too early, or nobody was there.
//!
//!   offer      Made ── accept ──► Accepted
//!               ├──── decline ──► Declined      ┐ remembered: another courier is asked, farther away
//!               ├──── deadline ─► Lapsed        ┘
//!               └──── void ─────► Withdrawn       the job went, the courier went, or nobody saw it within 10 s: not the courier's fault
//! ```
//!
//! The dispatcher is stateless: it wakes at every commit, reads the due jobs from a view, plans outside the writer, and hands each result to a
//! command that checks again what it relies on. A crash between the two loses nothing: the job is still due.
//!
//! Beside it a watch listens for signs of life, by the machine's steady clock; who falls silent loses offers at once and jobs after a grace ([`silence`]).
//!
//! Reading order: [`model`], [`machine`] (both graphs), [`travel`], [`route`], [`score`], [`policy`] (who is asked, pure), [`scene`] (what a policy sees),
//! [`horizon`] (planning ahead, pure), [`demand`] (where orders come from), [`jobs`], [`offers`] and [`silence`] (commands), [`dispatcher`], [`watch`],
//! [`by_hand`] (operators), [`explain`] (why), [`views`], [`http`].

pub mod by_hand;
pub mod demand;
pub mod desk;
pub mod dispatcher;
pub mod event;
pub mod explain;
pub mod horizon;
pub mod http;
pub mod jobs;
pub mod machine;
pub mod model;
pub mod offers;
mod older;
pub mod planted;
pub mod policy;
pub mod route;
pub mod scene;
pub mod score;
pub mod silence;
pub mod travel;
pub mod views;
pub mod watch;

pub use desk::Desk;
pub use dispatcher::Dispatcher;
pub use event::{Happened, RouteChanged, What};
pub use http::{Described, Services, routes};
pub use jobs::{dropoff_moved, finished, on_look, picked_up, ready_changed, release, request, withdraw};
pub use model::{Job, JobId, JobState, Offer, OfferId, OfferState, Refusal, Request};
pub use offers::{on_deadline, on_unseen};
pub use watch::{Watch, WatchConfig};

use crate::city::{couriers, shifts};
use crate::engine::Wiring;

/// Registers the module's own timers, and who in the city follows a job under way.
pub fn wire(wiring: &mut Wiring) {
    wiring.on(crate::city::eta::on_dispatch);
    wiring.timer(jobs::TIMER_LOOK, jobs::on_look);
    wiring.timer(offers::TIMER_DEADLINE, offers::on_deadline);
    wiring.timer(offers::TIMER_UNSEEN, offers::on_unseen);
    wiring.timer(silence::TIMER_GRACE, silence::on_grace_over);
    wiring.timer(shifts::TIMER, shifts::on_due);
    wiring.timer(couriers::commands::TIMER_SHIFT_END, couriers::commands::on_shift_end);
}
