//! `/healthz`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};

use super::Ops;
use crate::edge::{Gate, Problem};
use crate::engine::Engine;

/// Upper ends of the classes of `medina_eta_error_seconds`.
const ARRIVAL_ERRORS_S: [f64; 6] = [60.0, 120.0, 300.0, 600.0, 1200.0, 2400.0];
/// How often what was recorded is summed up.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The process's figures; installed once, shared by every appliance in the process (tests start several).
pub fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        // How wrong expected arrivals were is a histogram: what is within so many minutes can be added up over nodes.
        let arrivals = Matcher::Full("medina_eta_error_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(arrivals, &ARRIVAL_ERRORS_S);
        let recorder = builder.expect("there are buckets").build_recorder();
        let handle = recorder.handle();
        // Another recorder can only be one of a host program's; then the figures are there.
        let _ = metrics::set_global_recorder(recorder);
        // What is recorded waits in memory until it is summed up, also where nobody ever asks for the figures.
        let kept = handle.clone();
        let upkeep = move || loop {
            std::thread::sleep(UPKEEP_EVERY);
            kept.run_upkeep();
        };
        if let Err(error) = std::thread::Builder::new().name("medina-figures".to_owned()).spawn(upkeep) {
            tracing::error!(%error, "the figures are summed up only when somebody asks for them");
        }
        handle
    })
}

/// The probes.
pub fn routes(ops: Ops) -> Router {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).route("/metrics", get(figures)).with_state(ops)
}

async fn alive() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

async fn ready(State(ops): State<Ops>) -> Response {
    let behind: Vec<Value> =
        ops.readiness.iter().filter_map(|(part, ready)| ready().err().map(|why| json!({ "part": part, "why": why }))).collect();
    if behind.is_empty() {
        Json(json!({ "status": "ready" })).into_response()
    } else {
        Problem::new(503, "not_ready", "recovered, but not everything has caught up").with("behind", behind).retry_after(1).into_response()
    }
}

async fn figures(
    State(ops): State<Ops>,
    Extension(Gate { engine, .. }): Extension<Gate>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
) -> Result<Response, Problem> {
    if !peer.ip().is_loopback() && !ops.metrics_public {
        return Err(Problem::not_found());
    }
    gauges(&engine);
    ops.figures.iter().for_each(|figures| figures());
    let text = recorder().render();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// What is measured by looking, at the moment of looking. Floats are the exposition format's; none is money.
fn gauges(engine: &Engine) {
    let stats = engine.stats();
    let view = engine.view();
    metrics::gauge!("medina_writer_queue").set(engine.queue_depth() as f64);
    metrics::gauge!("medina_seq").set(view.position().seq as f64);
    metrics::gauge!("medina_epoch").set(view.position().epoch as f64);
    metrics::counter!("medina_commands_total").absolute(stats.commands.load(Ordering::Relaxed));
    metrics::counter!("medina_batches_total").absolute(stats.batches.load(Ordering::Relaxed));
    metrics::counter!("medina_folds_total").absolute(stats.folds.load(Ordering::Relaxed));
    metrics::counter!("medina_overloaded_total").absolute(stats.overloaded.load(Ordering::Relaxed));
    for (quantile, per_mille) in [("0.5", 500), ("0.99", 990), ("0.999", 999)] {
        metrics::gauge!("medina_commit_seconds", "quantile" => quantile).set(stats.commit.quantile_us(per_mille) as f64 / 1e6);
        metrics::gauge!("medina_write_seconds", "quantile" => quantile).set(stats.write.quantile_us(per_mille) as f64 / 1e6);
    }
    let pending = crate::engine::effect::OUTBOX.keys(&*view, &crate::engine::effect::OUTBOX_BY_STATE, &0_u8).count();
    metrics::gauge!("medina_outbox_pending").set(pending as f64);
}
