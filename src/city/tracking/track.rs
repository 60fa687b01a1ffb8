//! The sampled track: where a courier with jobs in hand was, one row a courier every half minute.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use storage::{Direction, Index, Read, Row, Table, Timestamp};

use super::live::Tracking;
use crate::city::couriers::CourierId;
use crate::city::place::Place;
use crate::engine::{Caller, Engine, Fault};

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
}

/// A stretch of a courier's way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// What the courier carried on it.
    pub subjects: Vec<u128>,
    pub points: Vec<TrackPoint>,
}

impl Row for Track {
    const VERSION: u8 = 1;
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
    pub points: Vec<TrackPoint>,
}

/// All trails that wait.
#[derive(Debug, Default)]
pub struct Trails(BTreeMap<CourierId, Trail>);

impl Trails {
    /// Adds points that are far enough apart in time, up to the cap.
    pub fn extend(&mut self, courier: CourierId, subjects: &[u128], points: &[TrackPoint]) {
        let trail = self.0.entry(courier).or_default();
        for subject in subjects {
            if !trail.subjects.contains(subject) {
                trail.subjects.push(*subject);
            }
        }
        for point in points {
            let apart = trail.points.last().is_none_or(|last| point.at.ms_since(last.at) >= SPACING_MS);
            if apart && trail.points.len() < POINTS_MAX {
                trail.points.push(*point);
            }
        }
    }

    /// Everything, leaving nothing.
    pub fn take(&mut self) -> BTreeMap<CourierId, Trail> {
        std::mem::take(&mut self.0)
    }
}

/// Writes the waiting trails, a few hundred rows a command.
pub async fn sample(tracking: &Tracking, engine: &Engine) {
    let mut rows: Vec<((CourierId, Timestamp), Track)> = tracking
        .take_trails()
        .into_iter()
        .filter_map(|(courier, Trail { subjects, points })| {
            points.first().map(|first| ((courier, first.at), Track { subjects, points: points.clone() }))
        })
        .collect();
    while !rows.is_empty() {
        let some = rows.split_off(rows.len().saturating_sub(ROWS_MAX));
        let written = engine.write(&Caller::system("tracking"), "tracking.sample", move |tx| {
            for (key, track) in &some {
                TRACKS.put(tx, key, track);
            }
            Ok::<(), Fault>(())
        });
        // Evidence, not truth: under overload a stretch of the track is lost, nothing waits for it.
        if let Err(error) = written.await {
            tracing::warn!(?error, "a sample of tracks was not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use index::geo::Point;

    use super::*;

    #[test]
    fn trails_are_thinned_and_bounded() {
        let place = Place::from(Point::new(5.0, 0.0).expect("on the earth"));
        let points: Vec<TrackPoint> = (0..1_000).map(|s| TrackPoint { at: Timestamp::from_millis(s * 1_000), place }).collect();
        let courier = CourierId::from_u128(1);
        let mut trails = Trails::default();
        trails.extend(courier, &[7], &points);
        trails.extend(courier, &[7, 8], &[]);
        let trail = trails.take().remove(&courier).expect("there is one");
        assert_eq!(trail.subjects, [7, 8]);
        assert_eq!(trail.points.len(), POINTS_MAX);
        assert!(trail.points.windows(2).all(|pair| pair[1].at.ms_since(pair[0].at) >= SPACING_MS));
        assert!(trails.take().is_empty());
    }
}
