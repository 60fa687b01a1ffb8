//! All interleavings of the small promises that live positions rest on.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p index --release --test loom` (with a target folder of its own).
#![allow(clippy::unwrap_used)]
#![cfg(loom)]

use index::geo::{Fix, Ping, Point, Positions, Slot};
use loom::{sync::Arc, thread};

/// Fix `n`: every part of it tells `n`.
fn fix(n: i64) -> Fix {
    let point = Point::new(n as f64, -(n as f64)).unwrap();
    Fix { point, at_ms: n, heading_deg: Some(n as u16), speed_mps: Some(n as f32), accuracy_m: Some(n as f32) }
}

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn positions(at: i64) -> (Arc<Positions>, Slot) {
    let positions = Arc::new(Positions::new());
    let slot = positions.insert(9).unwrap();
    assert_eq!(positions.ping(slot, &fix(at)), Ping::Taken);
    (positions, slot)
}

/// A reader sees one whole fix, never a mixture of two, and never an older one than before, while two pings land.
#[test]
fn a_fix_is_read_whole() {
    fn read(positions: &Positions, slot: Slot) {
        let first = positions.last(slot).unwrap();
        assert_eq!(first, fix(first.at_ms));
        let second = positions.last(slot).unwrap();
        assert_eq!(second, fix(second.at_ms));
        assert!(second.at_ms >= first.at_ms);
    }
    fn write(positions: &Positions, slot: Slot) {
        positions.ping(slot, &fix(2));
        positions.ping(slot, &fix(3));
    }
    // Loom's reduction starts from one schedule and compares each access with the last one only: both orders, to miss nothing.
    for [here, there] in [[read, write], [write, read]] {
        explore(move || {
            let (positions, slot) = positions(1);
            let other = {
                let positions = positions.clone();
                thread::spawn(move || there(&positions, slot))
            };
            here(&positions, slot);
            other.join().unwrap();
            assert_eq!(positions.last(slot), Some(fix(3)));
        });
    }
}

/// Of two pings at once the later one stays, whoever comes first.
#[test]
fn two_writers_take_turns() {
    explore(|| {
        let (positions, slot) = positions(1);
        let other = {
            let positions = positions.clone();
            thread::spawn(move || positions.ping(slot, &fix(3)))
        };
        let mine = positions.ping(slot, &fix(2));
        assert_eq!(other.join().unwrap(), Ping::Taken);
        assert_eq!(positions.last(slot), Some(fix(3)));
        assert!(matches!(mine, Ping::Taken | Ping::Late));
    });
}

/// A ping that lands during a refresh is in that picture or makes the next refresh take one: nobody is forgotten.
#[test]
fn no_ping_is_forgotten_by_the_next_refresh() {
    type Role = fn(&Positions, [Slot; 2]);
    let roles: [Role; 3] = [
        |positions, [slot, _]| {
            positions.ping(slot, &fix(5));
        },
        |positions, [_, other]| {
            positions.ping(other, &fix(7));
        },
        |positions, _| {
            positions.refresh();
        },
    ];
    for (here, there, elsewhere) in [(0, 1, 2), (1, 2, 0), (2, 0, 1)] {
        explore(move || {
            let (positions, slot) = positions(1);
            let slots = [slot, positions.insert(10).unwrap()];
            let others = [there, elsewhere].map(|role| {
                let positions = positions.clone();
                thread::spawn(move || roles[role](&positions, slots))
            });
            roles[here](&positions, slots);
            for other in others {
                other.join().unwrap();
            }
            positions.refresh();
            // The picture decides who is considered: in an old one, both are a thousand kilometres off.
            for n in [5, 7] {
                let seen = positions.nearest(fix(n).point, 1, 10.0, |_| true);
                assert_eq!(seen.first().map(|seen| seen.fix), Some(fix(n)));
            }
        });
    }
}

/// A refresh that did not wait for a ping (no join between them) still has every ping that happened before it by way of the count.
#[test]
fn a_picture_has_what_its_count_has() {
    explore(|| {
        let (positions, slot) = positions(1);
        let writer = {
            let positions = positions.clone();
            thread::spawn(move || positions.ping(slot, &fix(5)))
        };
        let refresher = {
            let positions = positions.clone();
            thread::spawn(move || positions.refresh())
        };
        positions.refresh();
        refresher.join().unwrap();
        writer.join().unwrap();
        positions.refresh();
        assert_eq!(positions.nearest(fix(5).point, 1, 10.0, |_| true).len(), 1);
    });
}

/// A search while a picture is replaced sees the old one or the new one, and live fixes in either.
#[test]
fn a_search_sees_a_whole_picture() {
    explore(|| {
        let (positions, slot) = positions(1);
        positions.refresh();
        let near = |n: i64| Point::new(1.0 + n as f64 * 1e-5, -1.0).unwrap();
        let writer = {
            let positions = positions.clone();
            let moved = Fix { point: near(1), ..fix(2) };
            thread::spawn(move || {
                positions.ping(slot, &moved);
                positions.refresh();
            })
        };
        let seen = positions.nearest(near(0), 1, 100.0, |_| true);
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].fix.point, near(seen[0].fix.at_ms - 1));
        writer.join().unwrap();
    });
}
