//! Snapshots: what was copied comes back, whatever it was; every flipped byte is seen; a restore that is interrupted never passes for a whole one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use storage::disk::{Disk, SimDisk};
use storage::log::LogReader;
use storage::snapshot::{self, Restoring, SnapshotError};
use storage::store::OpenError;
use storage::{Hash, Options, Store, Timestamp};

type Writes = Vec<(u16, Vec<u8>, Option<Vec<u8>>)>;

fn options() -> Options {
    Options { segment_bytes: 16 << 10, cache_bytes: 1 << 20, ..Options::with_seed([1; 32]) }
}

fn open(disk: &SimDisk, dir: &str) -> Store {
    Store::open(Arc::new(disk.clone()), Path::new(dir), options()).expect("a healthy folder opens")
}

/// Commits `batches` (of commands, of writes) and says how the state looked after each sequence number that a reader could see.
fn play(store: &mut Store, batches: &[Vec<Writes>]) -> BTreeMap<u64, Hash> {
    let mut seen = BTreeMap::from([(0, store.head().digest())]);
    for (n, batch) in batches.iter().enumerate() {
        store.begin(Timestamp::from_millis(1_000 * (n as i64 + 1)));
        for command in batch {
            let (seq, ()) = store
                .run(|txn| {
                    for (table, key, value) in command {
                        let key = [&(table % 500 + 900).to_be_bytes()[..], key].concat();
                        txn.set_raw(&key, value.clone().map(Into::into));
                    }
                    Ok::<(), ()>(())
                })
                .expect("the command cannot refuse");
            seen.insert(seq, store.head().digest());
        }
        store.commit().expect("the disk is healthy");
        if n % 3 == 1 {
            store.fold_now().expect("the disk is healthy");
        }
    }
    seen
}

fn written(store: &Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    let summary = snapshot::write(&store.views().now(), 1, &mut bytes).expect("a healthy state is copied");
    assert_eq!(summary.bytes, bytes.len() as u64);
    assert_eq!(summary.digest, store.head().digest());
    assert_eq!(snapshot::check(&bytes[..]).expect("what was written is right"), summary);
    bytes
}

fn batches() -> impl Strategy<Value = Vec<Vec<Writes>>> {
    let value =
        prop_oneof![4 => vec(any::<u8>(), 0..40).prop_map(Some), 1 => Just(None), 1 => vec(any::<u8>(), 3_000..9_000).prop_map(Some)];
    let command = vec((any::<u16>(), vec(any::<u8>(), 0..3), value), 1..4);
    vec(vec(command, 1..4), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Any state, copied and restored, is the same state at the same position, and goes on.
    #[test]
    fn what_was_copied_comes_back(batches in batches()) {
        let disk = SimDisk::new(3);
        let mut store = open(&disk, "data");
        play(&mut store, &batches);
        let bytes = written(&store);
        let header = snapshot::restore(&bytes[..], Arc::new(disk.clone()), Path::new("copy")).expect("it restores");
        prop_assert_eq!(header.position, store.position());
        let mut copy = open(&disk, "copy");
        prop_assert_eq!(copy.position(), store.position());
        prop_assert_eq!(copy.head().digest(), store.head().digest());
        play(&mut copy, &[vec![vec![(1, vec![1], Some(vec![1]))]]]);
        prop_assert_eq!(copy.position().seq, store.position().seq + 1);
    }

    /// A snapshot and the log after it give the state at every sequence number between them, also at one within a batch.
    #[test]
    fn the_log_leads_to_every_sequence_number(early in batches(), late in batches(), at in any::<prop::sample::Index>()) {
        let disk = SimDisk::new(4);
        let mut store = open(&disk, "data");
        play(&mut store, &early);
        let from = store.position().seq;
        let bytes = written(&store);
        let seen = play(&mut store, &late);
        let wanted = from + at.index((store.position().seq - from + 1) as usize) as u64;
        let mut restoring = Restoring::begin(Arc::new(disk.clone()), Path::new("copy"), &bytes[..]).expect("it restores");
        let mut log = LogReader::open(Arc::new(disk.clone()), Path::new("data/log"), from + 1).expect("the log is there");
        while restoring.position().seq < wanted {
            let record = log.next().expect("a healthy log").expect("the log reaches as far");
            restoring.apply_until(&record, wanted).expect("it follows");
        }
        restoring.finish().expect("the disk is healthy");
        let mut copy = open(&disk, "copy");
        prop_assert_eq!(copy.position().seq, wanted);
        if wanted > from {
            prop_assert_eq!(copy.head().digest(), seen[&wanted]);
        }
        // A copy of the copy knows the epochs too.
        copy.open_epoch(7, Timestamp::from_millis(9)).expect("the disk is healthy");
        let epochs = storage::replica::epoch::EPOCHS.scan(copy.head()).map(|(epoch, start)| (epoch, start.0)).collect::<Vec<_>>();
        snapshot::restore(&written(&copy)[..], Arc::new(disk.clone()), Path::new("again")).expect("it restores");
        prop_assert_eq!(storage::replica::epoch::EPOCHS.scan(open(&disk, "again").head()).map(|(epoch, start)| (epoch, start.0)).collect::<Vec<_>>(), epochs);
        play(&mut copy, &[vec![vec![(1, vec![1], Some(vec![1]))]]]);
        drop(copy);
        prop_assert_eq!(open(&disk, "copy").position().seq, wanted + 2);
    }

    #[test]
    fn foreign_bytes_are_refused(bytes in vec(any::<u8>(), 0..400), cut in any::<prop::sample::Index>()) {
        prop_assert!(snapshot::check(&bytes[..]).is_err());
        let disk = SimDisk::new(1);
        let mut store = open(&disk, "data");
        play(&mut store, &[vec![vec![(1, vec![1], Some(vec![1; 99]))]]]);
        let whole = written(&store);
        prop_assert!(snapshot::check(&whole[..cut.index(whole.len())]).is_err());
        let more = [&whole[..], &bytes[..]].concat();
        prop_assert_eq!(snapshot::check(&more[..]).is_err(), !bytes.is_empty());
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    let disk = SimDisk::new(5);
    let mut store = open(&disk, "data");
    let row = |n: u16| vec![(n, vec![n as u8], Some(vec![n as u8; 60]))];
    play(&mut store, &[(0..9).map(row).collect()]);
    let whole = written(&store);
    for at in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        assert!(snapshot::check(&bytes[..]).is_err(), "bit {at} was flipped, and nobody saw it");
    }
}

/// Two chunks that changed places, or one of another snapshot, are not taken.
#[test]
fn chunks_have_their_place() {
    let disk = SimDisk::new(6);
    let mut store = open(&disk, "data");
    let noise = |n: u16| (0..400_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ n as u8).collect::<Vec<u8>>();
    play(&mut store, &[(0..9).map(|n| vec![(n, vec![n as u8], Some(noise(n)))]).collect()]);
    let whole = written(&store);
    let length = |at: usize| 48 + u32::from_le_bytes([whole[at], whole[at + 1], whole[at + 2], whole[at + 3]]) as usize;
    let (first, second) = (128, 128 + length(128));
    let third = second + length(second);
    let swapped = [&whole[..first], &whole[second..third], &whole[first..second], &whole[third..]].concat();
    assert!(matches!(snapshot::check(&swapped[..]), Err(SnapshotError::Corrupt { at: 128, .. })));
    let dropped = [&whole[..first], &whole[second..]].concat();
    assert!(snapshot::check(&dropped[..]).is_err());
}

#[test]
fn a_newer_snapshot_is_refused_with_a_sentence() {
    let disk = SimDisk::new(6);
    let mut bytes = written(&open(&disk, "data"));
    bytes[8] = 2;
    let seal = blake3::hash(&bytes[..96]);
    bytes[96..128].copy_from_slice(seal.as_bytes());
    let why = snapshot::check(&bytes[..]).expect_err("it is newer").to_string();
    assert!(why.contains("format 2") && why.contains("newer release"), "{why}");
}

#[test]
fn a_state_is_never_overwritten() {
    let disk = SimDisk::new(6);
    let bytes = written(&open(&disk, "data"));
    let refused = snapshot::restore(&bytes[..], Arc::new(disk.clone()), Path::new("data"));
    assert!(matches!(refused, Err(SnapshotError::NotEmpty(_))), "{refused:?}");
}

/// Wherever the power is cut during a restore, the folder holds nothing, is refused, or is whole; and a second restore succeeds.
#[test]
fn an_interrupted_restore_never_passes_for_a_whole_one() {
    let source = SimDisk::new(8);
    let mut store = open(&source, "data");
    play(&mut store, &[(0..40).map(|n| vec![(n, vec![1], Some(vec![1; 300]))]).collect()]);
    let bytes = written(&store);
    let (mut refused, mut whole) = (0, 0);
    for calls in 1..200 {
        let disk = SimDisk::new(calls);
        disk.crash_after(calls);
        let ended = snapshot::restore(&bytes[..], Arc::new(disk.clone()), Path::new("copy"));
        disk.reboot();
        let there = |name: &str| disk.exists(&Path::new("copy").join(name)).expect("the disk is healthy");
        match Store::open(Arc::new(disk.clone()), Path::new("copy"), options()) {
            Err(OpenError::Unfinished(_)) => refused += 1,
            Err(error) => panic!("crash at call {calls}: {error}"),
            Ok(copy) if copy.position().seq == 0 => assert!(ended.is_err(), "crash at call {calls}: it said that it had ended"),
            Ok(copy) => {
                whole += 1;
                assert_eq!(copy.head().digest(), store.head().digest(), "crash at call {calls}");
            }
        }
        if ended.is_ok() && whole > 0 {
            assert!(refused > 3, "the restore was never caught at work");
            return;
        }
        if there(snapshot::UNFINISHED) {
            snapshot::restore(&bytes[..], Arc::new(disk.clone()), Path::new("copy")).expect("a second restore succeeds");
        }
    }
    panic!("the restore did not end within 200 calls");
}
