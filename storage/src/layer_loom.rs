//! All interleavings of one writer and a reader of an older picture.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p storage --release --lib layer::interleavings` (with a target folder of its own).

use loom::thread;

use super::Layer;
use crate::Change;
use crate::view::Direction;

fn value(n: u8) -> Change {
    Some([n].as_slice().into())
}

/// What a picture shows, seen each way that it can be read.
fn look(layer: &Layer, shown: &[(u8, u8)]) {
    for key in 0..4 {
        let expected = shown.iter().find(|(shown, _)| *shown == key).map(|(_, n)| value(*n));
        assert_eq!(layer.get(&[key]), expected);
    }
    let all = |direction| layer.scan(&[0], &[9], direction).map(|(key, change)| (key[0], change)).collect::<Vec<_>>();
    let mut expected: Vec<_> = shown.iter().map(|(key, n)| (*key, value(*n))).collect();
    assert_eq!(all(Direction::Forward), expected);
    expected.reverse();
    assert_eq!(all(Direction::Backward), expected);
}

/// A picture of the writes `before` stays as it is while `after` is written.
fn explore(before: &'static [(u8, u8)], after: &'static [(u8, u8)], shown: &'static [(u8, u8)]) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let mut layer = Layer::new();
        for (key, n) in before {
            layer.insert([*key], value(*n));
        }
        let picture = layer.clone();
        let reader = thread::spawn(move || look(&picture, shown));
        for (key, n) in after {
            layer.insert([*key], value(*n));
        }
        reader.join().expect("the reader ends well");
    });
}

#[test]
fn a_key_written_again_stays_as_it_was() {
    explore(&[(1, 1), (2, 2)], &[(2, 3), (1, 4)], &[(1, 1), (2, 2)]);
}

#[test]
fn a_new_key_beside_an_old_one_is_not_seen() {
    explore(&[(1, 1), (3, 2)], &[(2, 3), (0, 4)], &[(1, 1), (3, 2)]);
}

#[test]
fn a_key_before_and_one_behind_all_are_not_seen() {
    explore(&[(2, 1), (2, 2)], &[(1, 3), (3, 4), (2, 5)], &[(2, 2)]);
}
