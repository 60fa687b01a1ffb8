//! `POST /v1/couriers/me/pings`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use storage::Timestamp;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::check::Ping;
use super::intake::{Accepted, Received};
use super::live::Tracking;
use crate::city::couriers;
use crate::edge::{Command, Json, P, Problem};

/// A batch has 1 to this many pings.
pub const PINGS_MAX: usize = 100;

/// A ping as a device sends it; also inside a `ping` message of `/v1/live`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PingBody {
    pub lat: f64,
    pub lon: f64,
    /// Device time.
    #[schema(value_type = String, format = DateTime)]
    pub at: String,
    #[serde(default)]
    pub accuracy_m: Option<f64>,
    #[serde(default)]
    pub speed_mps: Option<f64>,
    #[serde(default)]
    pub heading: Option<f64>,
    /// The device's own count of its fixes: tells a repeat from a clock that was set back.
    #[serde(default)]
    pub seq: Option<u64>,
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PingsBody {
    pub pings: Vec<PingBody>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct AcceptedView {
    pub accepted: u32,
    pub rejected: u32,
    /// Of the rejected: sent late, kept in the track of what the courier carries. Absent if none.
    #[serde(skip_serializing_if = "is_zero")]
    pub late: u32,
    /// Of the rejected: too far to be believed yet; if others confirm it, the courier is there. Absent if none.
    #[serde(skip_serializing_if = "is_zero")]
    pub doubted: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl From<Accepted> for AcceptedView {
    fn from(Accepted { accepted, rejected, late, doubted }: Accepted) -> Self {
        Self { accepted, rejected, late, doubted }
    }
}

/// The batch as the domain knows it.
///
/// # Errors
/// 422 with every ping that is not one.
pub fn pings(body: &PingsBody) -> Result<Vec<Ping>, Problem> {
    if body.pings.is_empty() || body.pings.len() > PINGS_MAX {
        return Err(Problem::invalid("/pings", "out_of_range", format!("1 to {PINGS_MAX} pings")));
    }
    body.pings.iter().enumerate().map(|(n, ping)| parse(n, ping)).collect()
}

fn parse(n: usize, ping: &PingBody) -> Result<Ping, Problem> {
    let point = P { lat: ping.lat, lon: ping.lon }.check(&format!("/pings/{n}"))?;
    let at: Timestamp = ping
        .at
        .parse()
        .map_err(|error: storage::clock::NotATime| Problem::invalid(format!("/pings/{n}/at"), "not_a_time", error.to_string()))?;
    Ok(Ping { point, at, accuracy_m: ping.accuracy_m, speed_mps: ping.speed_mps, heading_deg: ping.heading, seq: ping.seq })
}

/// Takes the caller's pings. Positions are not written to the log, so an Idempotency-Key has nothing to keep: a repeated batch is out of order.
#[utoipa::path(post, path = "/v1/couriers/me/pings", tag = "tracking", request_body = PingsBody, responses((status = 202, body = AcceptedView)))]
async fn ping(State(tracking): State<Arc<Tracking>>, command: Command<PingsBody>) -> Result<(StatusCode, Json<AcceptedView>), Problem> {
    let Command { caller, engine, body, .. } = command;
    let pings = pings(&body)?;
    let view = engine.view();
    let (courier, account) = couriers::commands::of_caller(&*view, &caller)?;
    engine.authorize(&view, &caller, &couriers::commands::question("couriers.ping", courier, &account))?;
    let counted = tracking.accept_pings(&*view, courier, account.vehicle, &pings, Received::now(engine.clock()));
    Ok((StatusCode::ACCEPTED, Json(counted.into())))
}

/// The routes of tracking.
pub fn routes(tracking: Arc<Tracking>) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(ping)).with_state(tracking)
}
