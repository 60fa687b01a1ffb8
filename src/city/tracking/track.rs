//! The sampled track: where a courier with jobs in hand was, one row a courier every half minute.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use storage::{Direction, Index, Read, Row, Table, Timestamp};

use super::check::LATE_MAX_S;
use super::live::Tracking;
use crate::city::couriers::CourierId;
use crate::city::place::Place;
use crate::engine::{Caller, Engine, Fault, Tx};

/// How often trails go into the log.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(30);
/// Points closer in time than this are one.
const SPACING_MS: i64 = 4_000;
/// A trail holds at most this many points between two samples; later ones wait for the next. Several minutes of pings.
const POINTS_MAX: usize = 120;
/// Rows of one command, so that it stays short in the writer.
const ROWS_MAX: usize = 200;

/// Where and when.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackPoint {
    /// Device time.
    pub at: Timestamp,
    pub place: Place,
    /// When it reached us: long after `at` where a batch was sent late.
    pub received_at: Timestamp,
    /// The device's own count, if it counts.
    pub seq: Option<u64>,
}

impl TrackPoint {
    /// A point of which only the device's time is known.
    #[must_use]
    pub fn plain(at: Timestamp, place: Place) -> Self {
        Self { at, place, received_at: at, seq: None }
    }
}

/// A stretch of a courier's way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// What the courier carried on it.
    pub subjects: Vec<u128>,
    pub points: Vec<TrackPoint>,
}

impl Row for Track {
    const VERSION: u8 = 2;

    /// The first layout knew the device's time only.
    fn upgrade(version: u8, bytes: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Old {
            subjects: Vec<u128>,
            points: Vec<(Timestamp, Place)>,
        }
        let Old { subjects, points } = (version == 1).then(|| postcard::from_bytes(bytes).ok()).flatten()?;
        Some(Self { subjects, points: points.into_iter().map(|(at, place)| TrackPoint::plain(at, place)).collect() })
    }
}

static TRACKS_BY_SUBJECT: Index<(CourierId, Timestamp), Track> = Index::new(381, "tracks.by_subject", |_, track, keys| {
    for subject in &track.subjects {
        keys.add(subject);
    }
});
/// Keyed by courier and the time of the first point.
pub static TRACKS: Table<(CourierId, Timestamp), Track> = Table::new(380, "tracks", &[&TRACKS_BY_SUBJECT]);

/// The stretches on which `subject` was carried, oldest first for each courier.
#[must_use]
pub fn of_subject(read: &(impl Read + ?Sized), subject: u128) -> Vec<(CourierId, Track)> {
    TRACKS.page(read, &TRACKS_BY_SUBJECT, &subject, None, Direction::Forward).map(|(_, (courier, _), track)| (courier, track)).collect()
}

/// A courier's points since the last sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trail {
    pub subjects: Vec<u128>,
    /// By device time, whatever the sequence in which they came.
    pub points: BTreeMap<Timestamp, TrackPoint>,
    /// Whether some came late: they may be in an earlier sample already.
    pub is_late: bool,
}

impl Trail {
    /// Adds a point that is far enough from the others in time, up to the cap.
    fn add(&mut self, point: TrackPoint) {
        let before = self.points.range(..=point.at).next_back().is_none_or(|(at, _)| point.at.ms_since(*at) >= SPACING_MS);
        let after = self.points.range(point.at..).next().is_none_or(|(at, _)| at.ms_since(point.at) >= SPACING_MS);
        if before && after && self.points.len() < POINTS_MAX {
            self.points.insert(point.at, point);
        }
    }
}

/// All trails that wait.
#[derive(Debug, Default)]
pub struct Trails(BTreeMap<CourierId, Trail>);

impl Trails {
    /// Adds points of somebody who carries `subjects`; `late` ones were sent after newer ones.
    pub fn extend(&mut self, courier: CourierId, subjects: &[u128], points: &[TrackPoint], late: &[TrackPoint]) {
        let trail = self.0.entry(courier).or_default();
        for subject in subjects {
            if !trail.subjects.contains(subject) {
                trail.subjects.push(*subject);
            }
        }
        trail.is_late |= !late.is_empty();
        for point in points.iter().chain(late) {
            trail.add(*point);
        }
    }

    /// Everything, leaving nothing.
    pub fn take(&mut self) -> BTreeMap<CourierId, Trail> {
        std::mem::take(&mut self.0)
    }
}

/// Writes the waiting trails, a few hundred rows a command.
pub async fn sample(tracking: &Tracking, engine: &Engine) {
    let mut trails: Vec<(CourierId, Trail)> = tracking.take_trails().into_iter().filter(|(_, trail)| !trail.points.is_empty()).collect();
    while !trails.is_empty() {
        let some = trails.split_off(trails.len().saturating_sub(ROWS_MAX));
        let written = engine.write(&Caller::system("tracking"), "tracking.sample", move |tx| {
            for (courier, trail) in some {
                write(tx, courier, trail);
            }
            Ok::<(), Fault>(())
        });
        // Evidence, not truth: under overload a stretch of the track is lost, nothing waits for it.
        if let Err(error) = written.await {
            tracing::warn!(?error, "a sample of tracks was not written");
        }
    }
}

/// One courier's row. What came late may have been sent twice: only what no earlier row has is added.
fn write(tx: &mut Tx<'_, '_>, courier: CourierId, trail: Trail) {
    let Trail { subjects, mut points, is_late } = trail;
    let (Some(first), Some(last)) = (points.keys().next().copied(), points.keys().next_back().copied()) else { return };
    if is_late {
        // A row spans at most its points, each at most a sample's time apart.
        let from = (courier, first.minus_s(LATE_MAX_S));
        let known: Vec<Timestamp> = TRACKS
            .scan_range(tx, &from, &(courier, last.plus_ms(SPACING_MS)), Direction::Forward)
            .flat_map(|(_, track)| track.points.into_iter().map(|point| point.at))
            .collect();
        points.retain(|at, _| known.iter().all(|known| (at.millis() - known.millis()).abs() >= SPACING_MS));
    }
    let Some(first) = points.keys().next().copied() else { return };
    TRACKS.put(tx, &(courier, first), &Track { subjects, points: points.into_values().collect() });
}

#[cfg(test)]
mod tests {
    use index::geo::Point;

    use super::*;

    #[test]
    fn trails_are_thinned_and_bounded() {
        let place = Place::from(Point::new(5.0, 0.0).expect("on the earth"));
        let points: Vec<TrackPoint> = (0..1_000).map(|s| TrackPoint::plain(Timestamp::from_millis(s * 1_000), place)).collect();
        let courier = CourierId::from_u128(1);
        let mut trails = Trails::default();
        trails.extend(courier, &[7], &points, &[]);
        trails.extend(courier, &[7, 8], &[], &[]);
        let trail = trails.take().remove(&courier).expect("there is one");
        assert_eq!(trail.subjects, [7, 8]);
        assert_eq!(trail.points.len(), POINTS_MAX);
        let times: Vec<Timestamp> = trail.points.into_keys().collect();
        assert!(times.windows(2).all(|pair| pair[1].ms_since(pair[0]) >= SPACING_MS));
        assert!(trails.take().is_empty());
    }

    #[test]
    fn what_comes_late_stands_where_it_belongs_and_once() {
        let place = Place::from(Point::new(5.0, 0.0).expect("on the earth"));
        let point = |s: i64, received_s: i64| TrackPoint {
            received_at: Timestamp::from_millis(received_s * 1_000),
            ..TrackPoint::plain(Timestamp::from_millis(s * 1_000), place)
        };
        let courier = CourierId::from_u128(1);
        let mut trails = Trails::default();
        trails.extend(courier, &[7], &[point(100, 100), point(140, 140)], &[]);
        let tunnel = [point(110, 141), point(120, 141), point(130, 141)];
        trails.extend(courier, &[7], &[], &tunnel);
        trails.extend(courier, &[7], &[], &tunnel);
        let trail = trails.take().remove(&courier).expect("there is one");
        let times: Vec<(i64, i64)> =
            trail.points.values().map(|point| (point.at.millis() / 1000, point.received_at.millis() / 1000)).collect();
        assert_eq!(times, [(100, 100), (110, 141), (120, 141), (130, 141), (140, 140)]);
        assert!(trail.is_late);
    }

    #[test]
    fn rows_of_the_first_release_are_read() {
        let place = Place::from(Point::new(0.5, -2.0).expect("on the earth"));
        let points = vec![TrackPoint::plain(Timestamp::from_millis(1), place)];
        let mut old = vec![1, 1, 7, 1, 2];
        old.extend([0.5_f64, -2.0].map(f64::to_le_bytes).concat());
        assert_eq!(Track::from_bytes(&old), Some(Track { subjects: vec![7], points }));
        let new =
            Track { subjects: vec![7], points: vec![TrackPoint { seq: Some(3), ..TrackPoint::plain(Timestamp::from_millis(1), place) }] };
        assert_eq!(Track::from_bytes(&new.to_bytes()), Some(new));
    }
}
