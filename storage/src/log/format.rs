//! The bytes of segment headers and records, in memory. `FORMAT.md` describes them; a golden test holds both together.

use super::{Hash, Position, Record};
use crate::clock::Timestamp;

/// What a power cut tears at.
pub(super) const SECTOR: usize = 512;
/// The header has a sector of its own: no later write touches it.
pub(super) const SEGMENT_HEADER_BYTES: usize = SECTOR;
pub(super) const RECORD_HEADER_BYTES: usize = 72;
pub(super) const FORMAT: u16 = 1;
/// Larger than any batch the engine makes; keeps a length far from overflow.
pub(super) const BODY_BYTES_MAX: usize = 256 << 20;
const MAGIC: &[u8; 8] = b"MEDINALG";
/// Not scrambled and never zero: with it the last sector of a record cannot be all zero.
const END_MARKER: u8 = 0xA5;
const ALIGN: usize = 8;
const HEADER_CRC_AT: usize = SEGMENT_HEADER_BYTES - 4;

const _: () = assert!(RECORD_HEADER_BYTES.is_multiple_of(ALIGN) && SECTOR.is_multiple_of(ALIGN));
const _: () = assert!(RECORD_HEADER_BYTES + BODY_BYTES_MAX < u32::MAX as usize / 2);

/// The first sector of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub cell: u64,
    /// Where the log stood when the segment was begun; the first record follows it.
    pub start: Position,
    pub salt: u64,
    /// Size of the whole file.
    pub bytes: u64,
}

/// Why a first sector is not a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    Damaged(&'static str),
    NewerFormat(u16),
}

impl SegmentHeader {
    pub fn new(cell: u64, start: Position, bytes: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&start.hash.0);
        hasher.update(&(start.seq + 1).to_le_bytes());
        hasher.update(&cell.to_le_bytes());
        hasher.update(&start.time.millis().to_le_bytes());
        Self { cell, start, salt: u64_at(hasher.finalize().as_bytes(), 0), bytes }
    }

    pub fn first_seq(&self) -> u64 {
        self.start.seq + 1
    }

    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.cell.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.start.epoch.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_seq().to_le_bytes());
        bytes[40..48].copy_from_slice(&self.start.time.millis().to_le_bytes());
        bytes[48..80].copy_from_slice(&self.start.hash.0);
        bytes[80..88].copy_from_slice(&self.salt.to_le_bytes());
        bytes[88..96].copy_from_slice(&self.bytes.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..HEADER_CRC_AT]);
        bytes[HEADER_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Result<Self, BadHeader> {
        if &bytes[..8] != MAGIC {
            return Err(BadHeader::Damaged("it does not begin as a log segment"));
        }
        if crc32c::crc32c(&bytes[..HEADER_CRC_AT]) != u32_at(bytes, HEADER_CRC_AT) {
            return Err(BadHeader::Damaged("the segment's header is damaged"));
        }
        let format = u16::from_le_bytes([bytes[8], bytes[9]]);
        if format > FORMAT {
            return Err(BadHeader::NewerFormat(format));
        }
        if format == 0 || bytes[10..16] != [0; 6] {
            return Err(BadHeader::Damaged("the segment's header has unknown flags"));
        }
        let first_seq = u64_at(bytes, 32);
        let start = Position {
            epoch: u64_at(bytes, 24),
            seq: first_seq.checked_sub(1).ok_or(BadHeader::Damaged("the segment begins at record 0"))?,
            hash: hash_at(bytes, 48),
            time: time_at(bytes, 40),
        };
        Ok(Self { cell: u64_at(bytes, 16), start, salt: u64_at(bytes, 80), bytes: u64_at(bytes, 88) })
    }
}

/// A record's header, unscrambled and with its CRC checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    len: u32,
    body_crc: u32,
    pub count: u32,
    pub epoch: u64,
    pub first_seq: u64,
    pub time: Timestamp,
    pub prev: Hash,
}

impl Head {
    /// Bytes the record takes in the file, padding included.
    pub fn extent(&self) -> usize {
        (self.len as usize).next_multiple_of(ALIGN)
    }

    /// `raw` begins with the record as it stands in the file at `offset`. `None`: no header, or a damaged one.
    pub fn decode(raw: &[u8], offset: u64, salt: u64) -> Option<Self> {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        bytes.copy_from_slice(raw.get(..RECORD_HEADER_BYTES)?);
        scramble(&mut bytes[4..], offset + 4, salt);
        let (len, count) = (u32_at(&bytes, 0), u32_at(&bytes, 12));
        let body_max = RECORD_HEADER_BYTES + BODY_BYTES_MAX + 1;
        if u32_at(&bytes, 4) != head_crc(&bytes, salt) || !(RECORD_HEADER_BYTES < len as usize && len as usize <= body_max) || count == 0 {
            return None;
        }
        Some(Self {
            len,
            body_crc: u32_at(&bytes, 8),
            count,
            epoch: u64_at(&bytes, 16),
            first_seq: u64_at(&bytes, 24),
            time: time_at(&bytes, 32),
            prev: hash_at(&bytes, 40),
        })
    }

    /// The whole record, if body, end marker and padding are right. `raw` begins with the record and has [`Self::extent`] bytes at least.
    /// `trusted` leaves the body's CRC unchecked: only the planted bug asks for it.
    pub fn record(&self, raw: &[u8], offset: u64, salt: u64, trusted: bool) -> Option<Record> {
        let end = self.len as usize - 1;
        let mut body = raw.get(RECORD_HEADER_BYTES..end)?.to_vec();
        scramble(&mut body, offset + RECORD_HEADER_BYTES as u64, salt);
        let tail = raw.get(end..self.extent())?;
        let whole = tail[0] == END_MARKER && tail[1..].iter().all(|byte| *byte == 0) && crc(salt, &body) == self.body_crc;
        if !whole && !trusted {
            return None;
        }
        Some(Record {
            epoch: self.epoch,
            first_seq: self.first_seq,
            count: self.count,
            time: self.time,
            prev: self.prev,
            hash: self.hash(&body),
            body,
        })
    }

    fn hash(&self, body: &[u8]) -> Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.len.to_le_bytes());
        hasher.update(&self.count.to_le_bytes());
        hasher.update(&self.epoch.to_le_bytes());
        hasher.update(&self.first_seq.to_le_bytes());
        hasher.update(&self.time.millis().to_le_bytes());
        hasher.update(&self.prev.0);
        hasher.update(body);
        Hash(*hasher.finalize().as_bytes())
    }
}

impl Record {
    /// Whether its hash is that of its fields and body: what came from elsewhere is believed only then.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        let Self { epoch, first_seq, count, time, prev, ref body, .. } = *self;
        if body.len() > BODY_BYTES_MAX {
            return false;
        }
        let len = (RECORD_HEADER_BYTES + body.len() + 1) as u32;
        Head { len, body_crc: 0, count, epoch, first_seq, time, prev }.hash(body) == self.hash
    }
}

/// Bytes a record with a body of `body_len` takes in the file, padding included.
pub(super) fn extent_of(body_len: usize) -> usize {
    (RECORD_HEADER_BYTES + body_len + 1).next_multiple_of(ALIGN)
}

/// Writes the record that follows `before` into `into` (cleared first), as it shall stand in the file at `offset`. Returns where the log
/// then stands.
///
/// The caller has checked that `body` is no longer than [`BODY_BYTES_MAX`], that `count` is at least 1 and that the epoch and the
/// time do not go down.
pub(super) fn encode(
    into: &mut Vec<u8>,
    before: &Position,
    (epoch, count, time): (u64, u32, Timestamp),
    body: &[u8],
    (offset, salt): (u64, u64),
) -> Position {
    let head = Head {
        len: u32::try_from(RECORD_HEADER_BYTES + body.len() + 1).expect("BODY_BYTES_MAX keeps a record's length in 32 bits"),
        body_crc: crc(salt, body),
        count,
        epoch,
        first_seq: before.seq + 1,
        time,
        prev: before.hash,
    };
    into.clear();
    into.reserve(head.extent());
    into.extend_from_slice(&head.len.to_le_bytes());
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(&head.body_crc.to_le_bytes());
    into.extend_from_slice(&head.count.to_le_bytes());
    into.extend_from_slice(&head.epoch.to_le_bytes());
    into.extend_from_slice(&head.first_seq.to_le_bytes());
    into.extend_from_slice(&head.time.millis().to_le_bytes());
    into.extend_from_slice(&head.prev.0);
    let header_crc = head_crc(into, salt);
    into[4..8].copy_from_slice(&header_crc.to_le_bytes());
    into.extend_from_slice(body);
    scramble(&mut into[4..], offset + 4, salt);
    into.push(END_MARKER);
    into.resize(head.extent(), 0);
    Position { epoch, seq: before.seq + u64::from(count), hash: head.hash(body), time }
}

fn head_crc(bytes: &[u8], salt: u64) -> u32 {
    crc32c::crc32c_append(crc(salt, &bytes[..4]), &bytes[8..RECORD_HEADER_BYTES])
}

/// CRC-32C that begins at a value of this segment, so that nothing copied from elsewhere passes for a record of it.
fn crc(salt: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append((salt ^ (salt >> 32)) as u32, bytes)
}

/// XORs `bytes`, which stand in the file from `offset` on, with the keystream of `salt`: splitmix64 of the salt plus the number of the
/// 8-byte word. It hides nothing; it keeps written sectors from being all zero, whatever a caller stores.
fn scramble(bytes: &mut [u8], offset: u64, salt: u64) {
    let word = |offset: u64| splitmix64(salt.wrapping_add(offset / 8)).to_le_bytes();
    let lead = (offset.next_multiple_of(8) - offset) as usize;
    let (head, rest) = bytes.split_at_mut(lead.min(bytes.len()));
    for (byte, key) in head.iter_mut().zip(&word(offset)[8 - lead..]) {
        *byte ^= key;
    }
    let mut at = offset + lead as u64;
    let mut words = rest.chunks_exact_mut(8);
    for chunk in &mut words {
        for (byte, key) in chunk.iter_mut().zip(word(at)) {
            *byte ^= key;
        }
        at += 8;
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(word(at)) {
        *byte ^= key;
    }
}

/// Source: Sebastiano Vigna, <https://prng.di.unimi.it/splitmix64.c>, as a function of the state.
fn splitmix64(state: u64) -> u64 {
    let z = state.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn time_at(bytes: &[u8], at: usize) -> Timestamp {
    Timestamp::from_millis(u64_at(bytes, at) as i64)
}

fn hash_at(bytes: &[u8], at: usize) -> Hash {
    let mut hash = Hash::ZERO;
    hash.0.copy_from_slice(&bytes[at..at + 32]);
    hash
}
