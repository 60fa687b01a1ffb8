//! The archive: what was put in comes out, nothing else does, and the way to any place is found by names alone.

use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use storage::archive::{self, Goal, PieceName, Place};
use storage::disk::SimDisk;
use storage::log::{LogReader, Record};
use storage::{Options, Store, Timestamp};

/// A log of `records` records, one command each, a second apart.
fn log(records: u64, epoch: u64) -> Vec<Record> {
    let disk = SimDisk::new(1);
    let options = Options { segment_bytes: 16 << 10, cache_bytes: 1 << 20, ..Options::with_seed([1; 32]) };
    let mut store = Store::open(Arc::new(disk.clone()), Path::new("data"), options).expect("it opens");
    for n in 1..=records {
        if n == epoch {
            store.open_epoch(2, Timestamp::from_millis(n as i64 * 1_000)).expect("the disk is healthy");
            continue;
        }
        store.begin(Timestamp::from_millis(n as i64 * 1_000));
        store
            .run(|txn| {
                txn.set_raw(&[9, 9, n as u8], Some(vec![n as u8; 50].into()));
                Ok::<(), ()>(())
            })
            .expect("it cannot refuse");
        store.commit().expect("the disk is healthy");
    }
    let mut reader = LogReader::open(Arc::new(disk), Path::new("data/log"), 1).expect("the log is there");
    std::iter::from_fn(|| reader.next().expect("a healthy log")).collect()
}

#[test]
fn a_piece_comes_back_and_no_other_bytes_do() {
    let records = log(5, 0);
    let (name, bytes) = archive::encode(1, &records);
    assert_eq!(name.to_string().parse::<PieceName>(), Ok(name));
    assert_eq!(archive::decode(&name, 1, &bytes).expect("it is right"), records);
    for at in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        assert!(archive::decode(&name, 1, &bytes).is_err(), "bit {at}");
    }
    assert!(archive::decode(&name, 2, &bytes).is_err(), "another city's");
    let (other, _) = archive::encode(1, &records[1..]);
    assert!(archive::decode(&other, 1, &bytes).is_err(), "another piece's name");
    // A forger who seals anew is caught by the records' own hashes.
    let mut forged = records.clone();
    forged[2].body[3] ^= 1;
    let (name, bytes) = archive::encode(1, &forged);
    assert!(archive::decode(&name, 1, &bytes).is_err(), "a forged record");
}

fn piece(records: &[Record]) -> PieceName {
    archive::encode(1, records).0
}

fn place(record: &Record) -> Place {
    record.position().into()
}

#[test]
fn the_way_is_found() {
    let old = log(20, 0);
    let new = log(30, 11); // the same first ten, then another history in epoch 2
    assert_eq!(old[9], new[9]);
    let pieces = [piece(&old[0..5]), piece(&old[5..10]), piece(&old[10..15]), piece(&old[15..20]), piece(&new[10..30])];
    let snapshots = [place(&old[1]), place(&old[9]), place(&old[11])];
    let goal = |epoch, seq, at_s: Option<i64>| Goal { epoch, seq, time: at_s.map(|at| Timestamp::from_millis(at * 1_000)) };
    // goal, snapshot's sequence number, pieces, reach
    type Found = Option<(u64, usize, u64, u64)>;
    let cases: [(&str, Goal, Found); 8] = [
        ("all there is, in the newest history", Goal::default(), Some((10, 1, 2, 30))),
        ("the history before the restore", goal(Some(1), None, None), Some((12, 2, 1, 20))),
        ("a sequence number in it", goal(Some(1), Some(13), None), Some((12, 1, 1, 15))),
        ("a sequence number before both parted", goal(None, Some(7), None), Some((2, 2, 1, 10))),
        ("exactly a snapshot", goal(None, Some(10), None), Some((10, 0, 1, 10))),
        ("a time", goal(None, None, Some(25)), Some((10, 1, 2, 30))),
        ("a time before both parted", goal(None, None, Some(8)), Some((2, 2, 1, 10))),
        ("before every snapshot", goal(None, Some(1), None), None),
    ];
    for (what, goal, wanted) in cases {
        let found = archive::plan(&snapshots, &pieces, goal);
        let shown = found.as_ref().map(|plan| (plan.snapshot.seq, plan.pieces.len(), plan.reach.epoch, plan.reach.seq));
        assert_eq!(shown, wanted, "{what}: {found:?}");
    }
}

proptest! {
    /// However the log was cut into pieces, overlapping or not, the way has no hole.
    #[test]
    fn a_way_has_no_hole(cuts in vec((0_usize..40, 1_usize..15), 1..12), from in 0_usize..40) {
        let records = log(40, 0);
        let pieces: Vec<PieceName> = cuts.iter().map(|(at, len)| piece(&records[*at..(at + len).min(40)])).collect();
        let plan = archive::plan(&[place(&records[from])], &pieces, Goal::default()).expect("the snapshot is a way");
        let mut at = from as u64 + 1;
        for piece in &plan.pieces {
            prop_assert!(piece.first <= at + 1 && at < piece.end.seq);
            at = piece.end.seq;
        }
        prop_assert_eq!(plan.reach.seq, at);
        let more = pieces.iter().any(|piece| piece.first <= at + 1 && at < piece.end.seq);
        prop_assert!(!more, "it stopped at {at} although a piece goes on");
    }

    #[test]
    fn foreign_names_and_bytes_never_panic(text in "[0-9a-et-]{0,90}", bytes in vec(any::<u8>(), 0..200)) {
        let _ = (text.parse::<PieceName>(), text.parse::<Place>());
        let name = piece(&log(1, 0));
        prop_assert!(archive::decode(&name, 1, &bytes).is_err());
    }
}
