//! Writing a picture out.

use std::io::Write;

use super::format::{CHUNK_BYTES, FIRST_KEY, FOOTER_BYTES, chunk_head, encode_header, hash_row};
use super::{Header, SnapshotError, Summary};
use crate::fault;
use crate::log::Hash;
use crate::view::{Direction, Read, View};
use crate::{Key, Value};

/// Fast, and within a tenth of what the slower levels reach on rows.
const ZSTD_LEVEL: i32 = 3;

fn rows(view: &View) -> Box<dyn Iterator<Item = (Key, Value)> + '_> {
    view.scan_raw(FIRST_KEY, &[0xFF; 64], Direction::Forward)
}

/// Writes `view` as a snapshot. `into` is written in pieces of about a megabyte and not flushed or synced.
///
/// # Errors
/// [`SnapshotError::Io`]; [`SnapshotError::State`] if a value of the state is damaged: what was written so far is no snapshot.
pub fn write(view: &View, cell: u64, into: impl Write) -> Result<Summary, SnapshotError> {
    let header = Header { cell, position: view.position() };
    let head = encode_header(&header);
    let mut out = Out { into, hasher: blake3::Hasher::new(), bytes: 0 };
    out.write(&head)?;
    let mut chunks = Chunks { seal: super::format::hash_at(&head, head.len() - 32), count: 0, plain: Vec::new(), rows: 0, bytes: 0 };
    let mut state = blake3::Hasher::new();
    let mut count = 0_u64;
    let mut rows = fault::catch(|| rows(view))?;
    // Each step on its own: a damaged value unwinds out of the scan, an I/O error of ours does not.
    while let Some((key, value)) = fault::catch(|| rows.next())? {
        hash_row(&mut state, &key, &value);
        chunks.add(&key, &value);
        count += 1;
        if chunks.plain.len() >= CHUNK_BYTES {
            chunks.close(&mut out)?;
        }
    }
    chunks.close(&mut out)?;
    let digest = Hash(*state.finalize().as_bytes());
    let mut footer = [0; FOOTER_BYTES];
    footer[8..16].copy_from_slice(&chunks.count.to_le_bytes());
    footer[16..24].copy_from_slice(&count.to_le_bytes());
    footer[24..32].copy_from_slice(&chunks.bytes.to_le_bytes());
    footer[32..64].copy_from_slice(&digest.0);
    out.write(&footer[..64])?;
    let whole = out.hasher.finalize();
    out.write(whole.as_bytes())?;
    Ok(Summary { header, rows: count, plain_bytes: chunks.bytes, bytes: out.bytes, digest })
}

struct Out<W> {
    into: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W: Write> Out<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.into.write_all(bytes)
    }
}

struct Chunks {
    seal: Hash,
    count: u64,
    plain: Vec<u8>,
    rows: u32,
    bytes: u64,
}

impl Chunks {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.plain.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.plain.extend_from_slice(key);
        self.plain.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.plain.extend_from_slice(value);
        self.rows += 1;
        self.bytes += (key.len() + value.len()) as u64;
    }

    fn close<W: Write>(&mut self, out: &mut Out<W>) -> Result<(), SnapshotError> {
        if self.rows == 0 {
            return Ok(());
        }
        let stored = zstd::bulk::compress(&self.plain, ZSTD_LEVEL)?;
        out.write(&chunk_head(&self.seal, self.count, self.plain.len() as u32, self.rows, &stored))?;
        out.write(&stored)?;
        self.count += 1;
        self.rows = 0;
        self.plain.clear();
        Ok(())
    }
}
