//! What surrounds every request: its id, its log line, its figures, its limits, and a net for panics.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tower_http::cors::{AllowHeaders, AllowOrigin, Any as AnyValue, CorsLayer};
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

/// Wraps the routes. What every request needs is done in one layer: each further one costs it a boxed service and a boxed future.
pub fn wrap(routes: Router, gate: Gate, traffic: Arc<Traffic>) -> Router {
    let sandbox = gate.engine.is_sandbox();
    let routes = routes
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::new(405, "method_not_allowed", "this path knows other methods: see Allow") })
        .layer(from_fn_with_state(Surroundings { gate, traffic }, observed));
    if sandbox { routes.layer(localhost_cors()) } else { routes }
}

/// What the layer puts around each request.
#[derive(Clone)]
struct Surroundings {
    gate: Gate,
    traffic: Arc<Traffic>,
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

/// A handler's panic ends its request and nothing else.
async fn caught(request: Request, next: Next) -> Response {
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|payload| panicked(&*payload))
}

fn panicked(payload: &(dyn Any + Send)) -> Response {
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

async fn limited(traffic: &Traffic, request: Request, next: Next) -> Response {
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
        return caught(request, next).await;
    }
    let under_way = traffic.under_way.fetch_add(1, Ordering::Relaxed);
    let _place = Place(&traffic.under_way);
    // Streams hold their place only until their head is sent; probes must answer under any load.
    let probe = matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics");
    if under_way >= REQUESTS_MAX as u64 && !probe {
        return Problem::new(503, "overloaded", "too many requests are under way").retry_after(1).into_response();
    }
    caught(request, next).await
}

async fn observed(State(around): State<Surroundings>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let Surroundings { gate, traffic } = around;
    request.extensions_mut().insert(gate);
    let given = request.headers().get(&REQUEST_ID_HEADER).and_then(|id| id.to_str().ok()).filter(|id| (1..=128).contains(&id.len()));
    let id = given.map_or_else(fresh_id, ToOwned::to_owned);
    let shown = HeaderValue::from_str(&id).ok();
    if let Some(value) = &shown {
        request.headers_mut().insert(REQUEST_ID_HEADER.clone(), value.clone());
    }
    let traceparent = request.headers().get("traceparent").cloned();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::info_span!("request", id, method = %request.method(), path = request.uri().path());
    let mut response = REQUEST_ID.scope(id, limited(&traffic, request, next).instrument(span.clone())).await;
    let status = response.status().as_u16();
    let took = begun.elapsed();
    tracing::debug!(parent: &span, status, took_us = took.as_micros() as u64, "answered");
    took_by(route.as_ref().map_or("unmatched", MatchedPath::as_str), class(status), took);
    let headers = response.headers_mut();
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Some(value) = shown {
        headers.insert(REQUEST_ID_HEADER.clone(), value);
    }
    if let Some(traceparent) = traceparent {
        headers.insert("traceparent", traceparent);
    }
    response
}

/// Counts a request. The figures of a route are looked up once by each thread: the registry's own way hashes and copies their names each time.
fn took_by(route: &str, class: &'static str, took: Duration) {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, Vec<(&'static str, metrics::Histogram)>>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        if !known.contains_key(route) {
            known.insert(route.to_owned(), Vec::new());
        }
        let Some(classes) = known.get_mut(route) else { return };
        let at = classes.iter().position(|(known, _)| *known == class).unwrap_or_else(|| {
            classes.push((class, metrics::histogram!("medina_http_request_seconds", "route" => route.to_owned(), "status" => class)));
            classes.len() - 1
        });
        classes[at].1.record(took.as_secs_f64());
    });
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
