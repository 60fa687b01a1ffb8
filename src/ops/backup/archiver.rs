//! Sends the log to the destination as it is written: small pieces at once, merged ones later.

use std::path::PathBuf;
use std::sync::Arc;

use storage::archive::{self, PieceName, Place, short};
use storage::disk::Disk;
use storage::log::{LogError, LogReader, Record};
use storage::store::{CELL, Holds};
use storage::{Position, View};

use super::destination::Destination;
use super::keep::Stock;

/// A piece holds about this much of the log, uncompressed.
const PIECE_BYTES: usize = 8 << 20;
/// So many small pieces become one.
const MERGED: usize = 256;
/// Under this name the archive holds the log.
const HOLD: &str = "archive";
/// So many of the newest things in the destination are tried when looking for where to go on.
const TRIED_MAX: usize = 64;

/// Where the archive stands, after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Everything published is there.
    CaughtUp,
    /// More waits.
    Behind,
    /// The destination has nothing that this log continues: it needs a snapshot first. `gap` if it had something before.
    NeedsBase { gap: bool },
}

/// The archiver's own side: what it has sent, and where it reads.
pub struct Archiver {
    disk: Arc<dyn Disk>,
    log: PathBuf,
    holds: Holds,
    at: Option<Place>,
    reader: Option<LogReader>,
    /// Read and not yet taken by the destination.
    held: Option<(PieceName, Vec<u8>)>,
    small: Vec<PieceName>,
    looked: bool,
}

impl Archiver {
    /// For the log in `log`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, log: PathBuf, holds: Holds) -> Self {
        Self { disk, log, holds, at: None, reader: None, held: None, small: Vec::new(), looked: false }
    }

    /// Up to where the destination has the log.
    #[must_use]
    pub fn at(&self) -> Option<Place> {
        self.at
    }

    /// A snapshot of this very history is in the destination: the log goes on from there.
    pub fn base(&mut self, place: Place) {
        self.at = Some(place);
        self.reader = None;
        self.held = None;
        self.holds.hold(HOLD, place.seq + 1);
    }

    /// Sends the next piece, if anything has been published since the last.
    ///
    /// # Errors
    /// A sentence; the next step tries the same again.
    pub fn step(&mut self, view: &View, to: &Destination) -> Result<Stand, String> {
        let published = view.position();
        if self.at.is_none() {
            match self.look(&published, to)? {
                Ok(place) => self.base(place),
                Err(gap) => return Ok(Stand::NeedsBase { gap }),
            }
        }
        let Some(at) = self.at else { return Ok(Stand::NeedsBase { gap: false }) };
        if self.held.is_none() && at.seq >= published.seq {
            return Ok(Stand::CaughtUp);
        }
        if self.held.is_none() {
            let records = match self.read(at, published.seq) {
                Ok(records) => records,
                Err(LogError::Missing { .. }) => {
                    // It was trimmed before it could be sent.
                    self.at = None;
                    self.reader = None;
                    return Ok(Stand::NeedsBase { gap: true });
                }
                Err(error) => {
                    self.reader = None;
                    return Err(error.to_string());
                }
            };
            if records.is_empty() {
                return Ok(Stand::CaughtUp);
            }
            self.held = Some(archive::encode(CELL, &records));
        }
        let Some((name, bytes)) = &self.held else { return Ok(Stand::CaughtUp) };
        to.put_sealed(&object(name), bytes.clone())?;
        let name = *name;
        self.held = None;
        self.at = Some(name.end);
        self.small.push(name);
        self.holds.hold(HOLD, name.end.seq + 1);
        if self.small.len() >= MERGED {
            self.merge(to);
        }
        Ok(if name.end.seq < published.seq { Stand::Behind } else { Stand::CaughtUp })
    }

    fn read(&mut self, at: Place, until: u64) -> Result<Vec<Record>, LogError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(LogReader::open(self.disk.clone(), &self.log, at.seq + 1)?),
        };
        reader.until(until);
        run(reader)
    }

    /// Where in the destination this history goes on; otherwise whether anything else is there.
    fn look(&mut self, published: &Position, to: &Destination) -> Result<Result<Place, bool>, String> {
        let stock = Stock::of(to)?;
        let mut ends: Vec<Place> = stock.pieces.keys().map(|piece| piece.end).chain(stock.snapshots.iter().copied()).collect();
        ends.sort_unstable();
        let found = ends.iter().rev().take(TRIED_MAX).find(|place| self.is_ours(published, place));
        let gap = !self.looked && found.is_none() && !ends.is_empty();
        self.looked = true;
        Ok(found.copied().ok_or(gap))
    }

    fn is_ours(&self, published: &Position, place: &Place) -> bool {
        if place.seq >= published.seq {
            return place.seq == published.seq && place.hash == short(&published.hash);
        }
        let Ok(mut reader) = LogReader::open(self.disk.clone(), &self.log, place.seq + 1) else { return false };
        let next = reader.until(published.seq).next();
        matches!(next, Ok(Some(record)) if record.first_seq == place.seq + 1 && short(&record.prev) == place.hash)
    }

    /// Makes one piece of many small ones. The small ones go only when the large one is there; if anything fails they stay, and do no harm.
    fn merge(&mut self, to: &Destination) {
        let small = std::mem::take(&mut self.small);
        let (Some(first), Some(last)) = (small.first(), small.last()) else { return };
        let merge = || -> Result<(), String> {
            let mut reader = LogReader::open(self.disk.clone(), &self.log, first.first).map_err(|error| error.to_string())?;
            reader.until(last.end.seq);
            loop {
                let records = run(&mut reader).map_err(|error| error.to_string())?;
                if records.is_empty() {
                    break;
                }
                let (name, bytes) = archive::encode(CELL, &records);
                to.put_sealed(&object(&name), bytes)?;
                let covered = |piece: &&PieceName| **piece != name && name.first <= piece.first && piece.end.seq <= name.end.seq;
                for piece in small.iter().filter(covered) {
                    let ending = if to.is_sealing() { ".age" } else { "" };
                    to.delete(&format!("{}{ending}", object(piece)))?;
                }
            }
            Ok(())
        };
        if let Err(why) = merge() {
            tracing::info!(why, "small pieces of the archived log were left as they are");
        }
    }
}

fn object(piece: &PieceName) -> String {
    format!("log/{piece}.rec")
}

/// The next records, about a piece full.
fn run(reader: &mut LogReader) -> Result<Vec<Record>, LogError> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    while bytes < PIECE_BYTES {
        let Some(record) = reader.next()? else { break };
        bytes += record.body.len();
        records.push(record);
    }
    Ok(records)
}
