//! One flipped bit anywhere in a small data folder: the folder does not open, or the scrub finds it, or it changes nothing. And what a reader is given is
//! the truth or a fault. `MEDINA_FLIPS=all` tries every byte of the log and 20,000 of the state; by default a sample.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use storage::disk::SimDisk;
use storage::fault::catch;
use storage::integrity::AnyTable;
use storage::random::Random;
use storage::scrub::scrub;
use storage::{Index, Options, Row, Store, Table, Timestamp};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Shop {
    city: u64,
    name: String,
}
impl Row for Shop {
    const VERSION: u8 = 1;
}
static BY_CITY: Index<u64, Shop> = Index::new(901, "shops.by_city", |_, shop, keys| keys.add(&shop.city));
static SHOPS: Table<u64, Shop> = Table::new(900, "shops", &[&BY_CITY]);

const SHOPS_MADE: u64 = 400;

fn options() -> Options {
    Options { segment_bytes: 8 << 10, cache_bytes: 1 << 20, log_kept_bytes: 1 << 20, ..Options::with_seed([7; 32]) }
}

fn dir() -> &'static Path {
    Path::new("/state")
}

fn shop(id: u64) -> Shop {
    Shop { city: id % 7, name: format!("shop number {id} {}", "x".repeat((id % 60) as usize)) }
}

/// A folder with a folded part and a part that is only in the log.
fn made() -> SimDisk {
    let disk = SimDisk::new(1);
    let mut store = Store::open(Arc::new(disk.clone()), dir(), options()).expect("a new folder");
    for id in 0..SHOPS_MADE {
        store.begin(Timestamp::from_millis(1_000 + id as i64));
        store
            .run(|txn| -> Result<(), ()> {
                SHOPS.put(txn, &id, &shop(id));
                Ok(())
            })
            .expect("it is written");
        store.commit().expect("the disk is well");
        if id == SHOPS_MADE / 2 {
            store.fold_now().expect("the disk is well");
        }
    }
    disk
}

/// What became of a folder with one flipped bit.
#[derive(Debug, PartialEq)]
enum Outcome {
    Refused,
    Found,
    Harmless,
}

fn outcome(disk: &SimDisk, what: &str) -> Outcome {
    let Ok(Ok(store)) = catch(|| Store::open(Arc::new(disk.clone()), dir(), options())) else { return Outcome::Refused };
    let view = store.views().now();
    let mut found = !scrub(&view).is_clean();
    SHOPS.inspect(&*view, &mut |_| found = true);
    if !found {
        for id in 0..SHOPS_MADE {
            assert_eq!(catch(|| SHOPS.get(&*view, &id)), Ok(Some(shop(id))), "{what}: shop {id} was served wrong and nothing was found");
        }
        assert_eq!(view.position().seq, SHOPS_MADE, "{what}: commands are missing and nothing was found");
    }
    drop(view);
    // redb notices a damaged map of its free pages when it is closed, and panics.
    let closed = catch(|| drop(store));
    if found || closed.is_err() { Outcome::Found } else { Outcome::Harmless }
}

fn flip(pristine: &SimDisk, path: &Path, offset: u64, bit: u8) -> SimDisk {
    let disk = pristine.fork(1);
    disk.flip_bit(path, offset, bit);
    disk
}

fn check(part: &str, offsets: impl Iterator<Item = (PathBuf, u64)>, pristine: &SimDisk) {
    let (mut refused, mut found, mut harmless) = (0, 0, 0);
    for (path, offset) in offsets {
        let what = format!("{}, byte {offset}", path.display());
        match outcome(&flip(pristine, &path, offset, (offset % 8) as u8), &what) {
            Outcome::Refused => refused += 1,
            Outcome::Found => found += 1,
            Outcome::Harmless => harmless += 1,
        }
    }
    println!(
        "{part}: {} flips: {refused} refused at the start, {found} found by the scrub, {harmless} harmless",
        refused + found + harmless
    );
    assert!(refused + found > 0, "{part}: nothing was ever noticed");
}

#[test]
fn every_flip_is_noticed_or_harmless() {
    let all = std::env::var("MEDINA_FLIPS").is_ok_and(|flips| flips == "all");
    let pristine = made();
    assert_eq!(outcome(&pristine.fork(1), "untouched"), Outcome::Harmless);
    let files: Vec<(PathBuf, u64)> = pristine.files();
    let log: Vec<(PathBuf, u64)> = files.iter().filter(|(path, _)| path.starts_with(dir().join("log"))).cloned().collect();
    let bytes: u64 = log.iter().map(|(_, len)| len).sum();
    let step = if all { 1 } else { bytes / 500 + 1 };
    let in_log = log.into_iter().flat_map(|(path, len)| (0..len).step_by(step as usize).map(move |offset| (path.clone(), offset)));
    check("log", in_log, &pristine);
    let mut random = Random::from_seed([3; 32]);
    let (state, len) = files.into_iter().find(|(path, _)| path.ends_with("state.redb")).expect("a state file");
    let flips = if all { 20_000 } else { 300 };
    let in_state = (0..flips).map(|_| (state.clone(), random.next_u64() % len));
    check("state", in_state, &pristine);
}
