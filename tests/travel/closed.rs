//! Nobody is sent through what is closed, whoever says how long ways take.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use index::geo::{Obstacle, Obstacles, Point};
use index::roads::{Cost, Network, RoadMap, Street};
use medina::city::couriers::Vehicle;
use medina::city::travel::{GreatCircle, Osrm, Times, Travel};

use super::server::server;
use super::{PATIENT, SPEED_MPS, point};

fn closed(obstacles: Vec<Obstacle>) -> Arc<Obstacles> {
    Arc::new(obstacles.into())
}

/// From west to east in thousandths of a degree beside the line that all places lie on, and between two of them.
fn block(west: f64, east: f64, south: u32, north: u32) -> Obstacle {
    let beside = |place: u32, east: f64| Point::new(point(place).lat(), 7.4 + east * 0.001).unwrap();
    Obstacle::around(&[beside(south, west), beside(south, east), beside(north, east), beside(north, west)], 10.0).unwrap()
}

/// Metres of the server's second such that ways are as long as they are.
const TRUE_METRES: u32 = 12;

#[test]
fn a_server_is_not_believed_through_what_is_closed() {
    let (url, mood) = server();
    mood.metres.store(TRUE_METRES, Ordering::SeqCst);
    let travel = Travel::Osrm(Osrm::start(&url, PATIENT).unwrap());
    let obstacles = closed(vec![block(-2.0, 2.0, 5, 7)]);
    let times = || travel.around(obstacles.clone(), SPEED_MPS);
    let crow = Travel::GreatCircle.around(obstacles.clone(), SPEED_MPS);
    let by = Vehicle::Bike;
    let drawn = || mood.drawn.load(Ordering::SeqCst);
    let (from, to) = (point(0), point(10));
    let around = (crow.seconds(from, to, by), crow.line(from, to, by));
    assert!(around.0 > GreatCircle { speed_mps: SPEED_MPS }.seconds(from, to, by) && around.1.len() > 2, "{around:?}");

    // Too short to come there at all.
    assert_eq!((times().seconds(from, point(3), by), times().metres(from, point(3)), drawn()), (30, 360, 0));
    // Through: the straight line, around it.
    let through = times();
    assert_eq!((through.seconds(from, to, by), through.line(from, to, by), drawn()), (around.0, around.1.clone(), 1));
    assert_eq!(through.seconds(from, to, by), around.0);
    assert_eq!(drawn(), 1, "what was drawn is remembered");
    assert_eq!(through.metres(from, to), 1_200, "not shorter than the way through");
    // Its streets lead past it.
    mood.bend.store(6, Ordering::SeqCst);
    let past = times();
    assert_eq!((past.seconds(from, to, by), past.metres(from, to)), (100, 1_200));
    assert_eq!(past.line(from, to, by).len(), 3);
    // It cannot draw now, and what is not known to be open is closed.
    mood.is.store(4, Ordering::SeqCst);
    assert_eq!(times().seconds(from, to, by), around.0);
    mood.is.store(0, Ordering::SeqCst);
    assert_eq!(times().seconds(from, to, by), 100);
    // Whoever stands in it gets out as they can.
    assert_eq!(times().seconds(point(6), point(9), by), 30);
}

#[test]
fn streets_may_bend_into_what_is_closed() {
    let (url, mood) = server();
    mood.metres.store(TRUE_METRES, Ordering::SeqCst);
    mood.bend.store(2, Ordering::SeqCst);
    let travel = Travel::Osrm(Osrm::start(&url, PATIENT).unwrap());
    let crow = GreatCircle { speed_mps: SPEED_MPS };
    let (from, to, by) = (point(0), point(10), Vehicle::Bike);
    let beside = travel.around(closed(vec![block(1.0, 3.0, 4, 6)]), SPEED_MPS);
    assert_eq!(
        (beside.seconds(from, to, by), beside.line(from, to, by)),
        (crow.seconds(from, to, by), vec![from, to]),
        "the straight line is open"
    );
    let elsewhere = travel.around(closed(vec![block(-3.0, -1.0, 4, 6)]), SPEED_MPS);
    assert_eq!(elsewhere.seconds(from, to, by), 100);
}

#[test]
fn a_table_is_held_out_of_what_is_closed() {
    let (url, mood) = server();
    mood.metres.store(TRUE_METRES, Ordering::SeqCst);
    let travel = Travel::Osrm(Osrm::start(&url, PATIENT).unwrap());
    let obstacles = closed(vec![block(-2.0, 2.0, 15, 17)]);
    let (times, crow) = (travel.around(obstacles.clone(), SPEED_MPS), Travel::GreatCircle.around(obstacles.clone(), SPEED_MPS));
    let by = Vehicle::Foot;
    let (from, to) = ([point(0), point(11)], [point(3), point(20)]);
    let table = times.table(&from, &to, by);
    assert_eq!(table, [[30, crow.seconds(from[0], to[1], by)], [81, crow.seconds(from[1], to[1], by)]]);
    let asked = |which: &std::sync::atomic::AtomicU32| which.load(Ordering::SeqCst);
    assert_eq!((asked(&mood.asked), asked(&mood.drawn)), (3, 2), "one table, and the two ways that could lead through");
    assert_eq!(times.seconds(from[0], to[1], by), table[0][1]);
    assert_eq!(asked(&mood.asked), 3);
    // More ways than it is asked to draw: the others are not believed either.
    mood.bend.store(9, Ordering::SeqCst);
    let (south, north): (Vec<Point>, Vec<Point>) = (0..10).map(|n| (point(n), point(n + 20))).unzip();
    let table = travel.around(obstacles, SPEED_MPS).table(&south, &north, by);
    assert_eq!(asked(&mood.drawn), 2 + 64);
    let believed = |(row, column): &(usize, usize)| table[*row][*column] == 200 + 10 * *column as u32 - 10 * *row as u32;
    let all: Vec<(usize, usize)> = (0..10).flat_map(|row| (0..10).map(move |column| (row, column))).collect();
    assert_eq!(all.iter().filter(|pair| believed(pair)).count(), 64);
    for (row, column) in all.iter().filter(|pair| !believed(pair)) {
        assert_eq!(table[*row][*column], crow.seconds(south[*row], north[*column], by));
    }
}

#[test]
fn a_map_is_not_believed_through_what_is_closed() {
    // One street through the block, and another from place 0 to place 3 that ends before it.
    let street = |from, to| Street { from, to, cost: Cost::new(300, 3_300) };
    let streets = (0..3).flat_map(|n| [street(n, n + 1), street(n + 1, n)]).collect();
    let network = Network { points: (0..4).map(|n| point(n * 3)).collect(), streets, ..Network::default() };
    let travel = Travel::Map(Arc::new(RoadMap::of(&[network.clone(), network.clone(), network.clone(), network]).unwrap()));
    let obstacles = closed(vec![block(-2.0, 2.0, 7, 8)]);
    let (times, crow) = (travel.around(obstacles.clone(), SPEED_MPS), Travel::GreatCircle.around(obstacles, SPEED_MPS));
    let by = Vehicle::Bike;
    assert_eq!((times.seconds(point(0), point(3), by), times.line(point(0), point(3), by).len()), (30, 4));
    assert_eq!(times.seconds(point(0), point(9), by), crow.seconds(point(0), point(9), by));
    assert_eq!(times.line(point(0), point(9), by), crow.line(point(0), point(9), by));
    assert_eq!(times.table(&[point(0)], &[point(3), point(9)], by), [[30, crow.seconds(point(0), point(9), by)]]);
}

proptest::proptest! {
    /// A detour is never shorter than the way through, a table says what its questions say, and the line leads where it should, past all that it does not begin or end in.
    #[test]
    fn around_what_is_closed(ways in proptest::collection::vec((0..200_u32, 0..200_u32, 0..200_u32, 0..200_u32), 1..12)) {
        let at = |x: u32, y: u32| Point::new(43.7 + f64::from(y) * 1e-4, 7.4 + f64::from(x) * 1e-4).unwrap();
        let block = |x: u32, y: u32| Obstacle::around(&[at(x, y), at(x + 40, y), at(x + 40, y + 30), at(x, y + 30)], 10.0).unwrap();
        let crow = GreatCircle { speed_mps: SPEED_MPS };
        let obstacles = closed(vec![block(50, 60), block(120, 20), block(80, 75)]);
        let around = Travel::GreatCircle.around(obstacles.clone(), SPEED_MPS);
        let (from, to): (Vec<Point>, Vec<Point>) = ways.iter().map(|(a, b, c, d)| (at(*a, *b), at(*c, *d))).unzip();
        let table = around.table(&from, &to, Vehicle::Bike);
        for (start, row) in from.iter().zip(&table) {
            for (end, seconds) in to.iter().zip(row) {
                proptest::prop_assert_eq!(*seconds, around.seconds(*start, *end, Vehicle::Bike));
                proptest::prop_assert!(*seconds >= crow.seconds(*start, *end, Vehicle::Bike));
                proptest::prop_assert!(around.metres(*start, *end) + 2 >= crow.metres(*start, *end));
                let line = around.line(*start, *end, Vehicle::Bike);
                proptest::prop_assert_eq!((line.first(), line.last()), (Some(start), Some(end)));
                proptest::prop_assert!(obstacles.not_holding([*start, *end]).leave_open(&line), "{:?}", line);
            }
        }
    }
}
