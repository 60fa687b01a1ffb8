//! The bytes of a snapshot's header, chunk heads and footer. `FORMAT.md` describes them; a golden test holds both together.

use super::{Header, SnapshotError};
use crate::clock::Timestamp;
use crate::log::{Hash, Position};

pub(super) const FORMAT: u16 = 1;
pub(super) const HEADER_BYTES: usize = 128;
pub(super) const CHUNK_HEAD_BYTES: usize = 48;
/// Without its first 16 bytes, which look like a chunk's head of length 0.
pub(super) const FOOTER_BYTES: usize = 96;
/// A chunk is closed once it holds this much, uncompressed.
pub(super) const CHUNK_BYTES: usize = 1 << 20;
/// A row larger than the log's largest record cannot exist; twice that bounds what a damaged length can make us allocate.
pub(super) const CHUNK_BYTES_MAX: u32 = 512 << 20;
const MAGIC: &[u8; 8] = b"MEDINASN";
const SEALED: usize = HEADER_BYTES - 32;

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

pub(super) fn hash_at(bytes: &[u8], at: usize) -> Hash {
    let mut hash = Hash::ZERO;
    hash.0.copy_from_slice(&bytes[at..at + 32]);
    hash
}

pub(super) fn encode_header(header: &Header) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..10].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[16..24].copy_from_slice(&header.cell.to_le_bytes());
    bytes[24..32].copy_from_slice(&header.position.epoch.to_le_bytes());
    bytes[32..40].copy_from_slice(&header.position.seq.to_le_bytes());
    bytes[40..48].copy_from_slice(&header.position.time.millis().to_le_bytes());
    bytes[48..80].copy_from_slice(&header.position.hash.0);
    let seal = blake3::hash(&bytes[..SEALED]);
    bytes[SEALED..].copy_from_slice(seal.as_bytes());
    bytes
}

pub(super) fn decode_header(bytes: &[u8; HEADER_BYTES]) -> Result<Header, SnapshotError> {
    let corrupt = |why| Err(SnapshotError::Corrupt { at: 0, why });
    if &bytes[..8] != MAGIC {
        return corrupt("it does not begin as a snapshot");
    }
    if blake3::hash(&bytes[..SEALED]) != blake3::Hash::from_bytes(hash_at(bytes, SEALED).0) {
        return corrupt("its header is damaged");
    }
    let format = u16::from_le_bytes([bytes[8], bytes[9]]);
    if format > FORMAT {
        return Err(SnapshotError::NewerFormat { found: format, known: FORMAT });
    }
    if format == 0 || bytes[10..16] != [0; 6] || bytes[80..SEALED] != [0; 16] {
        return corrupt("its header has unknown flags");
    }
    let position = Position {
        epoch: u64_at(bytes, 24),
        seq: u64_at(bytes, 32),
        time: Timestamp::from_millis(u64_at(bytes, 40) as i64),
        hash: hash_at(bytes, 48),
    };
    Ok(Header { cell: u64_at(bytes, 16), position })
}

/// The head of chunk `number`: lengths, and a hash that binds them, the bytes, the chunk's place and the snapshot it belongs to.
pub(super) fn chunk_head(seal: &Hash, number: u64, plain: u32, rows: u32, stored: &[u8]) -> [u8; CHUNK_HEAD_BYTES] {
    let mut head = [0; CHUNK_HEAD_BYTES];
    let length = u32::try_from(stored.len()).expect("zstd's bound keeps a chunk of at most CHUNK_BYTES_MAX below 4 GiB");
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..8].copy_from_slice(&plain.to_le_bytes());
    head[8..12].copy_from_slice(&rows.to_le_bytes());
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seal.0).update(&number.to_le_bytes()).update(&head[..16]).update(stored);
    head[16..].copy_from_slice(hasher.finalize().as_bytes());
    head
}

/// Below it is the checkpoint, which belongs to a folder and not to a state; from it on the epochs' rows, then the tables.
pub(super) const FIRST_KEY: &[u8] = &[0, 0, 2];

/// Adds a row to the digest of a state, as [`View::digest`](crate::View::digest) does: without table 0.
pub(super) fn hash_row(hasher: &mut blake3::Hasher, key: &[u8], value: &[u8]) {
    if key.starts_with(&[0, 0]) {
        return;
    }
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(&(value.len() as u64).to_le_bytes()).update(value);
}
