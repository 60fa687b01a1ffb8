//! What the city remembers, and for how long: tracks and decisions raw for days, thinned for months, then gone; offers gone after months.
//!
//! A sweep looks at a picture, beside the writer, and hands the writer a few hundred keys at a time; the command looks each one up again. Work left over
//! waits for the next command, so that a large backlog never holds the writer up.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use storage::{Direction, Read, Row, Table, Timestamp};

use super::couriers::CourierId;
use super::dispatch::explain::sight::SIGHTS;
use super::dispatch::model::{DECISIONS, DecisionId, OFFERS, OfferId, OfferState, Outcome};
use super::tracking::track::{TRACKS, TrackPoint};
use crate::engine::handle::WeakEngine;
use crate::engine::{Caller, Engine, Fault, Tx, WriteError};

/// How often old rows are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// Rows of one command: with their index entries, well below a thousand keys.
const ROWS_MAX: usize = 150;
/// Points of a thinned track are this far apart, the last excepted.
const THINNED_MS: i64 = 60_000;
const MS_PER_DAY: i64 = 86_400_000;

/// `[history]` of the configuration file; days, 0: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryConfig {
    /// Events of the streams; who was away for longer gets 410 and begins anew.
    pub events_days: u32,
    /// Every point of couriers' tracks; then one a minute.
    pub tracks_raw_days: u32,
    pub tracks_days: u32,
    /// Every candidate of a dispatch decision; then the chosen one.
    pub decisions_raw_days: u32,
    pub decisions_days: u32,
    /// Answered offers.
    pub offers_days: u32,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { events_days: 7, tracks_raw_days: 30, tracks_days: 365, decisions_raw_days: 30, decisions_days: 365, offers_days: 365 }
    }
}

/// Up to when a history has been thinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThinnedTo(pub Timestamp);

impl Row for ThinnedTo {
    const VERSION: u8 = 1;
}

impl HistoryConfig {
    /// How long events are kept, as the engine takes it.
    #[must_use]
    pub fn events_kept_ms(&self) -> i64 {
        if self.events_days == 0 { i64::MAX } else { i64::from(self.events_days) * MS_PER_DAY }
    }
}

const TRACKS_MARK: u8 = 0;
const DECISIONS_MARK: u8 = 1;
/// By history.
pub static THINNED: Table<u8, ThinnedTo> = Table::new(399, "city.thinned", &[]);

type TrackKey = (CourierId, Timestamp);

/// What one command shall do.
#[derive(Debug, Default)]
struct Chore {
    thin_tracks: Vec<TrackKey>,
    drop_tracks: Vec<TrackKey>,
    thin_decisions: Vec<DecisionId>,
    drop_decisions: Vec<DecisionId>,
    drop_offers: Vec<OfferId>,
    /// Everything before these times is thinned once this chore is done.
    marks: Vec<(u8, Timestamp)>,
}

impl Chore {
    fn rows(&self) -> usize {
        self.thin_tracks.len() + self.drop_tracks.len() + self.thin_decisions.len() + self.drop_decisions.len() + self.drop_offers.len()
    }

    fn room(&self) -> usize {
        ROWS_MAX - self.rows().min(ROWS_MAX)
    }
}

/// What a sweep did, in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub tracks_thinned: u64,
    pub tracks_dropped: u64,
    pub decisions_thinned: u64,
    pub decisions_dropped: u64,
    pub offers_dropped: u64,
}

impl Swept {
    fn add(&mut self, chore: &Chore) {
        self.tracks_thinned += chore.thin_tracks.len() as u64;
        self.tracks_dropped += chore.drop_tracks.len() as u64;
        self.decisions_thinned += chore.thin_decisions.len() as u64;
        self.decisions_dropped += chore.drop_decisions.len() as u64;
        self.offers_dropped += chore.drop_offers.len() as u64;
    }
}

/// Sweeps every hour while this node leads; ends with the engine.
pub async fn run(engine: WeakEngine, config: HistoryConfig) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(engine) = engine.upgrade() else { return };
        if !engine.is_leading() {
            continue;
        }
        match sweep(&engine, config).await {
            Ok(swept) if swept == Swept::default() => (),
            Ok(swept) => tracing::info!(?swept, "old history was thinned and dropped"),
            Err(fault) => tracing::warn!(%fault, "old history could not be swept; it is tried again"),
        }
    }
}

/// Thins and drops everything that is due now, a few hundred rows a command.
///
/// # Errors
/// The writer's; what was swept stays swept.
pub async fn sweep(engine: &Engine, config: HistoryConfig) -> Result<Swept, Fault> {
    let mut swept = Swept::default();
    loop {
        let (view, now) = (engine.view(), engine.now());
        let found = tokio::task::spawn_blocking(move || storage::fault::catch(|| look(&*view, now, config)));
        let chore = found.await.map_err(|error| Fault::new(error.to_string()))?.map_err(Fault::Storage)?;
        if chore.rows() == 0 && chore.marks.is_empty() {
            return Ok(swept);
        }
        swept.add(&chore);
        let done = engine.write(&Caller::system("history"), "history.sweep", move |tx| {
            work(tx, &chore);
            Ok::<(), Fault>(())
        });
        done.await.map_err(|error| match error {
            WriteError::Refused(fault) | WriteError::Fault(fault) => fault,
        })?;
    }
}

fn before(now: Timestamp, days: u32) -> Option<Timestamp> {
    (days > 0).then(|| now.minus_ms(i64::from(days) * MS_PER_DAY))
}

fn look(view: &impl Read, now: Timestamp, config: HistoryConfig) -> Chore {
    let mut chore = Chore::default();
    let HistoryConfig { tracks_raw_days, tracks_days, decisions_raw_days, decisions_days, offers_days, .. } = config;
    if let Some(until) = before(now, offers_days) {
        let old = OFFERS.scan(view).take_while(|(id, _)| born(id.as_u128()) < until).filter(|(_, offer)| offer.state != OfferState::Made);
        chore.drop_offers = old.take(chore.room()).map(|(id, _)| id).collect();
    }
    if let Some(until) = before(now, decisions_days) {
        let old = DECISIONS.scan(view).take_while(|(id, _)| born(id.as_u128()) < until);
        chore.drop_decisions = old.take(chore.room()).map(|(id, _)| id).collect();
    }
    if let Some(until) = before(now, tracks_days) {
        chore.drop_tracks = tracks(view, Timestamp::from_millis(0), until, chore.room());
    }
    // Nothing is thinned that is to be dropped: that goes first.
    if chore.room() > 0
        && let Some((from, until)) = window(view, DECISIONS_MARK, before(now, decisions_raw_days))
    {
        let from_id = DecisionId::from_u128(first_id(from));
        let raw = DECISIONS.scan_range(view, &from_id, &DecisionId::from_u128(first_id(until)), Direction::Forward);
        chore.thin_decisions = raw.filter(|(_, decision)| decision.candidates.len() > 1).take(chore.room()).map(|(id, _)| id).collect();
        let next = chore.thin_decisions.last().filter(|_| chore.room() == 0).map_or(until, |id| born(id.as_u128()));
        chore.marks.push((DECISIONS_MARK, next));
    }
    if chore.room() > 0
        && let Some((from, until)) = window(view, TRACKS_MARK, before(now, tracks_raw_days))
    {
        // The rows are by courier: the mark moves when all couriers' have been done, and thinning twice changes nothing.
        chore.thin_tracks = tracks(view, from, until, usize::MAX)
            .into_iter()
            .filter(|key| TRACKS.get(view, key).is_some_and(|track| thinned(&track.points).len() < track.points.len()))
            .take(chore.room())
            .collect();
        if chore.room() > 0 {
            chore.marks.push((TRACKS_MARK, until));
        }
    }
    chore
}

/// From where to where a history has still to be thinned; `None` if nothing is due.
fn window(view: &impl Read, mark: u8, until: Option<Timestamp>) -> Option<(Timestamp, Timestamp)> {
    let from = THINNED.get(view, &mark).map_or(Timestamp::from_millis(0), |ThinnedTo(at)| at);
    until.filter(|until| *until > from).map(|until| (from, until))
}

/// Ids carry their time in the upper 48 bits. Source: RFC 9562, UUID version 7.
fn born(id: u128) -> Timestamp {
    Timestamp::from_millis((id >> 80) as i64)
}

fn first_id(at: Timestamp) -> u128 {
    u128::from(at.millis().max(0).unsigned_abs()) << 80
}

/// Keys of tracks with `from <= time < until`, courier by courier.
fn tracks(view: &impl Read, from: Timestamp, until: Timestamp, limit: usize) -> Vec<TrackKey> {
    let mut found = Vec::new();
    let mut next = CourierId::from_u128(0);
    let last = (CourierId::from_u128(u128::MAX), Timestamp::from_millis(i64::MAX));
    while found.len() < limit {
        let Some(((courier, _), _)) = TRACKS.scan_range(view, &(next, Timestamp::from_millis(i64::MIN)), &last, Direction::Forward).next()
        else {
            break;
        };
        let old = TRACKS.scan_range(view, &(courier, from), &(courier, until), Direction::Forward);
        found.extend(old.take(limit - found.len()).map(|(key, _)| key));
        let Some(after) = courier.as_u128().checked_add(1) else { break };
        next = CourierId::from_u128(after);
    }
    found
}

/// One point a minute, and the last.
fn thinned(points: &[TrackPoint]) -> Vec<TrackPoint> {
    let mut kept: Vec<TrackPoint> = Vec::new();
    for (n, point) in points.iter().enumerate() {
        let apart = kept.last().is_none_or(|last| point.at.ms_since(last.at) >= THINNED_MS);
        if apart || n + 1 == points.len() {
            kept.push(*point);
        }
    }
    kept
}

fn work(tx: &mut Tx<'_, '_>, chore: &Chore) {
    for key in &chore.drop_tracks {
        TRACKS.delete(tx, key);
    }
    for key in &chore.thin_tracks {
        if let Some(mut track) = TRACKS.get(tx, key) {
            track.points = thinned(&track.points);
            TRACKS.put(tx, key, &track);
        }
    }
    for id in &chore.drop_decisions {
        DECISIONS.delete(tx, id);
        SIGHTS.delete(tx, id);
    }
    for id in &chore.thin_decisions {
        if let Some(mut decision) = DECISIONS.get(tx, id) {
            decision.candidates.retain(|candidate| candidate.outcome == Outcome::Chosen);
            DECISIONS.put(tx, id, &decision);
            SIGHTS.delete(tx, id);
        }
    }
    for id in &chore.drop_offers {
        // An answer may have come in between; then it is not old any more to anybody.
        if OFFERS.get(tx, id).is_some_and(|offer| offer.state != OfferState::Made) {
            OFFERS.delete(tx, id);
        }
    }
    for (mark, at) in &chore.marks {
        THINNED.put(tx, mark, &ThinnedTo(*at));
    }
}
