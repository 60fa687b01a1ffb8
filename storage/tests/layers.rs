//! The five layers of a read against one `BTreeMap`: whatever is committed, refused, folded or reopened in between, they say the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use storage::disk::SimDisk;
use storage::store::FoldJob;
use storage::{Direction, Index, Options, Read, Row, Store, Table, Timestamp, Txn};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Thing {
    colour: u8,
    text: String,
}
impl Row for Thing {
    const VERSION: u8 = 1;
}

static BY_COLOUR: Index<u32, Thing> = Index::new(901, "things.by_colour", |_, thing, keys| keys.add(&thing.colour));
static THINGS: Table<u32, Thing> = Table::new(900, "things", &[&BY_COLOUR]);

fn options() -> Options {
    Options { segment_bytes: 16 << 10, cache_bytes: 1 << 20, log_kept_bytes: 64 << 10, ..Options::with_seed([1; 32]) }
}

fn open(disk: &SimDisk) -> Store {
    Store::open(Arc::new(disk.clone()), Path::new("data"), options()).expect("a healthy folder opens")
}

#[derive(Clone, Debug)]
enum Op {
    Put(u32, u8),
    Delete(u32),
    /// A command that writes and then refuses.
    Refused(u32),
    Commit,
    BeginFold,
    FinishFold,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0_u32..40, 0_u8..4).prop_map(|(key, colour)| Op::Put(key, colour)),
        4 => (0_u32..40).prop_map(Op::Delete),
        1 => (0_u32..40).prop_map(Op::Refused),
        4 => Just(Op::Commit),
        2 => Just(Op::BeginFold),
        2 => Just(Op::FinishFold),
        1 => Just(Op::Reopen),
    ]
}

type Model = BTreeMap<u32, Thing>;

fn check(read: &(impl Read + ?Sized), model: &Model) -> Result<(), TestCaseError> {
    let all: Vec<(u32, Thing)> = model.iter().map(|(key, thing)| (*key, thing.clone())).collect();
    prop_assert_eq!(THINGS.scan(read).collect::<Vec<_>>(), all.clone());
    let backward: Vec<_> = THINGS.scan_prefix(read, &(), Direction::Backward).collect();
    prop_assert_eq!(backward, all.iter().rev().cloned().collect::<Vec<_>>());
    let some: Vec<_> = THINGS.scan_range(read, &10_u32, &20_u32, Direction::Forward).collect();
    prop_assert_eq!(some, all.iter().filter(|(key, _)| (10..20).contains(key)).cloned().collect::<Vec<_>>());
    for colour in 0..4 {
        let found: Vec<_> = THINGS.find(read, &BY_COLOUR, &colour).collect();
        prop_assert_eq!(found, all.iter().filter(|(_, thing)| thing.colour == colour).cloned().collect::<Vec<_>>());
        // Pages of two, joined by their cursors, are the list.
        let mut pages: Vec<u32> = Vec::new();
        let mut after = None;
        loop {
            let page: Vec<_> = THINGS.page(read, &BY_COLOUR, &colour, after.as_deref(), Direction::Backward).take(2).collect();
            let Some((cursor, _, _)) = page.last() else { break };
            after = Some(cursor.clone());
            pages.extend(page.iter().map(|(_, key, _)| *key));
        }
        let wanted: Vec<u32> = all.iter().rev().filter(|(_, thing)| thing.colour == colour).map(|(key, _)| *key).collect();
        prop_assert_eq!(pages, wanted);
    }
    for key in 0..40 {
        prop_assert_eq!(THINGS.get(read, &key), model.get(&key).cloned());
    }
    Ok(())
}

fn run(store: &mut Store, model: &mut Model, change: impl FnOnce(&mut Txn<'_>, &mut Model) -> Result<(), ()>) -> Result<(), TestCaseError> {
    let mut after = model.clone();
    let ran = store.run(|txn| {
        change(txn, &mut after)?;
        check(txn, &after).map_err(drop)
    });
    if ran.is_ok() {
        *model = after;
    }
    check(store.head(), model)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn layers_say_what_one_map_would(ops in vec(op(), 1..60)) {
        let disk = SimDisk::new(7);
        let mut store = open(&disk);
        let (mut model, mut published) = (Model::new(), Model::new());
        let mut job: Option<FoldJob> = None;
        let mut now = 0;
        store.begin(Timestamp::from_millis(now));
        for op in ops {
            match op {
                Op::Put(key, colour) => run(&mut store, &mut model, |txn, model| {
                    let thing = Thing { colour, text: format!("{key} at {}", txn.seq()) };
                    THINGS.put(txn, &key, &thing);
                    model.insert(key, thing);
                    Ok(())
                })?,
                Op::Delete(key) => run(&mut store, &mut model, |txn, model| {
                    same(&THINGS.delete(txn, &key), &model.remove(&key))
                })?,
                Op::Refused(key) => {
                    let refused: Result<_, &str> = store.run(|txn| {
                        THINGS.delete(txn, &key);
                        THINGS.put(txn, &(key + 1), &Thing { colour: 3, text: "never".to_owned() });
                        Err::<(), _>("no")
                    });
                    prop_assert!(refused.is_err());
                    check(store.head(), &model)?;
                }
                Op::Commit => {
                    store.commit().expect("the disk is healthy");
                    published = model.clone();
                    now += 1;
                    store.begin(Timestamp::from_millis(now));
                }
                Op::BeginFold => {
                    store.commit().expect("the disk is healthy");
                    published = model.clone();
                    job = job.or_else(|| store.fold_job());
                    store.begin(Timestamp::from_millis(now));
                }
                Op::FinishFold => if let Some(job) = job.take() {
                    store.commit().expect("the disk is healthy");
                    published = model.clone();
                    let done = job.run().expect("the disk is healthy");
                    store.finish_fold(done).clear().expect("the disk is healthy");
                    store.begin(Timestamp::from_millis(now));
                },
                Op::Reopen => {
                    // What was not committed is gone; a fold that did not end is nobody's loss.
                    job = None;
                    drop(store);
                    store = open(&disk);
                    model = published.clone();
                    check(store.head(), &model)?;
                    store.begin(Timestamp::from_millis(now));
                }
            }
            // Readers see whole committed batches only.
            check(&*store.views().now(), &published)?;
        }
    }
}

fn same<T: PartialEq>(left: &T, right: &T) -> Result<(), ()> {
    if left == right { Ok(()) } else { Err(()) }
}

#[test]
fn one_process_per_folder() {
    let disk = SimDisk::new(1);
    let first = open(&disk);
    let second = Store::open(Arc::new(disk.clone()), Path::new("data"), options());
    let message = second.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(message.contains("another process"), "{message}");
    drop(first);
    open(&disk);
}

#[test]
fn a_flipped_bit_in_the_state_is_never_served() {
    let disk = SimDisk::new(3);
    let mut store = open(&disk);
    store.begin(Timestamp::from_millis(1));
    let long = "x".repeat(3_000);
    for key in 0..20 {
        let put = store.run(|txn| {
            THINGS.put(txn, &key, &Thing { colour: 1, text: long.clone() });
            Ok::<(), ()>(())
        });
        assert!(put.is_ok());
    }
    store.commit().expect("the disk is healthy");
    store.fold_now().expect("the disk is healthy");
    drop(store);
    let state = Path::new("data").join("state.redb");
    let length = disk.files().into_iter().find(|(path, _)| path.ends_with("state.redb")).map_or(0, |(_, length)| length);
    let mut noticed = 0;
    for place in 0..200 {
        let image = disk.fork(place);
        image.flip_bit(&state, length * place / 200, (place % 8) as u8);
        let served = storage::fault::catch(|| {
            let store = Store::open(Arc::new(image), Path::new("data"), options()).map_err(drop)?;
            let things: Vec<_> = THINGS.scan(store.head()).collect();
            Ok::<_, ()>(things)
        });
        match served {
            Ok(Ok(things)) => {
                assert!(things.len() == 20 && things.iter().all(|(_, thing)| thing.text == long), "a wrong answer after a flip at {place}");
            }
            Ok(Err(())) | Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 0, "no flip was noticed at all: the test flips nothing that matters");
}
