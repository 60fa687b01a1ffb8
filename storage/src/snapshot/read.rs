//! Reading a snapshot; nothing is handed out before its checksum has been seen to be right.

use std::io::Read;

use super::format::{
    CHUNK_BYTES_MAX, CHUNK_HEAD_BYTES, FIRST_KEY, FOOTER_BYTES, HEADER_BYTES, chunk_head, decode_header, hash_at, hash_row, u32_at, u64_at,
};
use super::{Header, SnapshotError, Summary};
use crate::log::Hash;
use crate::{Key, Value};

/// Reads a snapshot chunk by chunk. What it hands out is checked, but only [`Reader::next_chunk`]'s `None` says that nothing is missing.
pub struct Reader<R> {
    from: R,
    header: Header,
    seal: Hash,
    whole: blake3::Hasher,
    state: blake3::Hasher,
    at: u64,
    chunks: u64,
    rows: u64,
    plain_bytes: u64,
    last_key: Option<Key>,
    summary: Option<Summary>,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`SnapshotError::Corrupt`], [`SnapshotError::NewerFormat`], [`SnapshotError::Io`].
    pub fn open(from: R) -> Result<Self, SnapshotError> {
        let position = crate::log::Position::ZERO;
        let mut reader = Self {
            from,
            header: Header { cell: 0, position },
            seal: Hash::ZERO,
            whole: blake3::Hasher::new(),
            state: blake3::Hasher::new(),
            at: 0,
            chunks: 0,
            rows: 0,
            plain_bytes: 0,
            last_key: None,
            summary: None,
        };
        let mut head = [0; HEADER_BYTES];
        reader.fill(&mut head)?;
        reader.whole.update(&head);
        reader.header = decode_header(&head)?;
        reader.seal = hash_at(&head, HEADER_BYTES - 32);
        Ok(reader)
    }

    /// What it is a snapshot of.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// What it held; `None` until the end has been read and found right.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        self.summary
    }

    /// The next rows, in key order; `None` at the end, once the footer has been checked.
    ///
    /// # Errors
    /// [`SnapshotError::Corrupt`] at the first byte that is not what was written, a missing or a surplus one included.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<(Key, Value)>>, SnapshotError> {
        if self.summary.is_some() {
            return Ok(None);
        }
        let begins = self.at;
        let mut head = [0; CHUNK_HEAD_BYTES];
        self.fill(&mut head)?;
        let (stored_len, plain_len, rows) = (u32_at(&head, 0), u32_at(&head, 4), u32_at(&head, 8));
        if stored_len == 0 {
            return self.finish(&head).map(|()| None);
        }
        let corrupt = |why| SnapshotError::Corrupt { at: begins, why };
        let mut stored = Vec::new();
        // Through `take`, so that a damaged length allocates no more than the stream has.
        let read = (&mut self.from).take(u64::from(stored_len)).read_to_end(&mut stored)?;
        self.at += read as u64;
        if read < stored_len as usize {
            return Err(SnapshotError::Corrupt { at: self.at, why: "it ends too early" });
        }
        if chunk_head(&self.seal, self.chunks, plain_len, rows, &stored) != head || plain_len > CHUNK_BYTES_MAX {
            return Err(corrupt("a chunk is not what was written"));
        }
        self.whole.update(&head).update(&stored);
        let plain = zstd::bulk::decompress(&stored, plain_len as usize).map_err(|_| corrupt("a chunk does not decompress"))?;
        let entries = parse(&plain, rows).filter(|_| plain.len() == plain_len as usize).ok_or(corrupt("a chunk holds no rows"))?;
        for (key, value) in &entries {
            if self.last_key.as_ref().is_some_and(|last| last >= key) || &key[..] < FIRST_KEY {
                return Err(corrupt("its keys are not in order"));
            }
            hash_row(&mut self.state, key, value);
            self.plain_bytes += (key.len() + value.len()) as u64;
            self.last_key = Some(key.clone());
        }
        self.chunks += 1;
        self.rows += u64::from(rows);
        Ok(Some(entries))
    }

    fn finish(&mut self, begun: &[u8; CHUNK_HEAD_BYTES]) -> Result<(), SnapshotError> {
        let begins = self.at - CHUNK_HEAD_BYTES as u64;
        let mut footer = [0; FOOTER_BYTES];
        footer[..CHUNK_HEAD_BYTES].copy_from_slice(begun);
        self.fill(&mut footer[CHUNK_HEAD_BYTES..])?;
        self.whole.update(&footer[..64]);
        let digest = Hash(*self.state.finalize().as_bytes());
        let right = self.whole.finalize().as_bytes() == &footer[64..]
            && footer[..8] == [0; 8]
            && u64_at(&footer, 8) == self.chunks
            && u64_at(&footer, 16) == self.rows
            && u64_at(&footer, 24) == self.plain_bytes
            && hash_at(&footer, 32) == digest;
        if !right {
            return Err(SnapshotError::Corrupt { at: begins, why: "its end does not match what came before" });
        }
        if self.from.read(&mut [0])? != 0 {
            return Err(SnapshotError::Corrupt { at: self.at, why: "something follows its end" });
        }
        let (rows, plain_bytes, bytes) = (self.rows, self.plain_bytes, self.at);
        self.summary = Some(Summary { header: self.header, rows, plain_bytes, bytes, digest });
        Ok(())
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<(), SnapshotError> {
        self.from.read_exact(into).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => SnapshotError::Corrupt { at: self.at, why: "it ends too early" },
            _ => SnapshotError::Io(error),
        })?;
        self.at += into.len() as u64;
        Ok(())
    }
}

fn parse(mut plain: &[u8], rows: u32) -> Option<Vec<(Key, Value)>> {
    let mut take = || {
        let (length, rest) = plain.split_first_chunk::<4>()?;
        let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        plain = rest;
        Some(bytes)
    };
    let mut entries = Vec::with_capacity(rows.min(1 << 16) as usize);
    for _ in 0..rows {
        entries.push((take()?.into(), take()?.into()));
    }
    (rows > 0 && plain.is_empty()).then_some(entries)
}

/// Reads a whole snapshot and says what it holds.
///
/// # Errors
/// As [`Reader::next_chunk`].
pub fn check(from: impl Read) -> Result<Summary, SnapshotError> {
    let mut reader = Reader::open(from)?;
    while reader.next_chunk()?.is_some() {}
    Ok(reader.summary().expect("a reader that has said None has checked the end and made its summary"))
}
