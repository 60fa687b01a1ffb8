//! Travel times as dispatch asks for them: by a stored map, by a routing server that answers, refuses, is silent and comes back, and by the straight
//! line where neither knows.
#![allow(clippy::unwrap_used)]

mod ahead;
mod closed;
mod server;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use index::geo::Point;
use index::roads::{Cost, Network, RoadMap, Street};
use medina::city::couriers::Vehicle;
use medina::city::travel::osrm::OsrmError;
use medina::city::travel::served::Served;
use medina::city::travel::{GreatCircle, Osrm, Provider, Times, Travel, TravelError};

use server::server;

const SPEED_MPS: f64 = 5.0;
const PATIENT: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3600);

fn point(north: u32) -> Point {
    Point::new(43.7 + f64::from(north) * 0.001, 7.4).unwrap()
}

fn served(server: &Arc<Osrm>) -> Served {
    Served::new(server.clone(), GreatCircle { speed_mps: SPEED_MPS })
}

#[test]
fn a_server_is_believed() {
    let (url, mood) = server();
    let osrm = Osrm::start(&url, PATIENT).unwrap();
    let times = served(&osrm);
    assert_eq!((times.seconds(point(0), point(3), Vehicle::Bike), times.seconds(point(3), point(0), Vehicle::Bike)), (30, 31));
    assert_eq!(times.metres(point(0), point(3)), 3_000);
    let before = mood.asked.load(Ordering::SeqCst);
    let table = times.table(&[point(0), point(9)], &[point(1), point(2), point(95)], Vehicle::Foot);
    let crow = GreatCircle { speed_mps: SPEED_MPS };
    let beyond = [point(0), point(9)].map(|from| crow.seconds(from, point(95), Vehicle::Foot));
    assert_eq!(table, [[10, 20, beyond[0]], [81, 71, beyond[1]]]);
    assert_eq!(times.seconds(point(9), point(2), Vehicle::Foot), 71);
    assert_eq!(mood.asked.load(Ordering::SeqCst), before + 1, "a table is one question, and remembered");
    assert_eq!(times.line(point(0), point(2), Vehicle::Car).len(), 2);
    assert_eq!(osrm.route("driving", point(2), point(0)).unwrap().seconds, 21.0);
    mood.is.store(3, Ordering::SeqCst);
    assert_eq!(osrm.route("driving", point(2), point(0)), Err(OsrmError::Refused("NoRoute".to_owned())));
}

#[test]
fn a_failing_server_is_left_alone_and_comes_back() {
    let (url, mood) = server();
    let crow = GreatCircle { speed_mps: SPEED_MPS }.seconds(point(0), point(3), Vehicle::Bike);
    let ask = |osrm: &Arc<Osrm>| served(osrm).seconds(point(0), point(3), Vehicle::Bike);
    mood.is.store(1, Ordering::SeqCst);
    let osrm = Osrm::resting(&url, PATIENT, HOUR).unwrap();
    for _ in 0..10 {
        assert_eq!(ask(&osrm), crow, "the straight line answers");
    }
    assert_eq!(mood.asked.load(Ordering::SeqCst), 3, "after three failures in a row nobody asks");
    assert_eq!(osrm.table("bike", &[point(0)], &[point(1)]), Err(OsrmError::Open));

    let osrm = Osrm::resting(&url, PATIENT, Duration::ZERO).unwrap();
    for _ in 0..5 {
        assert_eq!(ask(&osrm), crow);
    }
    mood.is.store(0, Ordering::SeqCst);
    let eager = Osrm::resting(&url, PATIENT, Duration::ZERO).unwrap();
    assert_eq!(ask(&eager), 30, "it is believed again");
    // Two failures and an answer are no row of three.
    for _ in 0..4 {
        mood.is.store(1, Ordering::SeqCst);
        assert_eq!((ask(&eager), ask(&eager)), (crow, crow));
        mood.is.store(0, Ordering::SeqCst);
        assert_eq!(ask(&eager), 30);
    }
}

#[test]
fn a_server_that_is_back_is_found_without_anybody_waiting() {
    let (url, mood) = server();
    mood.is.store(1, Ordering::SeqCst);
    let osrm = Osrm::resting(&url, PATIENT, Duration::ZERO).unwrap();
    for _ in 0..3 {
        assert!(matches!(osrm.table("bike", &[point(0)], &[point(1)]), Err(OsrmError::Silent(_))));
    }
    // It does not say a word now: who waited for the question that tries would wait for twenty seconds.
    mood.is.store(2, Ordering::SeqCst);
    assert_eq!(osrm.table("bike", &[point(0)], &[point(1)]), Err(OsrmError::Open));
    assert_eq!(osrm.table("bike", &[point(0)], &[point(1)]), Err(OsrmError::Open));

    mood.is.store(1, Ordering::SeqCst);
    let osrm = Osrm::resting(&url, PATIENT, Duration::ZERO).unwrap();
    for _ in 0..3 {
        assert!(matches!(osrm.table("bike", &[point(0)], &[point(1)]), Err(OsrmError::Silent(_))));
    }
    mood.is.store(0, Ordering::SeqCst);
    while osrm.table("bike", &[point(0)], &[point(1)]).is_err() {
        std::thread::yield_now();
    }
}

#[test]
fn a_large_table_is_asked_for_in_parts() {
    let (url, mood) = server();
    let osrm = Osrm::start(&url, PATIENT).unwrap();
    let seconds = |a: usize, b: usize| f64::from(a.abs_diff(b) as u32 * 10 + u32::from(b < a));
    for (rows, columns, questions) in [(40, 60, 1), (90, 80, 4), (7, 200, 3), (200, 7, 3), (0, 9, 0)] {
        let before = mood.asked.load(Ordering::SeqCst);
        let places = |count: usize| (0..count).map(|n| point(n as u32 % 90)).collect::<Vec<_>>();
        let table = osrm.table("driving", &places(rows), &places(columns)).unwrap();
        assert_eq!(mood.asked.load(Ordering::SeqCst) - before, questions, "{rows} by {columns}");
        assert_eq!(table.len(), rows);
        for (a, row) in table.iter().enumerate() {
            let found: Vec<Option<f64>> = row.iter().map(|leg| leg.map(|(seconds, _)| seconds)).collect();
            let expected: Vec<Option<f64>> = (0..columns).map(|b| Some(seconds(a % 90, b % 90))).collect();
            assert_eq!(found, expected, "row {a} of {rows} by {columns}");
        }
    }
}

#[test]
fn silence_ends_at_the_time_limit() {
    let (url, mood) = server();
    mood.is.store(2, Ordering::SeqCst);
    let osrm = Osrm::resting(&url, Duration::from_millis(50), HOUR).unwrap();
    let silent = osrm.table("bike", &[point(0)], &[point(1)]);
    assert!(matches!(silent, Err(OsrmError::Silent(_))), "{silent:?}");
    // A port where nobody listens any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let osrm = Osrm::start(&format!("http://{gone}"), PATIENT).unwrap();
    assert!(matches!(osrm.route("bike", point(0), point(1)), Err(OsrmError::Silent(_))));
}

#[test]
fn a_stored_map_answers_and_the_straight_line_beyond_it() {
    // Up a one-way street of five places, and round by a long way back.
    let place = |n: u32| if n < 5 { point(n) } else { Point::new(43.702, 7.402).unwrap() };
    let street = |from, to, seconds: u32| Street { from, to, cost: Cost::new(seconds * 10, seconds * 50) };
    let mut streets: Vec<Street> = (0..4).map(|n| street(n, n + 1, 30)).collect();
    streets.extend([street(4, 5, 200), street(5, 0, 200)]);
    let network = Network { points: (0..6).map(place).collect(), streets, ..Network::default() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roads.map");
    assert!(matches!(Travel::open(Provider::Map(path.clone())), Err(TravelError::Map { .. })), "there is no map yet");
    RoadMap::of(&[network.clone(), network.clone(), network.clone(), network]).unwrap().save(&path).unwrap();
    let times = Travel::open(Provider::Map(path.clone())).unwrap().in_city(SPEED_MPS);
    for by in [Vehicle::Foot, Vehicle::Bike, Vehicle::Motorbike, Vehicle::Car] {
        assert_eq!((times.seconds(point(0), point(4), by), times.seconds(point(4), point(0), by)), (120, 400), "{by:?}");
        assert_eq!(times.table(&[point(4)], &[point(0), point(4)], by), [[400, 0]]);
    }
    assert_eq!((times.metres(point(4), point(0)), times.line(point(0), point(4), Vehicle::Car).len()), (2_000, 7));
    let far = Point::new(44.0, 7.4).unwrap();
    let crow = GreatCircle { speed_mps: SPEED_MPS };
    assert_eq!(times.seconds(point(0), far, Vehicle::Car), crow.seconds(point(0), far, Vehicle::Car));
    assert_eq!(times.metres(point(0), far), crow.metres(point(0), far));
    assert_eq!(times.line(point(0), far, Vehicle::Car), [point(0), far]);
    std::fs::write(&path, b"not a map").unwrap();
    let error = Travel::open(Provider::Map(path)).err().unwrap().to_string();
    assert!(error.contains("medina map import"), "{error}");
}
