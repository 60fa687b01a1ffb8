//! From a destination to a state: the newest snapshot that is early enough, then the archived log, then the log of the data folder itself if the copy
//! comes from one.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::archive::{self, Goal, Place};
use storage::disk::{Disk, RealDisk};
use storage::log::{LogError, LogReader, Record};
use storage::snapshot::Restoring;
use storage::{Options, Store};

use super::destination::Destination;
use super::keep::Stock;
use super::manifest::{MANIFEST, Manifest};
use super::ship::Progress;

/// A state that was built anew, and what it was built from.
pub struct Rebuilt {
    pub store: Store,
    pub manifest: Manifest,
    /// Records of the log after the snapshot.
    pub records: u64,
    /// Why the log was not followed further than that, if it was damaged.
    pub stopped: Option<String>,
    /// Highest epoch seen in the destination or the log: a new one must be above it.
    pub epoch_seen: u64,
    /// Of the state, read back from the disk.
    pub digest: String,
}

/// Builds the state in `dir` (which must not hold one).
///
/// # Errors
/// A sentence: nothing early enough, something damaged, or the goal is beyond what is there.
pub fn rebuild(from: &Destination, goal: Goal, dir: &Path, progress: Progress<'_>) -> Result<Rebuilt, String> {
    let stock = Stock::of(from)?;
    let pieces: Vec<_> = stock.pieces.keys().copied().collect();
    let Some(plan) = archive::plan(&stock.snapshots, &pieces, goal) else {
        return Err(match stock.snapshots.first() {
            None => format!("{} holds no snapshot", from.shown()),
            Some(oldest) => format!(
                "no snapshot at {} is early enough: the oldest is of {}.{}, {}",
                from.shown(),
                oldest.epoch,
                oldest.seq,
                oldest.time
            ),
        });
    };
    let there = format!("snapshots/{}", plan.snapshot);
    let manifest = Manifest::parse(&from.get(&format!("{there}/{MANIFEST}"))?)?;
    let names = from.list(&there)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let parts = PartReader {
        from,
        there: &there,
        names: names.into_keys().collect(),
        manifest: &manifest,
        next: 0,
        part: io::Cursor::new(Vec::new()),
        done: 0,
        progress,
    };
    let mut restoring = Restoring::begin(disk.clone(), dir, parts).map_err(|error| error.to_string())?;
    if Place::from(restoring.position()) != plan.snapshot || restoring.snapshot().digest.to_string() != manifest.digest {
        return Err(format!("the snapshot {} is not the one that its manifest describes", plan.snapshot));
    }
    let cell = restoring.snapshot().header.cell;
    let mut records = 0;
    for piece in &plan.pieces {
        let name = stock.pieces.get(piece).ok_or("a planned piece is not listed")?;
        let run = archive::decode(piece, cell, &from.get(&format!("log/{name}"))?).map_err(|error| error.to_string())?;
        for record in &run {
            if follow(&mut restoring, record, goal, &mut records)?.is_break() {
                break;
            }
        }
    }
    let stopped = own_log(from, &disk, &mut restoring, goal, &mut records)?;
    let reached = restoring.finish().map_err(|error| error.to_string())?;
    if let Some(seq) = goal.seq.filter(|seq| reached.seq < *seq) {
        return Err(format!(
            "{} leads only to {}.{} ({}), not to {seq}{}",
            from.shown(),
            reached.epoch,
            reached.seq,
            reached.time,
            stopped.map(|why| format!(": {why}")).unwrap_or_default()
        ));
    }
    let options = Options { cell, ..Options::with_seed([0; 32]) };
    let store = Store::open(disk, dir, options).map_err(|error| error.to_string())?;
    let digest = storage::fault::catch(|| store.head().digest()).map_err(|fault| fault.to_string())?.to_string();
    if records == 0 && digest != manifest.digest {
        return Err("the state that was written does not read back as the snapshot: check the disk".to_owned());
    }
    let seen = stock.snapshots.iter().map(|place| place.epoch).chain(pieces.iter().map(|piece| piece.end.epoch)).max();
    let epoch_seen = seen.unwrap_or(0).max(reached.epoch);
    Ok(Rebuilt { store, manifest, records, stopped, epoch_seen, digest })
}

/// Applies what of `record` is new and within the goal; breaks once the goal is reached.
fn follow(restoring: &mut Restoring, record: &Record, goal: Goal, records: &mut u64) -> Result<ControlFlow<()>, String> {
    let at = restoring.position();
    if record.last_seq() <= at.seq {
        return Ok(ControlFlow::Continue(()));
    }
    let late = goal.epoch.is_some_and(|epoch| record.epoch > epoch)
        || goal.time.is_some_and(|time| record.time > time)
        || goal.seq.is_some_and(|seq| record.first_seq > seq);
    if late {
        return Ok(ControlFlow::Break(()));
    }
    restoring.apply_until(record, goal.seq.unwrap_or(u64::MAX)).map_err(|error| error.to_string())?;
    *records += 1;
    Ok(ControlFlow::Continue(()))
}

/// A data folder's own log leads further than its snapshots. Returns why it was left before its end.
fn own_log(
    from: &Destination,
    disk: &Arc<dyn Disk>,
    restoring: &mut Restoring,
    goal: Goal,
    records: &mut u64,
) -> Result<Option<String>, String> {
    let Some(log) = from.folder().map(own_log_of).filter(|log| log.is_dir()) else { return Ok(None) };
    let mut reader = match LogReader::open(disk.clone(), &log, restoring.position().seq + 1) {
        Ok(reader) => reader,
        Err(LogError::Missing { .. }) => return Ok(Some("the log in the folder begins later than the snapshot".to_owned())),
        Err(error) => return Ok(Some(error.to_string())),
    };
    loop {
        match reader.next() {
            Ok(Some(record)) => {
                if follow(restoring, &record, goal, records)?.is_break() {
                    return Ok(None);
                }
            }
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(error.to_string())),
        }
    }
}

fn own_log_of(data: &Path) -> PathBuf {
    data.join("state").join("log")
}

/// The snapshot's stream, fetched part by part.
struct PartReader<'a> {
    from: &'a Destination,
    there: &'a str,
    names: Vec<String>,
    manifest: &'a Manifest,
    next: usize,
    part: io::Cursor<Vec<u8>>,
    done: u64,
    progress: Progress<'a>,
}

impl Read for PartReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.part.read(into)?;
        if read > 0 || into.is_empty() {
            return Ok(read);
        }
        let Some(part) = self.manifest.parts.get(self.next) else { return Ok(0) };
        let sealed = format!("{}.age", part.name);
        let name = if self.names.contains(&sealed) { &sealed } else { &part.name };
        let bytes = self.from.get(&format!("{}/{name}", self.there)).map_err(io::Error::other)?;
        if bytes.is_empty() || blake3::hash(&bytes).to_hex().as_str() != part.blake3 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", part.name)));
        }
        self.next += 1;
        self.done += part.bytes;
        (self.progress)(self.done, self.manifest.bytes());
        self.part = io::Cursor::new(bytes);
        self.part.read(into)
    }
}
