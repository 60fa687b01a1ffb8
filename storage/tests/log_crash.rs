//! The log on a disk that breaks: what was synced is there, what was not is there or not, and nothing else ever is.
//!
//! Each check answers `Err` with a sentence instead of panicking, so that the planted bugs can show that it finds them.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::PathBuf;
use std::sync::Arc;
use storage::disk::{Disk, Fault, SimDisk};
use storage::log::{Log, LogConfig, LogError, LogReader, Position, Record};

const SEGMENT_BYTES: u64 = 4096;
const SEEDS: u64 = 12;

fn dir() -> PathBuf {
    PathBuf::from("/data/log")
}

/// A seeded choice. Source: Vigna, splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn body(&mut self) -> Vec<u8> {
        let len = match self.below(8) {
            0 => 0,
            1 => 2000 + self.below(4000),
            _ => self.below(900),
        };
        let fill = self.below(3);
        (0..len).map(|_| if fill == 0 { 0 } else { self.below(256) as u8 }).collect()
    }
}

/// What the world outside the machine knows of the log.
#[derive(Clone, Default)]
struct Outside {
    /// Acknowledged: must be there.
    promised: Vec<Record>,
    /// No answer came: may be there. Count and body.
    maybe: Option<(u32, Vec<u8>)>,
    /// The state holds this many of the promised ones; the log below may have been trimmed.
    checkpoint: usize,
}

impl Outside {
    fn after(&self) -> Position {
        match self.checkpoint {
            0 => Position::ZERO,
            known => self.promised[known - 1].position(),
        }
    }

    /// What was replayed must be exactly what was promised, and perhaps the one in doubt.
    fn compare(&self, replayed: &[Record]) -> Result<(), String> {
        let promised = &self.promised[self.checkpoint..];
        if replayed.len() < promised.len() {
            return Err(format!("{} of {} records are there", replayed.len(), promised.len()));
        }
        let (known, more) = replayed.split_at(promised.len());
        if let Some(wrong) = (0..known.len()).find(|at| known[*at] != promised[*at]) {
            return Err(format!("record {} is not what was written", wrong + self.checkpoint));
        }
        match (more, &self.maybe) {
            ([], _) => Ok(()),
            ([one], Some((count, body))) if (one.count, &one.body) == (*count, body) => Ok(()),
            _ => Err(format!("{} records that nobody wrote so", more.len())),
        }
    }
}

fn open(disk: &SimDisk, after: Position) -> Result<(Log, Vec<Record>), LogError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let config = LogConfig { segment_bytes: SEGMENT_BYTES, cell: 1 };
    let mut replayed = Vec::new();
    let log = Log::open(disk, &dir(), config, after, &mut |record| {
        replayed.push(record.clone());
        Ok(())
    })?;
    Ok((log, replayed))
}

/// From the oldest segment kept to the end there is no hole, whatever a trim was interrupted by.
fn read_whole(disk: &SimDisk, log: &Log) -> Result<(), LogError> {
    let mut reader = LogReader::open(Arc::new(disk.clone()), &dir(), log.first_seq())?;
    reader.until(log.end().seq);
    while reader.next()?.is_some() {}
    assert_eq!(reader.position(), log.end());
    Ok(())
}

/// How a life of the process ended.
#[derive(Debug, PartialEq)]
enum Ended {
    InPeace,
    /// By a crash or an injected fault.
    Badly,
}

/// One life: recovery, which is checked, then `steps` appends, checkpoints and trims. `broken` says whether the disk was told to fail.
fn live(disk: &SimDisk, outside: &mut Outside, chance: &mut Chance, steps: u64, broken: bool) -> Result<Ended, String> {
    let excused = |error: &LogError| broken && matches!(error, LogError::Io { .. });
    let (mut log, replayed) = match open(disk, outside.after()) {
        Ok(opened) => opened,
        Err(error) if excused(&error) => return Ok(Ended::Badly),
        Err(error) => return Err(format!("does not open: {error}")),
    };
    outside.compare(&replayed)?;
    match read_whole(disk, &log) {
        Ok(()) => {}
        Err(error) if excused(&error) => return Ok(Ended::Badly),
        Err(error) => return Err(format!("does not read: {error}")),
    }
    outside.promised.truncate(outside.checkpoint);
    outside.promised.extend(replayed);
    outside.maybe = None;
    for _ in 0..steps {
        let (count, body) = (1 + chance.below(3) as u32, chance.body());
        let time = log.end().time.plus_ms(chance.below(50) as i64);
        if chance.below(4) == 0 {
            match log.spare().make() {
                Ok(_) => {}
                Err(error) if excused(&error) => return Ok(Ended::Badly),
                Err(error) => return Err(format!("no spare: {error}")),
            }
        }
        outside.maybe = Some((count, body.clone()));
        let before = log.end();
        let written = log.append(before.epoch + chance.below(2), count, time, &body).and_then(|position| log.sync().map(|()| position));
        let position = match written {
            Ok(position) => position,
            Err(error) if excused(&error) => return Ok(Ended::Badly),
            Err(error) => return Err(format!("does not append: {error}")),
        };
        outside.maybe = None;
        outside.promised.push(Record {
            epoch: position.epoch,
            first_seq: before.seq + 1,
            count,
            time,
            prev: before.hash,
            hash: position.hash,
            body,
        });
        if chance.below(6) == 0 {
            outside.checkpoint = outside.promised.len() - chance.below(2) as usize;
            match log.trim(outside.after().seq + 1) {
                Ok(_) => {}
                Err(error) if excused(&error) => return Ok(Ended::Badly),
                Err(error) => return Err(format!("does not trim: {error}")),
            }
        }
    }
    Ok(Ended::InPeace)
}

/// The same life, ended by a crash at its first call, its second, and so on to the last; recovered each time.
fn crash_at_every_call(seed: u64, lie: bool) -> Result<u64, String> {
    let mut images = 0;
    for call in 1.. {
        let disk = SimDisk::new(seed.wrapping_mul(1000).wrapping_add(call));
        disk.lie_about_sync(lie);
        let mut outside = Outside::default();
        disk.crash_after(call);
        let ended = live(&disk, &mut outside, &mut Chance(seed), 12, true).map_err(|why| format!("seed {seed}, call {call}: {why}"))?;
        let crashed = disk.is_crashed();
        disk.reboot();
        live(&disk, &mut outside, &mut Chance(seed + 1), 3, false)
            .map_err(|why| format!("seed {seed}, after a crash at call {call}: {why}"))?;
        images += 1;
        if ended == Ended::InPeace {
            return Ok(images);
        }
        if !crashed {
            return Err(format!("seed {seed}: failed without a crash at call {call}"));
        }
    }
    unreachable!("a life makes a finite number of calls")
}

/// Many lives of one folder, each ended somewhere by a crash, a kill or a fault; also during recovery.
fn many_lives(seed: u64) -> Result<SimDisk, String> {
    let disk = SimDisk::new(seed);
    let mut chance = Chance(seed);
    let mut outside = Outside::default();
    for life in 0..25 {
        let at = 1 + chance.below(30);
        match chance.below(5) {
            0 => disk.fail_call(at, Fault::Eio),
            1 => disk.fail_call(at, Fault::Enospc),
            2 => disk.fail_call(at, Fault::ShortWrite),
            _ => disk.crash_after(at),
        }
        let steps = chance.below(10);
        live(&disk, &mut outside, &mut chance, steps, true).map_err(|why| format!("seed {seed}, life {life}: {why}"))?;
        // A process that only died leaves the page cache behind; the power may go later.
        if !disk.is_crashed() && chance.below(2) == 0 {
            disk.restart_process();
        } else {
            disk.reboot();
        }
    }
    Ok(disk)
}

/// A small log of two segments at rest, and its records.
fn at_rest() -> (SimDisk, Vec<Record>) {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, Position::ZERO).unwrap();
    let bodies: [&[u8]; 6] = [b"a", &[0; 700], b"", &[7; 1900], &[1; 1100], b"the last"];
    for body in bodies {
        log.append(1, 1, log.end().time.plus_ms(1), body).unwrap();
        log.sync().unwrap();
    }
    drop(log);
    assert_eq!(disk.list(&dir()).unwrap().len(), 2);
    let records = open(&disk, Position::ZERO).unwrap().1;
    (disk, records)
}

/// Turns bits of every byte over, one at a time: the log says so or answers as before. Returns how many were noticed.
fn flip_every_byte() -> Result<u64, String> {
    let (disk, records) = at_rest();
    let mut noticed = 0;
    for (path, len) in disk.files() {
        for offset in 0..len {
            let flipped = disk.fork(offset);
            flipped.flip_bit(&path, offset, (offset % 8) as u8);
            match open(&flipped, Position::ZERO) {
                Err(LogError::Corrupt { .. } | LogError::Missing { .. }) => noticed += 1,
                Err(error) => return Err(format!("{} byte {offset}: {error}", path.display())),
                Ok((_, replayed)) if replayed == records => {}
                Ok(_) => {
                    return Err(format!("{} byte {offset}: other records", path.display()));
                }
            }
        }
    }
    Ok(noticed)
}

#[test]
fn a_crash_at_any_call_loses_and_invents_nothing() {
    let images: u64 = (0..SEEDS).map(|seed| crash_at_every_call(seed, false).unwrap()).sum();
    assert!(images > SEEDS * 30, "only {images} crash images");
}

#[test]
fn many_lives_lose_and_invent_nothing() {
    for seed in 0..SEEDS * 4 {
        many_lives(seed).unwrap();
    }
}

#[test]
fn the_same_seed_is_the_same_run_bit_by_bit() {
    for seed in [3, 4] {
        let (one, two) = (many_lives(seed).unwrap(), many_lives(seed).unwrap());
        assert_eq!((one.state_hash(), one.calls()), (two.state_hash(), two.calls()));
    }
    let (one, two) = (many_lives(3).unwrap(), many_lives(4).unwrap());
    assert_ne!(one.state_hash(), two.state_hash());
}

#[test]
fn a_flipped_bit_is_noticed_or_harmless() {
    let noticed = flip_every_byte().unwrap();
    // Every byte of the two headers and the six records, padding included.
    let records: u64 = [1u64, 700, 0, 1900, 1100, 8].map(|body| (72 + body + 1).next_multiple_of(8)).iter().sum();
    assert!(noticed >= 2 * 512 + records, "only {noticed} noticed");
}

/// A record loses a whole sector, as by a lost write; later ones prove that it was synced, in the next segment or in the same one.
#[test]
fn a_record_cut_off_in_the_middle_of_the_log_is_not_an_end() {
    for (segment, record_at) in [("00000000000000000001.log", 592), ("00000000000000000005.log", 512)] {
        let (disk, _) = at_rest();
        let file = disk.open(&dir().join(segment), storage::disk::Open::Write).unwrap();
        file.write_at(1024, &[0; 512]).unwrap();
        let error = open(&disk, Position::ZERO).err().unwrap();
        assert!(matches!(error, LogError::Corrupt { offset, .. } if offset == record_at), "{error}");
        let text = error.to_string();
        for helps in [segment, &format!("byte {record_at}"), "medina restore"] {
            assert!(text.contains(helps), "{text}");
        }
    }
}

/// A process that dies between the rename of a new segment and the sync of its folder leaves a name that is not durable; the next one
/// must not write records under it as if it were.
#[test]
fn a_segment_found_by_name_is_made_durable_first() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, Position::ZERO).unwrap();
    let append = |log: &mut Log, call| {
        disk.fail_call(call, Fault::Eio);
        let written = log.append(1, 1, log.end().time, &[1; 2500]).and_then(|_| log.sync());
        written.is_ok()
    };
    assert!(append(&mut log, 1000));
    // File, zeros, sync, header, sync, rename, and then:
    assert!(!append(&mut log, 7), "the folder's sync fails");
    assert_eq!(disk.list(&dir()).unwrap().len(), 2, "but the name is there");
    disk.restart_process();
    let (mut log, _) = open(&disk, Position::ZERO).unwrap();
    assert!(append(&mut log, 1000));
    for seed in 0..20 {
        let image = disk.fork(seed);
        image.reboot();
        assert_eq!(open(&image, Position::ZERO).unwrap().1.len(), 2, "seed {seed}");
    }
}

#[test]
fn a_disk_that_lies_about_sync_is_found() {
    let found = (0..SEEDS).find_map(|seed| crash_at_every_call(seed, true).err());
    assert!(found.is_some(), "a lying disk was not noticed");
}

/// The checks above must find what they are for. Each bug runs in its own thread, as the switch is per thread.
#[cfg(feature = "planted")]
mod planted_bugs {
    use super::*;
    use storage::disk::planted::{self, Bug};

    fn found(bug: Bug, check: fn() -> Result<(), String>) {
        planted::set(bug);
        let found = check().err();
        planted::set(None);
        let sentence = found.unwrap_or_else(|| panic!("{bug:?} was not found"));
        println!("{bug:?}: {sentence}");
        check().unwrap();
    }

    fn crashes() -> Result<(), String> {
        (0..SEEDS).try_for_each(|seed| crash_at_every_call(seed, false).map(drop))
    }

    fn flips() -> Result<(), String> {
        flip_every_byte().map(drop)
    }

    #[test]
    fn fsync_dropped() {
        found(Bug::FsyncDropped, crashes);
    }

    #[test]
    fn dir_sync_dropped() {
        found(Bug::DirSyncDropped, crashes);
    }

    #[test]
    fn torn_tail_accepted() {
        found(Bug::TornTailAccepted, crashes);
    }

    #[test]
    fn corruption_truncated() {
        found(Bug::CorruptionTruncated, flips);
    }
}
