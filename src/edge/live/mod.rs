//! Live topics over WebSocket and SSE: what was committed, in order, resumable, and positions in between.
//!
//! [`frame`] is what is told; [`hub`] follows the commits and hands each event to those who subscribed; [`following`] is one client's way
//! along one topic; [`socket`] and [`sse`] speak to a client; [`http`] has the routes.

pub mod following;
pub mod frame;
pub mod http;
pub mod hub;
pub mod socket;
pub mod sse;

pub use frame::Frame;
pub use hub::Hub;

use futures_util::future::BoxFuture;
use storage::View;

use super::problem::Problem;
use crate::engine::{Caller, Engine, Question};

/// What the live edge needs of the product; the composition root implements it.
pub trait Topics: Send + Sync {
    /// The topic's full name (`courier:me` → `courier:cou_…`) and the question whether the caller may follow it.
    ///
    /// # Errors
    /// 404 for a topic that is not there.
    fn resolve(&self, view: &View, caller: &Caller, topic: &str) -> Result<(String, Question), Problem>;
    /// A client's message other than `auth` and `subscribe` (a courier's pings): its answer.
    fn message<'a>(
        &'a self,
        engine: &'a Engine,
        caller: &'a Caller,
        message: serde_json::Value,
    ) -> BoxFuture<'a, Result<serde_json::Value, Problem>>;
    /// A client began to follow a topic (an offer reaches its courier this way).
    fn followed(&self, engine: &Engine, topic: &str);
}
