//! The log in an archive: runs of records as objects whose names say where they belong, so that a listing alone shows what can be restored.
//!
//! A piece is immutable. Two pieces may overlap (a merged one beside the small ones that it replaces) or belong to different histories (after a restore
//! an epoch begins anew); [`plan`] finds the way from a snapshot to a goal. `FORMAT.md`, "Archive", has the bytes.

use std::fmt;
use std::str::FromStr;

use crate::clock::Timestamp;
use crate::log::{Hash, Position, Record};
use crate::replica::frame;

const MAGIC: &[u8; 8] = b"MEDINAAR";
const FORMAT: u16 = 1;
const HEADER_BYTES: usize = 32;
const SEAL_BYTES: usize = 32;
const ZSTD_LEVEL: i32 = 3;
/// No piece is larger uncompressed: bounds what a damaged length can make us allocate.
const PLAIN_BYTES_MAX: u64 = 1 << 30;

/// A place in a history, as a name can say it: the hash is cut to 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub seq: u64,
    pub epoch: u64,
    pub time: Timestamp,
    pub hash: [u8; 8],
}

/// A hash as names show it.
#[must_use]
pub fn short(hash: &Hash) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&hash.0[..8]);
    short
}

fn hex(bytes: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(bytes))
}

fn from_hex(text: &str) -> Option<[u8; 8]> {
    let plain = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
    plain.then(|| u64::from_str_radix(text, 16).ok().map(u64::to_be_bytes))?
}

impl From<Position> for Place {
    fn from(position: Position) -> Self {
        Self { seq: position.seq, epoch: position.epoch, time: position.time, hash: short(&position.hash) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-e{}-t{}-{}", self.seq, self.epoch, self.time.millis(), hex(self.hash))
    }
}

/// Not a name of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an archived object")]
pub struct NotAName;

impl FromStr for Place {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let parse = || {
            let mut parts = text.splitn(3, '-');
            let (seq, epoch, rest) = (parts.next()?, parts.next()?.strip_prefix('e')?, parts.next()?.strip_prefix('t')?);
            // A time before 1970 has a minus of its own.
            let (time, hash) = rest.rsplit_once('-')?;
            let place = Self {
                seq: seq.parse().ok()?,
                epoch: epoch.parse().ok()?,
                time: Timestamp::from_millis(time.parse().ok()?),
                hash: from_hex(hash)?,
            };
            (place.to_string() == text).then_some(place)
        };
        parse().ok_or(NotAName)
    }
}

/// The name of a piece: the records after `prev`, from `first` to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceName {
    pub first: u64,
    /// Hash of the record before the first.
    pub prev: [u8; 8],
    pub end: Place,
}

impl fmt::Display for PieceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{}-{}", self.first, hex(self.prev), self.end)
    }
}

impl FromStr for PieceName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let parse = || {
            let mut parts = text.splitn(3, '-');
            let (first, prev, end) = (parts.next()?.parse().ok()?, from_hex(parts.next()?)?, parts.next()?.parse().ok()?);
            let name = Self { first, prev, end };
            (name.to_string() == text && 0 < first && first <= name.end.seq).then_some(name)
        };
        parse().ok_or(NotAName)
    }
}

/// Why the bytes are not the piece that they are said to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PieceError {
    #[error("archived log {name}: {why}")]
    Corrupt { name: String, why: &'static str },
    #[error("archived log {name} has format {found}, this program knows up to {FORMAT}: use the newer release that wrote it")]
    NewerFormat { name: String, found: u16 },
}

/// Makes a piece of `records` (one after the other, at least one) of the history of `cell`.
///
/// # Panics
/// If there is no record.
#[must_use]
pub fn encode(cell: u64, records: &[Record]) -> (PieceName, Vec<u8>) {
    let (first, last) = (records.first().expect("a piece has records"), records.last().expect("a piece has records"));
    let mut plain = Vec::new();
    for record in records {
        let at = plain.len();
        plain.extend_from_slice(&[0; 4]);
        frame::encode(record, &mut plain);
        let length = (plain.len() - at - 4) as u32;
        plain[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
    let mut bytes = Vec::with_capacity(HEADER_BYTES + SEAL_BYTES + plain.len() / 3);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&[0; 6]);
    bytes.extend_from_slice(&cell.to_le_bytes());
    bytes.extend_from_slice(&(plain.len() as u64).to_le_bytes());
    bytes.extend(zstd::bulk::compress(&plain, ZSTD_LEVEL).expect("zstd compresses any bytes into a buffer of its own bound"));
    let seal = blake3::hash(&bytes);
    bytes.extend_from_slice(seal.as_bytes());
    (PieceName { first: first.first_seq, prev: short(&first.prev), end: last.position().into() }, bytes)
}

/// The records of a piece, each with its hash computed anew and following the one before.
///
/// # Errors
/// [`PieceError`].
pub fn decode(name: &PieceName, cell: u64, bytes: &[u8]) -> Result<Vec<Record>, PieceError> {
    let corrupt = |why| PieceError::Corrupt { name: name.to_string(), why };
    let sealed = bytes.len().checked_sub(SEAL_BYTES).filter(|sealed| *sealed >= HEADER_BYTES).ok_or(corrupt("it is too short"))?;
    let (body, seal) = bytes.split_at(sealed);
    if &body[..8] != MAGIC || blake3::hash(body).as_bytes() != seal {
        return Err(corrupt("its bytes are not what was written"));
    }
    let format = u16::from_le_bytes([body[8], body[9]]);
    if format > FORMAT {
        return Err(PieceError::NewerFormat { name: name.to_string(), found: format });
    }
    if body[16..24] != cell.to_le_bytes() {
        return Err(corrupt("it belongs to another city's history"));
    }
    let mut length = [0; 8];
    length.copy_from_slice(&body[24..32]);
    let length = u64::from_le_bytes(length);
    if length > PLAIN_BYTES_MAX {
        return Err(corrupt("it says that it is larger than a piece can be"));
    }
    let plain = zstd::bulk::decompress(&body[HEADER_BYTES..], length as usize).map_err(|_| corrupt("it does not decompress"))?;
    let records = frames(&plain).ok_or(corrupt("it does not hold records"))?;
    let (Some(first), Some(last)) = (records.first(), records.last()) else { return Err(corrupt("it holds no record")) };
    let found = PieceName { first: first.first_seq, prev: short(&first.prev), end: last.position().into() };
    if found != *name {
        return Err(corrupt("it holds other records than its name says"));
    }
    if records.iter().any(|record| !record.is_genuine()) {
        return Err(corrupt("a record is not what its hash says"));
    }
    if records.windows(2).any(|pair| pair[1].breaks_after(&pair[0].position()).is_some()) {
        return Err(corrupt("its records do not follow one another"));
    }
    Ok(records)
}

fn frames(mut plain: &[u8]) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    while !plain.is_empty() {
        let (length, rest) = plain.split_first_chunk::<4>()?;
        let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        records.push(frame::decode(bytes)?);
        plain = rest;
    }
    Some(records)
}

/// Up to where to restore; every bound that is given holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Goal {
    /// Nothing of a later epoch: the history as it was before a restore or promotion.
    pub epoch: Option<u64>,
    /// The last sequence number, inclusive.
    pub seq: Option<u64>,
    /// The last time, inclusive.
    pub time: Option<Timestamp>,
}

impl Goal {
    /// Whether a state at `place` is not beyond the goal.
    #[must_use]
    pub fn allows(&self, place: &Place) -> bool {
        self.epoch.is_none_or(|epoch| place.epoch <= epoch)
            && self.seq.is_none_or(|seq| place.seq <= seq)
            && self.time.is_none_or(|time| place.time <= time)
    }
}

/// A snapshot, then pieces in order; the last may reach beyond the goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub snapshot: Place,
    pub pieces: Vec<PieceName>,
    /// Where the last piece (or the snapshot) ends.
    pub reach: Place,
}

/// The way to the goal, or as near to it as the archive leads: in the newest history that the goal allows, from the newest snapshot in it. `None` if no
/// snapshot is early enough.
#[must_use]
pub fn plan(snapshots: &[Place], pieces: &[PieceName], goal: Goal) -> Option<Plan> {
    let reached = |plan: &Plan| (plan.reach.epoch, plan.reach.seq, plan.snapshot.seq);
    snapshots.iter().filter(|snapshot| goal.allows(snapshot)).map(|snapshot| walk(*snapshot, pieces, goal)).max_by_key(reached)
}

fn walk(snapshot: Place, pieces: &[PieceName], goal: Goal) -> Plan {
    let mut plan = Plan { snapshot, pieces: Vec::new(), reach: snapshot };
    // Beyond a bound there is nothing to fetch; the record at which to stop may be in the middle of the last piece.
    while goal.allows(&plan.reach) && goal.seq.is_none_or(|seq| plan.reach.seq < seq) {
        let at = plan.reach;
        let next = pieces.iter().filter(|piece| {
            let joins = piece.first == at.seq + 1 && piece.prev == at.hash;
            // A snapshot may have been taken within what later became one merged piece; its records prove whether it belongs.
            let holds = piece.first <= at.seq && at.seq < piece.end.seq && piece.end.epoch == at.epoch;
            (joins || holds) && piece.end.epoch >= at.epoch && goal.epoch.is_none_or(|epoch| piece.end.epoch <= epoch)
        });
        let Some(next) = next.max_by_key(|piece| (piece.end.epoch, piece.first == at.seq + 1, piece.end.seq)) else { break };
        plan.pieces.push(*next);
        plan.reach = next.end;
    }
    plan
}
