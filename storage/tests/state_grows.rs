//! The state file grows while it folds, a sync fails, the process starts again and goes on, and then the power goes: the folder opens with every row.

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
static BLOBS: Table<u32, Blob> = Table::new(921, "blobs", &[]);

const ROWS: u32 = 48;

fn options() -> Options {
    Options { segment_bytes: 1 << 20, cache_bytes: 64 << 10, ..Options::with_seed([1; 32]) }
}

fn open(disk: &SimDisk) -> Result<Store, storage::store::OpenError> {
    Store::open(Arc::new(disk.clone()), Path::new("data"), options())
}

fn put(store: &mut Store, keys: std::ops::Range<u32>) {
    store.begin(Timestamp::from_millis(i64::from(keys.start)));
    let ran = store.run(|txn| {
        for key in keys {
            BLOBS.put(txn, &key, &Blob(vec![key as u8; 9_000]));
        }
        Ok::<(), ()>(())
    });
    assert!(ran.is_ok());
    store.commit().expect("a healthy disk commits");
}

fn state_bytes(disk: &SimDisk) -> u64 {
    disk.files().iter().find(|(path, _)| path.ends_with("state.redb")).expect("the state file is there").1
}

fn fold(store: &mut Store) -> Result<(), String> {
    let job = store.fold_job().expect("nothing stands in the way of a fold");
    let done = job.run().map_err(|error| error.to_string())?;
    store.finish_fold(done).clear().map(drop).map_err(|error| error.to_string())
}

/// A folder whose next fold makes the state file longer. (redb makes a new file long, and cuts a part off in each small commit.)
fn about_to_grow(seed: u64) -> (SimDisk, Store) {
    let disk = SimDisk::new(seed);
    let mut store = open(&disk).expect("a healthy disk opens");
    for key in 0..4 {
        put(&mut store, key..key + 1);
        fold(&mut store).expect("a healthy disk folds");
    }
    put(&mut store, 4..ROWS - 1);
    (disk, store)
}

/// The call of that fold, counted from 1, that makes the file longer.
fn growing_call() -> u64 {
    let grows = |call: &u64| {
        let (disk, mut store) = about_to_grow(0);
        let bytes = state_bytes(&disk);
        disk.crash_after(call + 1);
        let _ = fold(&mut store);
        state_bytes(&disk) > bytes
    };
    (1..100).find(grows).expect("the fold needs more room than there is")
}

#[test]
fn a_length_that_a_failed_sync_lost_is_made_durable_at_the_next_start() {
    let growing = growing_call();
    for seed in 0..24 {
        let (disk, mut store) = about_to_grow(seed);
        // redb syncs the new length at once. (The call before a crash may be the growing one, or the crash itself may have grown it.)
        disk.fail_call(growing + 1 + seed % 2, Fault::Eio);
        fold(&mut store).expect_err("the sync failed");
        drop(store);
        disk.restart_process();
        let mut store = open(&disk).unwrap_or_else(|error| panic!("seed {seed}, after the failure: {error}"));
        put(&mut store, ROWS - 1..ROWS);
        let job = store.fold_job().expect("nothing stands in the way of a fold");
        // Whatever it says: the power goes.
        disk.crash_after(40 + seed);
        drop(job.run());
        drop(store);
        disk.reboot();
        let store = open(&disk).unwrap_or_else(|error| panic!("seed {seed}, after the power cut: {error}"));
        assert_eq!(BLOBS.scan(store.head()).count(), ROWS as usize, "seed {seed}");
    }
}
