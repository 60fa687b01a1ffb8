//! The log through its public interface, on a disk that behaves.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::clock::Timestamp;
use storage::disk::{Disk, Fault, Open, RealDisk, SimDisk};
use storage::log::{Hash, Log, LogConfig, LogError, LogReader, Position, Record};

const CELL: u64 = 7;

fn dir() -> PathBuf {
    PathBuf::from("/data/log")
}

fn config(segment_bytes: u64) -> LogConfig {
    LogConfig { segment_bytes, cell: CELL }
}

fn open_at(disk: &Arc<dyn Disk>, dir: &Path, segment_bytes: u64, after: Position) -> Result<(Log, Vec<Record>), LogError> {
    let mut replayed = Vec::new();
    let log = Log::open(Arc::clone(disk), dir, config(segment_bytes), after, &mut |record| {
        replayed.push(record.clone());
        Ok(())
    })?;
    Ok((log, replayed))
}

fn open(disk: &SimDisk, after: Position) -> Result<(Log, Vec<Record>), LogError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    open_at(&disk, &dir(), 4096, after)
}

/// Appends and syncs; returns where the log stood after each.
fn write(log: &mut Log, bodies: &[impl AsRef<[u8]>]) -> Vec<Position> {
    let mut positions = Vec::new();
    for body in bodies {
        let end = log.end();
        let time = end.time.plus_ms(5);
        positions.push(log.append(end.epoch, 1, time, body.as_ref()).unwrap());
        log.sync().unwrap();
    }
    positions
}

fn read_all(disk: &Arc<dyn Disk>, dir: &Path, from_seq: u64) -> Vec<Record> {
    let mut reader = LogReader::open(Arc::clone(disk), dir, from_seq).unwrap();
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

#[derive(Clone, Debug)]
struct Appended {
    epoch_step: u64,
    count: u32,
    time_step_ms: i64,
    body: Vec<u8>,
}

fn any_append() -> impl Strategy<Value = Appended> {
    let body = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..1500),
        1 => (0..9000usize).prop_map(|len| vec![0; len]),
    ];
    (0..2u64, 1..5u32, 0..1000i64, body).prop_map(|(epoch_step, count, time_step_ms, body)| Appended {
        epoch_step,
        count,
        time_step_ms,
        body,
    })
}

/// What goes in comes out, whatever the sizes, from any position, through recovery and through a reader.
fn round_trips(disk: &Arc<dyn Disk>, dir: &Path, segment_bytes: u64, appends: &[Appended]) {
    let (mut log, replayed) = open_at(disk, dir, segment_bytes, Position::ZERO).unwrap();
    assert!(replayed.is_empty());
    let mut positions = vec![Position::ZERO];
    for append in appends {
        let end = log.end();
        let (epoch, time) = (end.epoch + append.epoch_step, end.time.plus_ms(append.time_step_ms));
        positions.push(log.append(epoch, append.count, time, &append.body).unwrap());
        log.sync().unwrap();
    }
    assert_eq!(log.end(), *positions.last().unwrap());
    drop(log);
    for (known, after) in positions.iter().enumerate() {
        let (log, replayed) = open_at(disk, dir, segment_bytes, *after).unwrap();
        assert_eq!(log.end(), *positions.last().unwrap());
        let there: Vec<_> = replayed.iter().map(Record::position).collect();
        assert_eq!(there, positions[known + 1..]);
        let bodies = replayed.iter().map(|record| &record.body);
        assert!(bodies.eq(appends[known..].iter().map(|append| &append.body)));
        assert_eq!(read_all(disk, dir, after.seq + 1), replayed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_goes_in_comes_out(
        appends in prop::collection::vec(any_append(), 0..12),
        segment_bytes in prop_oneof![Just(600), Just(4096), Just(100_000)],
    ) {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
        round_trips(&disk, &dir(), segment_bytes, &appends);
    }
}

#[test]
fn the_real_disk_does_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let appends: Vec<_> = (0..20)
        .map(|number| Appended { epoch_step: 0, count: 1, time_step_ms: 1, body: vec![number; usize::from(number) * 100] })
        .collect();
    round_trips(&disk, &folder.path().join("a/log"), 4096, &appends);
}

#[test]
fn segments_roll_over_and_are_trimmed() {
    let disk = SimDisk::new(2);
    let (mut log, _) = open(&disk, Position::ZERO).unwrap();
    let positions = write(&mut log, &[[1; 1500]; 7]); // two to a segment
    let names = |disk: &SimDisk| disk.list(&dir()).unwrap();
    let all = ["1", "3", "5", "7"].map(|seq| format!("{seq:0>20}.log"));
    assert_eq!(names(&disk), all);
    assert_eq!((log.first_seq(), log.bytes()), (1, 4 * 4096));
    // Only whole segments below, never the current one.
    for (below_seq, removed, first_seq) in [(2, 0, 1), (3, 1, 3), (6, 1, 5), (1000, 1, 7), (1000, 0, 7)] {
        assert_eq!(log.trim(below_seq).unwrap(), removed, "below {below_seq}");
        assert_eq!(log.first_seq(), first_seq, "below {below_seq}");
    }
    assert_eq!(names(&disk), all[3..]);
    drop(log);

    let (log, replayed) = open(&disk, positions[5]).unwrap();
    assert_eq!((replayed.len(), log.first_seq()), (1, 7));
    let gone = open(&disk, positions[2]).err().unwrap();
    assert!(matches!(gone, LogError::Missing { wanted: 4, found: 7 }), "{gone}");
    let unread = LogReader::open(Arc::new(disk), &dir(), 3).err().unwrap();
    assert!(matches!(unread, LogError::Missing { wanted: 3, found: 7 }));
}

#[test]
fn an_empty_segment_gives_way_to_a_larger_one() {
    let sim = SimDisk::new(3);
    let (mut log, _) = open(&sim, Position::ZERO).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let mut reader = LogReader::open(disk, &dir(), 1).unwrap();
    assert_eq!(reader.next().unwrap(), None);
    write(&mut log, &[vec![1; 9000], vec![2; 500]]);
    let body = reader.next().unwrap().map(|record| record.body.len());
    assert_eq!(body, Some(9000));
    assert_eq!(sim.list(&dir()).unwrap().len(), 2);
    assert_eq!(log.trim(2).unwrap(), 1);
}

#[test]
fn a_spare_segment_is_taken() {
    let disk = SimDisk::new(3);
    let (mut log, _) = open(&disk, Position::ZERO).unwrap();
    let spare = log.spare();
    assert!(spare.make().unwrap());
    assert!(!spare.make().unwrap(), "one is enough");
    write(&mut log, &[[1; 1500]; 2]);
    let before = disk.calls();
    write(&mut log, &[[1; 1500]]);
    // Header, its sync, rename, directory sync; record, its sync: no zeros.
    assert_eq!(disk.calls() - before, 6);
    assert!(spare.make().unwrap(), "the first was used");
    drop(log);
    let (_, replayed) = open(&disk, Position::ZERO).unwrap();
    assert_eq!(replayed.len(), 3);
    assert_eq!(disk.list(&dir()).unwrap().len(), 2, "the unused spare is cleared");
}

#[test]
fn a_lost_segment_is_a_hole_not_an_end() {
    let disk = SimDisk::new(4);
    let (mut log, _) = open(&disk, Position::ZERO).unwrap();
    let positions = write(&mut log, &[[1; 1500]; 6]);
    drop(log);
    let remove = |first_seq: u64| {
        let disk = disk.fork(1);
        let name = format!("{first_seq:020}.log");
        disk.remove(&dir().join(name)).unwrap();
        disk
    };
    let middle = open(&remove(3), Position::ZERO).err().unwrap();
    assert!(matches!(middle, LogError::Missing { wanted: 3, found: 5 }), "{middle}");
    let first = open(&remove(1), Position::ZERO).err().unwrap();
    assert!(matches!(first, LogError::Missing { wanted: 1, found: 3 }), "{first}");
    // The log alone cannot miss its last segment; who knows a later state does.
    let last = open(&remove(5), positions[5]).err().unwrap();
    assert!(matches!(last, LogError::Short { wanted: 6, end: 4 }), "{last}");
}

#[test]
fn another_history_is_refused() {
    let disk = SimDisk::new(5);
    let (mut log, _) = open(&disk, Position::ZERO).unwrap();
    let positions = write(&mut log, &[b"a", b"b", b"c"]);
    let whole = log.append(0, 3, log.end().time, b"three in one").unwrap();
    log.sync().unwrap();
    drop(log);
    let other_hash = Position { hash: Hash([9; 32]), ..positions[1] };
    let inside = Position { seq: 5, ..whole };
    let elsewhere = Position { epoch: 4, ..Position::ZERO };
    for after in [other_hash, inside, elsewhere] {
        let diverged = open(&disk, after).err().unwrap();
        assert!(matches!(diverged, LogError::Diverged { seq } if seq == after.seq), "{diverged}");
    }
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let cell = LogConfig { cell: 8, ..config(4096) };
    let other_city = Log::open(disk, &dir(), cell, Position::ZERO, &mut |_| Ok(()));
    assert!(matches!(other_city.err().unwrap(), LogError::OtherCell { wanted: 8, found: CELL }));
}

#[test]
fn an_empty_folder_begins_where_the_state_stands() {
    let disk = SimDisk::new(6);
    let state = Position { epoch: 3, seq: 41, hash: Hash([1; 32]), time: Timestamp::from_millis(1000) };
    let (mut log, replayed) = open(&disk, state).unwrap();
    assert_eq!((log.end(), log.first_seq(), replayed.len()), (state, 42, 0));
    write(&mut log, &[b"next"]);
    drop(log);
    let (_, replayed) = open(&disk, state).unwrap();
    assert_eq!((replayed[0].first_seq, replayed[0].prev), (42, state.hash));
}

#[test]
fn what_cannot_follow_is_refused_and_changes_nothing() {
    let disk = SimDisk::new(7);
    let (mut log, _) = open(&disk, Position::ZERO).unwrap();
    let time = Timestamp::from_millis(500);
    log.append(2, 1, time, b"first").unwrap();
    log.sync().unwrap();
    let (end, calls) = (log.end(), disk.calls());
    for (epoch, count, time) in [(1, 1, time), (2, 0, time), (2, 1, time.minus_ms(1))] {
        let refused = log.append(epoch, count, time, b"").err().unwrap();
        assert!(matches!(refused, LogError::OutOfOrder { seq: 1, .. }), "{refused}");
    }
    let large = log.append(2, 1, time, &vec![0; (256 << 20) + 1]).err().unwrap();
    assert!(matches!(large, LogError::TooLarge { .. }), "{large}");
    assert_eq!((log.end(), disk.calls()), (end, calls));
    write(&mut log, &[b"goes on"]);
}

#[test]
#[should_panic(expected = "at most one record")]
fn a_second_unsynced_record_is_a_bug() {
    let (mut log, _) = open(&SimDisk::new(8), Position::ZERO).unwrap();
    log.append(0, 1, Timestamp::EPOCH, b"a").unwrap();
    let _ = log.append(0, 1, Timestamp::EPOCH, b"b");
}

#[test]
fn a_failed_sync_is_final() {
    let disk = SimDisk::new(9);
    let (mut log, _) = open(&disk, Position::ZERO).unwrap();
    log.append(0, 1, Timestamp::EPOCH, b"a").unwrap();
    disk.fail_next(Fault::Eio);
    assert!(matches!(log.sync(), Err(LogError::Io { .. })));
    assert!(matches!(log.sync(), Err(LogError::Poisoned)));
    let append = log.append(0, 1, Timestamp::EPOCH, b"b");
    assert!(matches!(append, Err(LogError::Poisoned)));
    assert!(matches!(log.trim(1), Err(LogError::Poisoned)));
}

#[test]
fn a_full_disk_stops_new_segments_only_until_there_is_room() {
    let disk = SimDisk::new(10);
    let (mut log, _) = open(&disk, Position::ZERO).unwrap();
    write(&mut log, &[[1; 1500]; 2]);
    disk.fail_call(2, Fault::Enospc); // the zeros of the new segment
    let full = log.append(0, 1, log.end().time, &[1; 1500]).err().unwrap();
    assert!(full.is_disk_full(), "{full}");
    write(&mut log, &[[2; 1500]]);
    drop(log);
    assert_eq!(open(&disk, Position::ZERO).unwrap().1.len(), 3);
}

#[test]
fn a_reader_follows_the_writer_up_to_its_bound() {
    let sim = SimDisk::new(11);
    let (mut log, _) = open(&sim, Position::ZERO).unwrap();
    write(&mut log, &[[1; 1500]; 3]);
    let disk: Arc<dyn Disk> = Arc::new(sim);
    let mut reader = LogReader::open(disk, &dir(), 2).unwrap();
    let seen = |reader: &mut LogReader| std::iter::from_fn(|| reader.next().unwrap()).map(|record| record.first_seq).collect::<Vec<_>>();
    assert_eq!(seen(reader.until(2)), [2]);
    assert_eq!(seen(reader.until(3)), [3]);
    write(&mut log, &[[2; 1500]; 4]);
    assert_eq!(seen(reader.until(6)), [4, 5, 6]);
    assert_eq!(seen(reader.until(7)), [7]);
    assert_eq!(reader.position(), log.end());
    let short = reader.until(8).next().err().unwrap();
    assert!(matches!(short, LogError::Short { wanted: 8, end: 7 }), "{short}");
}

/// The newest format this program knows is in the message, and the header's place never moves, so that this works for ever.
#[test]
fn a_newer_format_is_refused_with_a_sentence_that_helps() {
    let disk = SimDisk::new(12);
    drop(open(&disk, Position::ZERO).unwrap());
    let path = dir().join(format!("{:020}.log", 1));
    let file = disk.open(&path, Open::Write).unwrap();
    let mut header = [0; 512];
    file.read_at(0, &mut header).unwrap();
    header[8] = 2;
    let crc = crc32c::crc32c(&header[..508]);
    header[508..].copy_from_slice(&crc.to_le_bytes());
    file.write_at(0, &header).unwrap();
    let newer = open(&disk, Position::ZERO).err().unwrap();
    assert!(matches!(newer, LogError::NewerFormat { found: 2, known: 1 }), "{newer}");
    assert!(newer.to_string().contains("newer release"), "{newer}");
}

/// `FORMAT.md` shows every byte of a small segment; this is that segment.
#[test]
fn golden_bytes() {
    let disk = SimDisk::new(13);
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let (mut log, _) = open_at(&disk, &dir(), 1024, Position::ZERO).unwrap();
    let time: Timestamp = "2026-11-21T08:00:00.000Z".parse().unwrap();
    log.append(1, 1, time, b"hello").unwrap();
    log.sync().unwrap();
    log.append(1, 2, time.plus_ms(1), b"two commands").unwrap();
    log.sync().unwrap();
    let file = disk.open(&dir().join("00000000000000000001.log"), Open::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    let rows = bytes.chunks(16).enumerate();
    let dump: Vec<String> = rows
        .filter(|(_, row)| row.iter().any(|byte| *byte != 0))
        .map(|(number, row)| {
            let hex: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{:04x}  {}", number * 16, hex.join(" "))
        })
        .collect();
    let hash = format!("hash of record 1: {}", read_all(&disk, &dir(), 1)[0].hash);
    let wanted = [dump.join("\n"), hash, format!("hash of record 2: {}", log.end().hash)].join("\n");
    let format = include_str!("../FORMAT.md");
    assert!(format.contains(&wanted), "FORMAT.md does not hold:\n{wanted}");
}
