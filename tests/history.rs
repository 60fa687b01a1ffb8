//! What the city remembers: raw for days, thinned for months, then gone; nothing that is still live goes.

use std::sync::Arc;

use medina::city::couriers::CourierId;
use medina::city::dispatch::model::{DECISIONS, Decision, DecisionId, OFFERS, Verdict};
use medina::city::history::{HistoryConfig, Swept, sweep};
use medina::city::place::Place;
use medina::city::tracking::track::{TRACKS, Track, TrackPoint, of_subject};
use medina::engine::{Authorize, Caller, Denied, Engine, EngineOptions, Fault, Question, Wiring};
use storage::disk::SimDisk;
use storage::{ManualClock, Options, Read, Timestamp};

struct Nobody;
impl Authorize for Nobody {
    fn decide(&self, _: &dyn Read, _: &Caller, _: &Question) -> Result<String, Denied> {
        Err(Denied::Unauthenticated)
    }
}

const DAY_MS: i64 = 86_400_000;
const DAY: u64 = 86_400_000;

fn engine(clock: &ManualClock) -> Engine {
    let storage = Options { segment_bytes: 256 << 10, ..Options::with_seed([1; 32]) };
    let options = EngineOptions::new(storage, Arc::new(clock.clone()), true);
    Engine::start(Arc::new(SimDisk::new(1)), std::path::Path::new("state"), options, Wiring::new(), Arc::new(Nobody)).expect("it opens")
}

/// 31 points, four seconds apart, by each of three couriers, and a decision.
async fn a_day(engine: &Engine) {
    let written = engine.write(&Caller::system("test"), "day", |tx| {
        let now = tx.now();
        let place = Place::from(index::geo::Point::new(5.0, 0.0).expect("on the earth"));
        for courier in 1..=3 {
            let points = (0..31).map(|n| TrackPoint::plain(now.plus_s(n * 4), place)).collect();
            TRACKS.put(tx, &(CourierId::from_u128(courier), now), &Track { subjects: vec![7], points });
        }
        let id: DecisionId = tx.new_id();
        let decision = Decision {
            at: now,
            policy: "immediate/1".to_owned(),
            jobs: Vec::new(),
            subjects: vec![7],
            round: 1,
            radius_m: 1_000,
            candidates: Vec::new(),
            verdict: Verdict::Nobody,
        };
        DECISIONS.put(tx, &id, &decision);
        Ok::<(), Fault>(())
    });
    written.await.expect("it commits");
}

#[tokio::test(flavor = "multi_thread")]
async fn tracks_are_raw_then_thin_then_gone() {
    let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
    let engine = engine(&clock);
    let config = HistoryConfig {
        tracks_raw_days: 3,
        tracks_days: 10,
        decisions_raw_days: 3,
        decisions_days: 5,
        offers_days: 5,
        ..Default::default()
    };
    let mut total = Swept::default();
    for day in 1..=100 {
        a_day(&engine).await;
        clock.advance(DAY);
        if day % 4 == 0 {
            let swept = sweep(&engine, config).await.expect("it sweeps");
            total.tracks_thinned += swept.tracks_thinned;
            total.tracks_dropped += swept.tracks_dropped;
            total.decisions_dropped += swept.decisions_dropped;
            assert_eq!(sweep(&engine, config).await.expect("it sweeps"), Swept::default(), "nothing is left to do at once");
        }
    }
    let view = engine.view();
    let now = engine.now();
    for (_, track) in of_subject(&*view, 7) {
        let age = now.ms_since(track.points[0].at);
        // A day ends two minutes after its first point.
        let points = if age <= 3 * DAY_MS { 31 } else { 3 };
        assert!(track.points.len() == points && age <= 10 * DAY_MS, "{} points after {} days", track.points.len(), age / DAY_MS);
    }
    assert_eq!(TRACKS.scan(&*view).count(), 30, "ten days of three couriers");
    assert_eq!(DECISIONS.scan(&*view).count(), 5);
    assert_eq!((total.tracks_dropped, total.decisions_dropped), (270, 95));
    assert!(total.tracks_thinned >= 270, "{total:?}");
    assert_eq!(OFFERS.scan(&*view).count(), 0);
    // For ever means for ever.
    clock.advance(10_000 * DAY);
    let kept =
        HistoryConfig { tracks_raw_days: 0, tracks_days: 0, decisions_raw_days: 0, decisions_days: 0, offers_days: 0, events_days: 0 };
    assert_eq!(sweep(&engine, kept).await.expect("it sweeps"), Swept::default());
    engine.stop();
}

/// A backlog of a year is worked off in small commands.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_swept_in_small_commands() {
    let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
    let engine = engine(&clock);
    for _ in 0..200 {
        a_day(&engine).await;
        clock.advance(DAY);
    }
    clock.advance(400 * DAY);
    let before = engine.view().position().seq;
    let swept = sweep(&engine, HistoryConfig::default()).await.expect("it sweeps");
    assert_eq!((swept.tracks_dropped, swept.decisions_dropped), (600, 200));
    let commands = engine.view().position().seq - before;
    assert!((6..20).contains(&commands), "{commands} commands for 800 rows");
    assert_eq!(TRACKS.scan(&*engine.view()).count() + DECISIONS.scan(&*engine.view()).count(), 0);
    engine.stop();
}
