//! What surrounds every request: its id, its log line, its figures, its limits, and a net for panics.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, AllowOrigin, Any as AnyValue, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tracing::Instrument;

use super::gate::Gate;
use super::problem::{Problem, REQUEST_ID};

/// Requests under way at once; one more is told to come back.
const REQUESTS_MAX: usize = 4_096;

static REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Counters of the edge.
#[derive(Default)]
pub struct Traffic {
    pub requests: AtomicU64,
    under_way: AtomicU64,
}

/// Wraps the routes.
pub fn wrap(routes: Router, gate: Gate, traffic: Arc<Traffic>) -> Router {
    let sandbox = gate.engine.is_sandbox();
    let routes = routes
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::new(405, "method_not_allowed", "this path knows other methods: see Allow") })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(Extension(gate))
        .layer(from_fn_with_state(traffic, limited))
        .layer(from_fn(observed))
        .layer(SetResponseHeaderLayer::if_not_present(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    if sandbox { routes.layer(localhost_cors()) } else { routes }
}

/// A page on a developer's localhost may call the sandbox.
fn localhost_cors() -> CorsLayer {
    let local = |origin: &HeaderValue| {
        origin.to_str().ok().and_then(|origin| origin.split_once("://")).is_some_and(|(_, host)| {
            let host =
                host.rsplit_once(':').map_or(host, |(name, port)| if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host });
            matches!(host, "localhost" | "127.0.0.1" | "[::1]")
        })
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| local(origin)))
        .allow_methods(AnyValue)
        // Not `*`: browsers do not take it for Authorization.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(AnyValue)
        .max_age(Duration::from_secs(600))
}

// The signature is tower-http's.
#[allow(clippy::needless_pass_by_value)]
fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let why = payload
        .downcast_ref::<storage::Fault>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(why, "a request was aborted");
    metrics::counter!("medina_http_panics_total").increment(1);
    Problem::new(500, "internal", "something is wrong here; nothing was changed. The server's log has the request id").into_response()
}

async fn limited(State(traffic): State<Arc<Traffic>>, request: Request, next: Next) -> Response {
    /// Gives the place back however the request ends, also when its connection breaks.
    struct Place<'a>(&'a AtomicU64);
    impl Drop for Place<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    traffic.requests.fetch_add(1, Ordering::Relaxed);
    // A long poll waits, it does not work: it takes no place from those who do. The connections are bounded.
    if request.uri().path() == "/v1/couriers/me/offers" {
        return next.run(request).await;
    }
    let under_way = traffic.under_way.fetch_add(1, Ordering::Relaxed);
    let _place = Place(&traffic.under_way);
    // Streams hold their place only until their head is sent; probes must answer under any load.
    let probe = matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics");
    if under_way >= REQUESTS_MAX as u64 && !probe {
        return Problem::new(503, "overloaded", "too many requests are under way").retry_after(1).into_response();
    }
    next.run(request).await
}

async fn observed(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let given = request.headers().get(&REQUEST_ID_HEADER).and_then(|id| id.to_str().ok()).filter(|id| (1..=128).contains(&id.len()));
    let id = given.map_or_else(fresh_id, ToOwned::to_owned);
    if let Ok(value) = HeaderValue::from_str(&id) {
        request.headers_mut().insert(REQUEST_ID_HEADER.clone(), value);
    }
    let traceparent = request.headers().get("traceparent").cloned();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", id, %method, path = request.uri().path());
    let mut response = REQUEST_ID.scope(id.clone(), next.run(request).instrument(span.clone())).await;
    let status = response.status().as_u16();
    let took = begun.elapsed();
    tracing::debug!(parent: &span, status, took_us = took.as_micros() as u64, "answered");
    metrics::histogram!("medina_http_request_seconds", "route" => route, "status" => class(status)).record(took.as_secs_f64());
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID_HEADER.clone(), value);
    }
    if let Some(traceparent) = traceparent {
        response.headers_mut().insert("traceparent", traceparent);
    }
    response
}

fn class(status: u16) -> &'static str {
    match status {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

/// Unique in this process and unlikely elsewhere: the start's time and a counter.
fn fresh_id() -> String {
    static START: LazyLock<u64> = LazyLock::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        since.as_nanos() as u64
    });
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("req_{:x}_{:x}", *START, COUNT.fetch_add(1, Ordering::Relaxed))
}
