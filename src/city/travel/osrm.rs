//! A client of OSRM's HTTP interface: `/table/v1` and `/route/v1`, with a time limit and a circuit breaker.
//!
//! ```text
//!   closed ── FAILURES_MAX in a row ──► open ── REST later, one question ──► answered: closed
//!     ▲                                   ▲                              └─► not answered: open again
//!     └───────── an answer                └── meanwhile nobody asks, and nobody waits for that one question: every caller gets the straight line at once
//! ```
//! Whoever asks waits on a thread of their own, for at most the time limit, also for a table of many questions; the questions are sent by one thread that
//! belongs to the client.
//!
//! Source: OSRM's "HTTP API" (`docs/http.md`), services `table` and `route`, version 1.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
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
/// Places of one question: a server refuses more than 100 unless it was told otherwise (`--max-table-size`).
const PLACES_MAX: usize = 100;

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

/// A way, and where it leads.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    pub seconds: f64,
    pub metres: f64,
    pub line: Vec<Point>,
}

struct Question {
    url: String,
    /// Who waits for it; nobody for the one that tries whether the server is back.
    answer: Option<SyncSender<Result<Answer, String>>>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    code: String,
    durations: Option<Vec<Vec<Option<f64>>>>,
    distances: Option<Vec<Vec<Option<f64>>>>,
    routes: Option<Vec<RouteAnswer>>,
}

impl Answer {
    fn sound(self) -> Result<Self, OsrmError> {
        if self.code == "Ok" { Ok(self) } else { Err(OsrmError::Refused(self.code)) }
    }
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

impl Breaker {
    /// The one question that tried was answered, or not.
    fn tried(&mut self, answered: bool, rest: Duration) {
        if answered {
            *self = Self::default();
        } else {
            self.resting_until = Some(Instant::now() + rest);
        }
    }
}

/// The client. Ends its thread when it is dropped.
pub struct Osrm {
    base: String,
    timeout: Duration,
    rest: Duration,
    questions: mpsc::Sender<Question>,
    breaker: Arc<Mutex<Breaker>>,
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
        let breaker = Arc::<Mutex<Breaker>>::default();
        let tried = breaker.clone();
        std::thread::Builder::new().name("medina-osrm".to_owned()).spawn(move || {
            runtime.block_on(async {
                while let Some(question) = asked.recv().await {
                    let (client, tried) = (client.clone(), tried.clone());
                    tokio::spawn(async move {
                        let got = fetch(&client, &question.url).await;
                        match question.answer {
                            // Who asked may have stopped waiting.
                            Some(answer) => drop(answer.try_send(got)),
                            None => tried.lock().unwrap_or_else(PoisonError::into_inner).tried(got.is_ok(), rest),
                        }
                    });
                }
            });
        })?;
        Ok(Arc::new(Self { base: url.trim_end_matches('/').to_owned(), timeout, rest, questions, breaker }))
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether to ask at all. When the rest is over, `url` tries whether the server is back, and nobody waits for that.
    fn may_ask(&self, url: &str) -> bool {
        let mut breaker = self.breaker();
        match breaker.resting_until {
            None => return true,
            Some(until) if Instant::now() < until => return false,
            Some(_) => breaker.resting_until = Some(Instant::now() + self.timeout.max(self.rest)),
        }
        drop(breaker);
        // Should the queue be full, the next rest is as long as this one.
        let _ = self.questions.try_send(Question { url: url.to_owned(), answer: None });
        false
    }

    /// Asks all at once, unless the server is being left alone. Waits at most the time limit for all of them together. A refusal is an answer.
    fn ask(&self, urls: Vec<String>) -> Result<Vec<Answer>, OsrmError> {
        // Nothing to ask is no sign of the server's health.
        let Some(first) = urls.first() else { return Ok(Vec::new()) };
        if !self.may_ask(first) {
            return Err(OsrmError::Open);
        }
        let until = Instant::now() + self.timeout;
        let sent = urls.into_iter().map(|url| {
            let (answer, answered) = sync_channel(1);
            let sent = self.questions.try_send(Question { url, answer: Some(answer) });
            sent.map(|()| answered).map_err(|error| error.to_string())
        });
        let sent: Result<Vec<Receiver<_>>, String> = sent.collect();
        let wait = |answered: Receiver<Result<Answer, String>>| {
            answered.recv_timeout(until.saturating_duration_since(Instant::now())).map_err(|error| error.to_string())?
        };
        let got: Result<Vec<Answer>, String> = sent.and_then(|sent| sent.into_iter().map(wait).collect());
        let mut breaker = self.breaker();
        match got {
            Ok(answers) => {
                *breaker = Breaker::default();
                drop(breaker);
                Ok(answers)
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
        if from.is_empty() || to.is_empty() {
            return Ok(vec![Vec::new(); from.len()]);
        }
        // Few enough places a question; of two long lists halves of each.
        let (rows, columns) = match (from.len(), to.len()) {
            (rows, columns) if rows + columns <= PLACES_MAX => (rows, columns),
            (rows, _) if rows <= PLACES_MAX / 2 => (rows, PLACES_MAX - rows),
            (_, columns) if columns <= PLACES_MAX / 2 => (PLACES_MAX - columns, columns),
            _ => (PLACES_MAX / 2, PLACES_MAX / 2),
        };
        let parts = from.chunks(rows).flat_map(|from| to.chunks(columns).map(move |to| (from, to)));
        let answers = self.ask(parts.map(|(from, to)| self.table_url(profile, from, to)).collect())?;
        let mut answers = answers.into_iter();
        let mut table = Vec::with_capacity(from.len());
        for from in from.chunks(rows) {
            let mut some = vec![Vec::with_capacity(to.len()); from.len()];
            for to in to.chunks(columns) {
                let answer = answers.next().ok_or_else(|| OsrmError::Refused("too few answers".to_owned()))?;
                some.iter_mut().zip(legs(answer, from.len(), to.len())?).for_each(|(row, legs)| row.extend(legs));
            }
            table.extend(some);
        }
        Ok(table)
    }

    fn table_url(&self, profile: &str, from: &[Point], to: &[Point]) -> String {
        let list = |numbers: std::ops::Range<usize>| numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(";");
        let all: Vec<Point> = from.iter().chain(to).copied().collect();
        let (sources, destinations) = (list(0..from.len()), list(from.len()..all.len()));
        let base = &self.base;
        format!(
            "{base}/table/v1/{profile}/{}?sources={sources}&destinations={destinations}&annotations=duration,distance",
            coordinates(&all)
        )
    }

    /// The fastest way.
    ///
    /// # Errors
    /// [`OsrmError`].
    pub fn route(&self, profile: &str, from: Point, to: Point) -> Result<Course, OsrmError> {
        let answer = self.ask(vec![self.route_url(profile, from, to)])?.into_iter().next();
        course(answer.ok_or_else(|| OsrmError::Refused("no answer".to_owned()))?)
    }

    /// The fastest way of each, all asked for at once; `None` where it says that there is none.
    ///
    /// # Errors
    /// [`OsrmError::Silent`], [`OsrmError::Open`].
    pub fn routes(&self, profile: &str, ways: &[(Point, Point)]) -> Result<Vec<Option<Course>>, OsrmError> {
        let answers = self.ask(ways.iter().map(|(from, to)| self.route_url(profile, *from, *to)).collect())?;
        Ok(answers.into_iter().map(|answer| course(answer).ok()).collect())
    }

    fn route_url(&self, profile: &str, from: Point, to: Point) -> String {
        format!("{}/route/v1/{profile}/{}?overview=full&geometries=geojson", self.base, coordinates(&[from, to]))
    }
}

/// The way in an answer.
fn course(answer: Answer) -> Result<Course, OsrmError> {
    let shape = || OsrmError::Refused("no route".to_owned());
    let route = answer.sound()?.routes.and_then(|routes| routes.into_iter().next()).ok_or_else(shape)?;
    let line = route.geometry.coordinates.into_iter().map(|[lon, lat]| Point::new(lat, lon).map_err(|_| shape()));
    Ok(Course { seconds: route.duration, metres: route.distance, line: line.collect::<Result<_, _>>()? })
}

/// The rows of a table's answer, if it has the shape that was asked for.
fn legs(answer: Answer, rows: usize, columns: usize) -> Result<Vec<Vec<Option<Leg>>>, OsrmError> {
    let shape = || OsrmError::Refused("a table of another shape".to_owned());
    let answer = answer.sound()?;
    let (durations, distances) = (answer.durations.ok_or_else(shape)?, answer.distances.ok_or_else(shape)?);
    let fits = |table: &[Vec<Option<f64>>]| table.len() == rows && table.iter().all(|row| row.len() == columns);
    if !fits(&durations) || !fits(&distances) {
        return Err(shape());
    }
    let row = |(seconds, metres): (Vec<Option<f64>>, Vec<Option<f64>>)| seconds.into_iter().zip(metres).map(|(s, m)| s.zip(m)).collect();
    Ok(durations.into_iter().zip(distances).map(row).collect())
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
