//! What surrounds every request: its id, its log line, its figures, its limits, and a net for panics.
//!
//! One service around each route and not a layer for each concern: axum boxes every layer of every route, and copies all that is inside it for each
//! request.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use metrics::Histogram;
use tower::{Layer, Service};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any as AnyValue, Cors, CorsLayer};
use tracing::Instrument;

use super::gate::Gate;
use super::problem::{Problem, REQUEST_ID};

/// Requests under way at once; one more is told to come back.
const REQUESTS_MAX: u64 = 4_096;

static REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

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
        .layer(Surroundings { gate, traffic });
    if sandbox { routes.layer(Localhost(localhost_cors())) } else { routes }
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

/// CORS for those who ask for it: a request of a browser's page has an origin, all others go straight on.
#[derive(Clone)]
struct Localhost(CorsLayer);

impl<S: Clone> Layer<S> for Localhost {
    type Service = FromLocalhost<S>;
    fn layer(&self, inner: S) -> FromLocalhost<S> {
        FromLocalhost { cors: self.0.layer(inner.clone()), inner }
    }
}

#[derive(Clone)]
struct FromLocalhost<S> {
    inner: S,
    cors: Cors<S>,
}

impl<S> Service<Request> for FromLocalhost<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if request.headers().contains_key(header::ORIGIN) { Box::pin(self.cors.call(request)) } else { Box::pin(self.inner.call(request)) }
    }
}

/// Makes a [`Surrounded`] of each route.
#[derive(Clone)]
struct Surroundings {
    gate: Gate,
    traffic: Arc<Traffic>,
}

impl<S> Layer<S> for Surroundings {
    type Service = Surrounded<S>;
    fn layer(&self, inner: S) -> Surrounded<S> {
        Surrounded {
            inner,
            around: Arc::new(Around { gate: self.gate.clone(), traffic: self.traffic.clone(), figures: Figures::default() }),
        }
    }
}

/// A route and what surrounds it.
#[derive(Clone)]
struct Surrounded<S> {
    inner: S,
    around: Arc<Around>,
}

struct Around {
    gate: Gate,
    traffic: Arc<Traffic>,
    figures: Figures,
}

impl<S> Service<Request> for Surrounded<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let begun = Instant::now();
        let around = self.around.clone();
        let given = request.headers().get(&REQUEST_ID_HEADER).and_then(|id| id.to_str().ok()).filter(|id| (1..=128).contains(&id.len()));
        let id = given.map_or_else(fresh_id, ToOwned::to_owned);
        let traceparent = request.headers().get(&TRACEPARENT).cloned();
        let span = tracing::info_span!("request", id, method = %request.method(), path = request.uri().path());
        around.figures.named(request.extensions().get::<MatchedPath>());
        request.extensions_mut().insert(around.gate.clone());
        let place = Place::take(&around.traffic, request.uri().path());
        // Handlers may panic before their future exists.
        let answer = place.map(|place| (place, span.in_scope(|| catch_unwind(AssertUnwindSafe(|| self.inner.call(request))))));
        let header = HeaderValue::from_str(&id);
        let answered = async move {
            let mut response = match answer {
                None => Problem::new(503, "overloaded", "too many requests are under way").retry_after(1).into_response(),
                Some((_place, Err(panic))) => panicked(&*panic),
                Some((_place, Ok(answer))) => match AssertUnwindSafe(answer).catch_unwind().await {
                    Ok(Ok(response)) => response,
                    Ok(Err(never)) => match never {},
                    Err(panic) => panicked(&*panic),
                },
            };
            let took = begun.elapsed();
            let status = response.status().as_u16();
            tracing::debug!(status, took_us = took.as_micros() as u64, "answered");
            around.figures.record(status, took);
            let headers = response.headers_mut();
            head(headers, header.ok(), traceparent);
            Ok(response)
        };
        Box::pin(REQUEST_ID.scope(id, answered).instrument(span))
    }
}

/// The headers of every answer.
fn head(headers: &mut HeaderMap, id: Option<HeaderValue>, traceparent: Option<HeaderValue>) {
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Some(id) = id {
        headers.insert(&REQUEST_ID_HEADER, id);
    }
    if let Some(traceparent) = traceparent {
        headers.insert(&TRACEPARENT, traceparent);
    }
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

/// A place among the requests under way; given back however the request ends, also when its connection breaks.
struct Place(Option<Arc<Traffic>>);

impl Place {
    /// `None` if all are taken.
    fn take(traffic: &Arc<Traffic>, path: &str) -> Option<Self> {
        traffic.requests.fetch_add(1, Ordering::Relaxed);
        // A long poll waits, it does not work: it takes no place from those who do. The connections are bounded.
        if path == "/v1/couriers/me/offers" {
            return Some(Self(None));
        }
        let under_way = traffic.under_way.fetch_add(1, Ordering::Relaxed);
        let place = Self(Some(traffic.clone()));
        // Streams hold their place only until their head is sent; probes must answer under any load.
        let probe = matches!(path, "/healthz" | "/readyz" | "/metrics");
        (under_way < REQUESTS_MAX || probe).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(traffic) = &self.0 {
            traffic.under_way.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// How long the requests of one route take, by class of status; looked up once, because looking up costs more than counting.
#[derive(Default)]
struct Figures {
    route: OnceLock<String>,
    by_class: [OnceLock<Histogram>; CLASSES.len()],
}

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

impl Figures {
    fn named(&self, path: Option<&MatchedPath>) {
        self.route.get_or_init(|| path.map_or("unmatched", MatchedPath::as_str).to_owned());
    }

    fn record(&self, status: u16, took: Duration) {
        let class = (usize::from(status / 100)).clamp(2, 5) - 2;
        let histogram = self.by_class[class].get_or_init(|| {
            let route = self.route.get().cloned().unwrap_or_default();
            metrics::histogram!("medina_http_request_seconds", "route" => route, "status" => CLASSES[class])
        });
        histogram.record(took.as_secs_f64());
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
