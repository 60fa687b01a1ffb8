//! A disk without room for another segment: the batch is refused whole, the store goes on, and nothing of it is there after a restart.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use storage::disk::{Fault, SimDisk};
use storage::{Options, Row, Store, Table, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Blob(Vec<u8>);
impl Row for Blob {
    const VERSION: u8 = 1;
}
static BLOBS: Table<u32, Blob> = Table::new(920, "blobs", &[]);

fn open(disk: &SimDisk) -> Store {
    let options = Options { segment_bytes: 4 << 10, cache_bytes: 1 << 20, ..Options::with_seed([1; 32]) };
    Store::open(Arc::new(disk.clone()), Path::new("data"), options).expect("a healthy folder opens")
}

fn put(store: &mut Store, key: u32) {
    store.begin(Timestamp::from_millis(i64::from(key)));
    let ran = store.run(|txn| {
        // Two of these do not fit one segment.
        BLOBS.put(txn, &key, &Blob(vec![7; 2_500]));
        Ok::<(), ()>(())
    });
    assert!(ran.is_ok());
}

fn keys(store: &Store) -> Vec<u32> {
    BLOBS.scan(store.head()).map(|(key, _)| key).collect()
}

#[test]
fn a_batch_without_room_is_refused_whole() {
    let disk = SimDisk::new(1);
    let mut store = open(&disk);
    put(&mut store, 1);
    store.commit().expect("there is room for one");
    let held = store.recent_bytes();
    put(&mut store, 2);
    disk.fail_next(Fault::Enospc);
    let fatal = store.commit().expect_err("the next segment has no room");
    assert!(store.forget_batch(&fatal), "nothing has reached the log: {fatal}");
    assert_eq!(keys(&store), [1]);
    assert_eq!(store.position().seq, 1);
    assert_eq!(store.recent_bytes(), held, "what is forgotten fills no memory");
    put(&mut store, 3);
    store.commit().expect("room was made");
    assert_eq!(keys(&store), [1, 3]);
    drop(store);
    assert_eq!(keys(&open(&disk)), [1, 3], "what was refused is nowhere");
}

#[test]
fn a_failed_sync_is_never_forgiven() {
    let disk = SimDisk::new(2);
    let mut store = open(&disk);
    put(&mut store, 1);
    // The record's write succeeds, its sync does not: whether it is durable is not known.
    disk.fail_call(2, Fault::Enospc);
    let fatal = store.commit().expect_err("the sync failed");
    assert!(!store.forget_batch(&fatal), "an unknown batch must not be called refused");
}

#[test]
fn a_fold_waits_for_room() {
    let disk = SimDisk::new(3);
    let mut store = open(&disk);
    put(&mut store, 1);
    store.commit().expect("the disk is well");
    disk.say_room(1 << 20);
    assert!(store.fold_job().is_none(), "redb could not go on after a write without room");
    put(&mut store, 2);
    store.commit().expect("the log goes on");
    disk.say_room(1 << 30);
    let done = store.fold_job().expect("there is room again").run().expect("the disk is well");
    store.finish_fold(done).clear().expect("segments may go");
    assert_eq!(keys(&store), [1, 2]);
}

#[test]
fn a_scrub_that_the_end_overtakes_finds_no_damage() {
    let disk = SimDisk::new(4);
    let mut store = open(&disk);
    for key in 1..200 {
        put(&mut store, key);
        store.commit().expect("the disk is well");
    }
    store.fold_now().expect("the disk is well");
    let view = store.head().clone();
    drop(store);
    let walked = storage::scrub::scrub(&view);
    assert!(walked.cut_short && walked.is_clean() && !walked.misleads, "{walked:?}");
}
