//! A client of OSRM's HTTP interface: `/table/v1` and `/route/v1`, with a time limit and a circuit breaker.
//!
//! ```text
//!   closed ── FAILURES_MAX in a row ──► open ── REST later, one question ──► answered: closed
//!     ▲                                   ▲                              └─► not answered: open again
//!     └───────── an answer                └── meanwhile nobody asks: every caller gets the straight line at once
//! ```
//! Whoever asks waits on a thread of their own; the questions are sent by one thread that belongs to the client.
//!
//! Source: OSRM's "HTTP API" (`docs/http.md`), services `table` and `route`, version 1.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use index::geo::Point;
use serde::Deserialize;
use tokio::sync::mpsc;

/// So many questions in a row without an answer, and the server is left alone.
const FAILURES_MAX: u32 = 3;
/// So long.
const REST: Duration = Duration::from_secs(10);
/// Questions that wait to be sent; more are refused like those that were not answered.
const WAITING_MAX: usize = 256;

/// Why there is no answer; the straight line takes its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OsrmError {
    #[error("it did not answer: {0}")]
    Silent(String),
    #[error("it answered {0:?}")]
    Refused(String),
    #[error("it is left alone for a while")]
    Open,
}

/// Seconds and metres.
pub type Leg = (f64, f64);

/// A way.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    pub seconds: f64,
    pub metres: f64,
    pub line: Vec<Point>,
}

struct Question {
    url: String,
    answer: SyncSender<Result<Answer, String>>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    code: String,
    durations: Option<Vec<Vec<Option<f64>>>>,
    distances: Option<Vec<Vec<Option<f64>>>>,
    routes: Option<Vec<RouteAnswer>>,
}

#[derive(Debug, Deserialize)]
struct RouteAnswer {
    duration: f64,
    distance: f64,
    geometry: Line,
}

/// A GeoJSON line string: `[lon, lat]`.
#[derive(Debug, Deserialize)]
struct Line {
    coordinates: Vec<[f64; 2]>,
}

#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    /// Nobody asks before.
    resting_until: Option<Instant>,
}

/// The client. Ends its thread when it is dropped.
pub struct Osrm {
    base: String,
    timeout: Duration,
    rest: Duration,
    questions: mpsc::Sender<Question>,
    breaker: Mutex<Breaker>,
}

impl Osrm {
    /// A client of the server at `url`.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(url: &str, timeout: Duration) -> std::io::Result<Arc<Self>> {
        Self::resting(url, timeout, REST)
    }

    /// [`Osrm::start`], leaving a silent server alone for `rest`.
    ///
    /// # Errors
    /// As there.
    pub fn resting(url: &str, timeout: Duration, rest: Duration) -> std::io::Result<Arc<Self>> {
        let (questions, mut asked) = mpsc::channel::<Question>(WAITING_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = reqwest::Client::builder().no_proxy().timeout(timeout).build().map_err(std::io::Error::other)?;
        std::thread::Builder::new().name("medina-osrm".to_owned()).spawn(move || {
            runtime.block_on(async {
                while let Some(question) = asked.recv().await {
                    let client = client.clone();
                    tokio::spawn(async move {
                        // Who asked may have stopped waiting.
                        let _ = question.answer.try_send(fetch(&client, &question.url).await);
                    });
                }
            });
        })?;
        Ok(Arc::new(Self { base: url.trim_end_matches('/').to_owned(), timeout, rest, questions, breaker: Mutex::default() }))
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, unless the server is being left alone. Waits at most the time limit.
    fn ask(&self, url: String) -> Result<Answer, OsrmError> {
        {
            let mut breaker = self.breaker();
            match breaker.resting_until {
                Some(until) if Instant::now() < until => return Err(OsrmError::Open),
                // This question tries; the others go on resting until it knows.
                Some(_) => breaker.resting_until = Some(Instant::now() + self.timeout.max(self.rest)),
                None => (),
            }
        }
        let (answer, answered) = sync_channel(1);
        let sent = self.questions.try_send(Question { url, answer }).map_err(|error| error.to_string());
        let got = sent.and_then(|()| answered.recv_timeout(self.timeout).map_err(|error| error.to_string())?);
        let mut breaker = self.breaker();
        match got {
            Ok(answer) => {
                *breaker = Breaker::default();
                drop(breaker);
                if answer.code == "Ok" { Ok(answer) } else { Err(OsrmError::Refused(answer.code)) }
            }
            Err(why) => {
                breaker.failures = breaker.failures.saturating_add(1);
                if breaker.failures >= FAILURES_MAX {
                    breaker.resting_until = Some(Instant::now() + self.rest);
                }
                drop(breaker);
                metrics::counter!("medina_travel_osrm_failures_total").increment(1);
                tracing::debug!(why, "the routing server did not answer");
                Err(OsrmError::Silent(why))
            }
        }
    }

    /// Seconds and metres from each of some points to each of others; `None` where there is no way.
    ///
    /// # Errors
    /// [`OsrmError`].
    pub fn table(&self, profile: &str, from: &[Point], to: &[Point]) -> Result<Vec<Vec<Option<Leg>>>, OsrmError> {
        let list = |numbers: std::ops::Range<usize>| numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(";");
        let all: Vec<Point> = from.iter().chain(to).copied().collect();
        let (sources, destinations) = (list(0..from.len()), list(from.len()..all.len()));
        let url = format!(
            "{}/table/v1/{profile}/{}?sources={sources}&destinations={destinations}&annotations=duration,distance",
            self.base,
            coordinates(&all)
        );
        let answer = self.ask(url)?;
        let shape = || OsrmError::Refused("a table of another shape".to_owned());
        let (durations, distances) = (answer.durations.ok_or_else(shape)?, answer.distances.ok_or_else(shape)?);
        let fits = |rows: &[Vec<Option<f64>>]| rows.len() == from.len() && rows.iter().all(|row| row.len() == to.len());
        if !fits(&durations) || !fits(&distances) {
            return Err(shape());
        }
        let row =
            |(seconds, metres): (Vec<Option<f64>>, Vec<Option<f64>>)| seconds.into_iter().zip(metres).map(|(s, m)| s.zip(m)).collect();
        Ok(durations.into_iter().zip(distances).map(row).collect())
    }

    /// The fastest way.
    ///
    /// # Errors
    /// [`OsrmError`].
    pub fn route(&self, profile: &str, from: Point, to: Point) -> Result<Way, OsrmError> {
        let url = format!("{}/route/v1/{profile}/{}?overview=full&geometries=geojson", self.base, coordinates(&[from, to]));
        let shape = || OsrmError::Refused("no route".to_owned());
        let route = self.ask(url)?.routes.and_then(|routes| routes.into_iter().next()).ok_or_else(shape)?;
        let line = route.geometry.coordinates.into_iter().map(|[lon, lat]| Point::new(lat, lon).map_err(|_| shape()));
        Ok(Way { seconds: route.duration, metres: route.distance, line: line.collect::<Result<_, _>>()? })
    }
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<Answer, String> {
    let answer = client.get(url).send().await.map_err(|error| error.to_string())?;
    let status = answer.status();
    if status.is_server_error() {
        return Err(format!("status {status}"));
    }
    // A refusal (400) has a `code` like any answer.
    answer.json().await.map_err(|error| error.to_string())
}

fn coordinates(points: &[Point]) -> String {
    points.iter().map(|point| format!("{:.6},{:.6}", point.lon(), point.lat())).collect::<Vec<_>>().join(";")
}
