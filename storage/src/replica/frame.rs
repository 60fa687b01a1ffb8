//! A record on its way from one node to another. Layout: `FORMAT.md`, "Record in transit".

use crate::clock::Timestamp;
use crate::log::{Hash, Record};

/// Bytes before the body.
const HEAD_BYTES: usize = 8 + 8 + 4 + 8 + 32 + 32;

/// Appends a record.
pub fn encode(record: &Record, into: &mut Vec<u8>) {
    into.reserve(HEAD_BYTES + record.body.len());
    into.extend_from_slice(&record.epoch.to_le_bytes());
    into.extend_from_slice(&record.first_seq.to_le_bytes());
    into.extend_from_slice(&record.count.to_le_bytes());
    into.extend_from_slice(&record.time.millis().to_le_bytes());
    into.extend_from_slice(&record.prev.0);
    into.extend_from_slice(&record.hash.0);
    into.extend_from_slice(&record.body);
}

/// Decodes one record; `None` if the bytes are none. Whether its hash is right is checked when it is applied.
#[must_use]
pub fn decode(mut bytes: &[u8]) -> Option<Record> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (head, rest) = bytes.split_first_chunk::<N>()?;
        *bytes = rest;
        Some(*head)
    }
    let epoch = u64::from_le_bytes(take(&mut bytes)?);
    let first_seq = u64::from_le_bytes(take(&mut bytes)?);
    let count = u32::from_le_bytes(take(&mut bytes)?);
    let time = Timestamp::from_millis(i64::from_le_bytes(take(&mut bytes)?));
    let (prev, hash) = (Hash(take(&mut bytes)?), Hash(take(&mut bytes)?));
    let sane = count > 0 && first_seq > 0 && first_seq.checked_add(u64::from(count)).is_some();
    sane.then(|| Record { epoch, first_seq, count, time, prev, hash, body: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trip(epoch: u64, first_seq in 1..u64::MAX / 2, count in 1..u32::MAX, time: i64, prev: [u8; 32], hash: [u8; 32], body in vec(any::<u8>(), 0..300)) {
            let record = Record { epoch, first_seq, count, time: Timestamp::from_millis(time), prev: Hash(prev), hash: Hash(hash), body };
            let mut bytes = Vec::new();
            encode(&record, &mut bytes);
            prop_assert_eq!(decode(&bytes), Some(record));
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
