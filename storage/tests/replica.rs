//! Two stores, one history: a follower that is fed a leader's records in any pieces holds the same state; where histories part, the end is set aside
//! as text and cut, at any crash.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use storage::disk::planted::{self, Bug};
use storage::disk::{Disk, Open, SimDisk};
use storage::log::{LogReader, Record};
use storage::replica::history::{self, Holds};
use storage::replica::{epoch, frame};
use storage::store::{Applied, ApplyError, CutError, FoldJob};
use storage::{Direction, Options, Position, Read, Row, Store, Table, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Thing(u64);
impl Row for Thing {
    const VERSION: u8 = 1;
}

static THINGS: Table<u32, Thing> = Table::new(900, "things", &[]);

fn open_in(disk: &SimDisk, seed: u8) -> Result<Store, storage::store::OpenError> {
    let options = Options { segment_bytes: 4 << 10, cache_bytes: 1 << 20, log_kept_bytes: 1 << 20, ..Options::with_seed([seed; 32]) };
    Store::open(Arc::new(disk.clone()), Path::new("data"), options)
}

fn open(disk: &SimDisk, seed: u8) -> Store {
    open_in(disk, seed).expect("a healthy folder opens")
}

fn put(store: &mut Store, key: u32, value: u64) {
    let done: Result<_, ()> = store.run(|txn| {
        THINGS.put(txn, &key, &Thing(value));
        Ok(())
    });
    done.unwrap();
}

fn commit(store: &mut Store, at: i64, writes: &[(u32, u64)]) {
    store.begin(Timestamp::from_millis(at));
    writes.iter().for_each(|(key, value)| put(store, *key, *value));
    store.commit().unwrap();
}

fn everything(read: &impl Read) -> Vec<(Vec<u8>, Vec<u8>)> {
    read.scan_raw(&[], &[0xFF; 8], Direction::Forward).map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// What stands in the state file only says up to where it reaches.
fn rows(read: &impl Read) -> Vec<(Vec<u8>, Vec<u8>)> {
    everything(read).into_iter().filter(|(key, _)| key[..] != [0, 0, 1]).collect()
}

/// Everything in the leader's log after `seq`, over the wire and back.
fn records(disk: &SimDisk, store: &Store, seq: u64) -> Vec<Record> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut reader = LogReader::open(disk, &store.log_dir(), seq + 1).unwrap();
    reader.until(store.position().seq);
    let mut records = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        let mut bytes = Vec::new();
        frame::encode(&record, &mut bytes);
        records.push(frame::decode(&bytes).expect("what was encoded decodes"));
    }
    records
}

#[derive(Clone, Debug)]
enum Op {
    /// The leader commits a batch that nobody sees yet.
    Lead(Vec<(u32, u64)>),
    /// The leader shows what it has.
    Publish,
    /// The follower connects, takes at most so many records and is cut off; it asks from so many commands before its own end on.
    Stream(usize, u64),
    BeginFold,
    FinishFold,
    FollowerFolds,
    ReopenLeader,
    ReopenFollower,
    NewEpoch,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => vec((0_u32..20, any::<u64>()), 0..4).prop_map(Op::Lead),
        3 => Just(Op::Publish),
        5 => (0_usize..6, 0_u64..6).prop_map(|(most, back)| Op::Stream(most, back)),
        2 => Just(Op::BeginFold),
        2 => Just(Op::FinishFold),
        1 => Just(Op::FollowerFolds),
        1 => Just(Op::ReopenLeader),
        1 => Just(Op::ReopenFollower),
        1 => Just(Op::NewEpoch),
    ]
}

/// Plays; at the end the follower catches up. An error says in what the two differ.
fn play(ops: &[Op]) -> Result<(), String> {
    let (ours, theirs) = (SimDisk::new(1), SimDisk::new(2));
    let (mut leader, mut follower) = (Some(open(&ours, 1)), Some(open(&theirs, 2)));
    let mut fold: Option<FoldJob> = None;
    let mut shown = rows(leader.as_ref().unwrap().head());
    for (at, op) in ops.iter().enumerate() {
        let (lead, follow) = (leader.as_mut().unwrap(), follower.as_mut().unwrap());
        match op {
            Op::Lead(writes) => {
                lead.begin(Timestamp::from_millis(at as i64));
                writes.iter().for_each(|(key, value)| put(lead, *key, *value));
                lead.sync().unwrap();
            }
            Op::Publish => drop(lead.publish_to(u64::MAX)),
            Op::Stream(most, back) => {
                let from = follow.position().seq.saturating_sub(*back);
                for record in records(&ours, lead, from).into_iter().take(*most) {
                    let is_old = record.last_seq() <= follow.position().seq;
                    let applied = follow.apply(&record).map_err(|error| error.to_string())?;
                    if (applied == Applied::Already) != is_old {
                        return Err(format!("step {at}: record {} was {applied:?}", record.first_seq));
                    }
                }
            }
            Op::BeginFold if fold.is_none() => fold = lead.fold_job(),
            Op::FinishFold => {
                if let Some(job) = fold.take() {
                    lead.finish_fold(job.run().unwrap()).clear().unwrap();
                }
            }
            Op::BeginFold => (),
            Op::FollowerFolds => follow.fold_now().unwrap(),
            Op::ReopenLeader => {
                drop((fold.take(), leader.take()));
                leader = Some(open(&ours, 1));
            }
            Op::ReopenFollower => {
                drop(follower.take());
                follower = Some(open(&theirs, 2));
            }
            Op::NewEpoch if lead.in_flight() == 0 => {
                lead.open_epoch(lead.position().epoch + 2, Timestamp::from_millis(at as i64)).unwrap();
            }
            Op::NewEpoch => (),
        }
        let lead = leader.as_ref().unwrap();
        let seen = rows(&*lead.views().now());
        let may_change = matches!(op, Op::Publish | Op::ReopenLeader | Op::NewEpoch);
        if !may_change && seen != shown {
            return Err(format!("step {at}: {op:?} changed what readers see"));
        }
        if lead.in_flight() == 0 && seen != rows(lead.head()) {
            return Err(format!("step {at}: readers do not see everything published"));
        }
        shown = seen;
    }
    let (lead, follow) = (leader.as_mut().unwrap(), follower.as_mut().unwrap());
    lead.publish_to(u64::MAX);
    for record in records(&ours, lead, follow.position().seq) {
        follow.apply(&record).map_err(|error| error.to_string())?;
    }
    if lead.position() != follow.position() || lead.views().now().position() != follow.views().now().position() {
        return Err(format!("{:?} is not {:?}", lead.position(), follow.position()));
    }
    if rows(&*lead.views().now()) != rows(&*follow.views().now()) {
        return Err("the follower's rows are not the leader's".to_owned());
    }
    drop(follower.take());
    let again = open(&theirs, 2);
    let same = rows(again.head()) == rows(lead.head()) && epoch::EPOCHS.scan(again.head()).eq(epoch::EPOCHS.scan(lead.head()));
    if same { Ok(()) } else { Err("after a restart the follower's rows are not the leader's".to_owned()) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// However the stream is cut, repeated and folded, both hold the same.
    #[test]
    fn a_follower_becomes_its_leader(ops in vec(op(), 0..60)) {
        play(&ops).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn a_batch_that_is_applied_twice_is_found() {
    let ops = [Op::Lead(vec![(1, 1)]), Op::Lead(vec![(1, 2)]), Op::Stream(5, 0), Op::Stream(1, 2)];
    play(&ops).expect("without the bug all is well");
    planted::set(Bug::BatchTwice);
    let found = play(&ops);
    planted::set(None);
    assert_eq!(found.is_err(), cfg!(feature = "planted"), "the bug is there only with the feature: {found:?}");
}

#[test]
fn a_record_that_does_not_continue_the_history_is_refused() {
    let (ours, theirs) = (SimDisk::new(1), SimDisk::new(2));
    let (mut leader, mut follower) = (open(&ours, 1), open(&theirs, 2));
    for n in 0..4 {
        commit(&mut leader, n, &[(1, n as u64)]);
    }
    let sent = records(&ours, &leader, 0);
    follower.apply(&sent[0]).unwrap();
    let forged = |change: fn(&mut Record)| {
        let mut record = sent[1].clone();
        change(&mut record);
        record
    };
    let cases = [
        ("a gap", sent[2].clone()),
        ("another past", forged(|record| record.prev.0[0] ^= 1)),
        ("another body", forged(|record| *record.body.last_mut().unwrap() ^= 1)),
        ("another hash", forged(|record| record.hash.0[31] ^= 1)),
        ("a lower epoch", forged(|record| record.epoch = 0)),
        ("an earlier time", forged(|record| record.time = Timestamp::from_millis(-1))),
        ("no change set", forged(|record| record.body.push(1))),
    ];
    let before = (follower.position(), rows(follower.head()));
    for (what, record) in cases {
        let refused = follower.apply(&record);
        assert!(matches!(refused, Err(ApplyError::Refused { .. })), "{what}: {refused:?}");
        assert_eq!((follower.position(), rows(follower.head())), before, "{what}");
    }
    follower.apply(&sent[1]).expect("the right one is still taken");
}

/// A leader that went on after its follower was promoted. Returns the new leader, and where the two part.
fn part(ours: &SimDisk, theirs: &SimDisk, folded: bool) -> (Store, Position) {
    let (mut old, mut new) = (open(ours, 1), open(theirs, 2));
    for n in 0..30 {
        commit(&mut old, n, &[(n as u32 % 7, n as u64), (100, n as u64)]);
    }
    for record in records(ours, &old, 0) {
        new.apply(&record).unwrap();
    }
    let common = old.position();
    old.fold_now().unwrap();
    for n in 0..40 {
        commit(&mut old, 100 + n, &[(n as u32, 1_000 + n as u64)]);
    }
    if folded {
        old.fold_now().unwrap();
    }
    new.open_epoch(2, Timestamp::from_millis(50)).unwrap();
    commit(&mut new, 60, &[(3, 7)]);
    (new, common)
}

fn describe(record: &Record) -> String {
    format!("{} {}\n", record.first_seq, record.count)
}

fn read_all(disk: &SimDisk, path: &Path) -> String {
    let file = disk.open(path, Open::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn an_old_leaders_end_is_set_aside_and_it_follows() {
    let (ours, theirs) = (SimDisk::new(1), SimDisk::new(2));
    let (new, common) = part(&ours, &theirs, false);
    let old = open(&ours, 1);
    let disk: Arc<dyn Disk> = Arc::new(theirs.clone());
    let holds = |place: &Position| history::holds(&disk, &new.log_dir(), new.position(), place.seq, place.hash).unwrap();
    let own: Arc<dyn Disk> = Arc::new(ours.clone());
    let places = history::places(&own, &old.log_dir(), 1, old.position()).unwrap();
    assert_eq!(places.len(), 71);
    let known: Vec<bool> = places.iter().map(|place| holds(place) == Holds::Yes).collect();
    assert!(known.iter().is_sorted_by(|a, b| a >= b), "a common beginning, and nothing after it");
    assert_eq!(places[known.iter().filter(|known| **known).count() - 1], common);
    let aside = Path::new("data/aside.txt");
    let mut old = old.cut(common, aside, &mut describe).expect("nothing of the end is folded");
    assert_eq!(read_all(&ours, aside), (0..40).map(|n| format!("{} 1\n", 61 + n)).collect::<String>());
    assert_eq!(old.position(), common);
    for record in records(&theirs, &new, common.seq) {
        old.apply(&record).unwrap();
    }
    assert_eq!((old.position(), rows(old.head())), (new.position(), rows(new.head())));
    drop(old);
    assert_eq!(rows(open(&ours, 1).head()), rows(new.head()));
    // A client that saw the old leader's end is told that it is gone; what both share is not.
    let read = new.head();
    for (seq, lost) in [(common.seq, false), (common.seq + 1, true), (common.seq + 40, true)] {
        assert_eq!(epoch::is_lost(read, common.epoch, seq), lost, "{seq}");
    }
    assert!(!epoch::is_lost(read, 2, common.seq + 1));
}

#[test]
fn an_end_that_is_folded_is_not_cut() {
    let (ours, theirs) = (SimDisk::new(1), SimDisk::new(2));
    let (_, common) = part(&ours, &theirs, true);
    let refused = open(&ours, 1).cut(common, Path::new("data/aside.txt"), &mut describe);
    assert!(matches!(refused.map(drop), Err(CutError::Folded { checkpoint: 100, common: 60 })));
    assert_eq!(open(&ours, 1).position().seq, 100, "nothing was changed");
}

#[test]
fn a_crash_while_an_end_is_cut_loses_nothing_of_it() {
    let origin = SimDisk::new(3);
    let (new, common) = part(&origin, &SimDisk::new(4), false);
    origin.crash_now();
    origin.reboot();
    let mut crashes = 0;
    for step in 1..400 {
        let disk = origin.fork(step);
        let Ok(old) = open_in(&disk, 1) else { continue };
        disk.crash_after(step);
        let cut = old.cut(common, Path::new("data/aside-1"), &mut describe);
        let crashed = cut.is_err();
        drop(cut);
        if crashed {
            crashes += 1;
            disk.reboot();
            let again = open(&disk, 1);
            let whole = again.position().seq == 100;
            assert!(again.position().seq >= common.seq, "step {step}: the common part is there");
            assert!(whole || disk.exists(Path::new("data/aside-1")).unwrap(), "step {step}: the end was cut before it was set aside");
            let again = again.cut(common, Path::new("data/aside-2"), &mut describe).unwrap_or_else(|error| panic!("step {step}: {error}"));
            assert_eq!(again.position(), common, "step {step}");
            let first = Path::new(if whole { "data/aside-2" } else { "data/aside-1" });
            assert_eq!(read_all(&disk, first).lines().count(), 40, "step {step}");
        } else if step > 1 && crashes > 0 {
            break;
        }
    }
    assert!(crashes > 10, "the cut has more than {crashes} steps to crash at");
    drop(new);
}
