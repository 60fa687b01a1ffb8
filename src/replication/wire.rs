//! What nodes say to each other. JSON, but for the log: frames of one kind byte, the payload's length (u32, little-endian), the payload.

use serde::{Deserialize, Serialize};
use storage::log::Record;
use storage::replica::frame;
use storage::{Hash, Position};

use super::role::{Promise, Role};

/// Names the stream that an acknowledgement belongs to.
pub const SESSION: &str = "medina-replication-session";

const RECORD: u8 = 1;
const HEARTBEAT: u8 = 2;
const HEAD_BYTES: usize = 5;
/// A record has at most 256 MiB; more is no frame of ours.
const PAYLOAD_BYTES_MAX: usize = (256 << 20) + 4096;

/// `GET /replication/status`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub node: String,
    pub role: Role,
    pub sandbox: bool,
    /// Whether it may be written to: a leader that has stepped down is none.
    pub leads: bool,
    pub epoch: u64,
    /// Durable there.
    pub seq: u64,
    /// Whom it follows.
    pub leader: Option<String>,
    /// A number of the process's own, so that a node that asks itself by another name knows itself. 0: it does not say.
    #[serde(default)]
    pub process: u64,
}

/// `?after=&hash=&epoch=&node=`: what a follower has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct From {
    pub after: u64,
    pub hash: String,
    pub epoch: u64,
    pub node: String,
}

/// `GET /replication/snapshot?node=`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asker {
    pub node: String,
}

/// `GET /replication/holds?seq=&hash=`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    pub seq: u64,
    pub hash: String,
}

/// Whether the leader's history has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Has {
    Yes,
    No,
    /// It no longer keeps that part of the log.
    Trimmed,
}

/// `POST /replication/ack`: everything up to here is on the follower's disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    pub session: u64,
    pub epoch: u64,
    pub seq: u64,
}

/// Sent at least each half second, so that idle and lost look different.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    pub epoch: u64,
    /// Where the leader stands.
    pub seq: u64,
    /// Bytes of records sent in this stream so far.
    pub sent_bytes: u64,
    pub promise: Promise,
    /// Whether the leader goes on without the follower that it should wait for.
    pub degraded: bool,
    /// The version of the people's keys.
    pub keys: u64,
}

/// One frame of the log's stream.
#[derive(Clone, Debug)]
pub enum Frame {
    Record(Record),
    Heartbeat(Heartbeat),
}

fn head(kind: u8, payload: usize, into: &mut Vec<u8>) {
    into.push(kind);
    into.extend_from_slice(&u32::try_from(payload).expect("a record is at most 256 MiB").to_le_bytes());
}

/// Appends a record's frame.
pub fn put_record(record: &Record, into: &mut Vec<u8>) {
    let mut payload = Vec::with_capacity(record.body.len() + 100);
    frame::encode(record, &mut payload);
    head(RECORD, payload.len(), into);
    into.extend_from_slice(&payload);
}

/// Appends a heartbeat's frame.
pub fn put_heartbeat(heartbeat: &Heartbeat, into: &mut Vec<u8>) {
    let payload = crate::engine::json_text(heartbeat);
    head(HEARTBEAT, payload.len(), into);
    into.extend_from_slice(payload.as_bytes());
}

/// Not a stream of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the leader sends what is no frame")]
pub struct BadFrame;

/// Takes whole frames off the front of `bytes`; the rest waits for more.
///
/// # Errors
/// [`BadFrame`].
pub fn take(bytes: &mut Vec<u8>) -> Result<Vec<(Frame, usize)>, BadFrame> {
    let (mut frames, mut at) = (Vec::new(), 0);
    while let Some((head, rest)) = bytes[at..].split_first_chunk::<HEAD_BYTES>() {
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > PAYLOAD_BYTES_MAX {
            return Err(BadFrame);
        }
        let Some(payload) = rest.get(..length) else { break };
        let frame = match head[0] {
            RECORD => Frame::Record(frame::decode(payload).ok_or(BadFrame)?),
            HEARTBEAT => Frame::Heartbeat(serde_json::from_slice(payload).map_err(|_| BadFrame)?),
            _ => return Err(BadFrame),
        };
        frames.push((frame, HEAD_BYTES + length));
        at += HEAD_BYTES + length;
    }
    bytes.drain(..at);
    Ok(frames)
}

/// 64 hexadecimal digits.
#[must_use]
pub fn parse_hash(text: &str) -> Option<Hash> {
    let mut hash = Hash::ZERO;
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in hash.0.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

impl From {
    /// What `node` has.
    #[must_use]
    pub fn of(position: Position, node: &str) -> Self {
        Self { after: position.seq, hash: position.hash.to_string(), epoch: position.epoch, node: node.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use storage::Timestamp;

    use super::*;
    use crate::engine::Ack;

    #[test]
    fn frames_survive_any_cut_of_the_stream() {
        let record = Record {
            epoch: 2,
            first_seq: 7,
            count: 3,
            time: Timestamp::from_millis(9),
            prev: Hash([1; 32]),
            hash: Hash([2; 32]),
            body: vec![5; 1000],
        };
        let promise = Promise { ack: Ack::Follower, follower: None };
        let mut stream = Vec::new();
        put_record(&record, &mut stream);
        put_heartbeat(&Heartbeat { epoch: 2, seq: 9, sent_bytes: 5, promise, degraded: false, keys: 3 }, &mut stream);
        put_record(&record, &mut stream);
        for step in 1..stream.len() {
            let (mut waiting, mut seen) = (Vec::new(), Vec::new());
            for piece in stream.chunks(step) {
                waiting.extend_from_slice(piece);
                seen.extend(take(&mut waiting).expect("frames").into_iter().map(|(frame, _)| frame));
            }
            assert!(waiting.is_empty());
            assert!(
                matches!(&seen[..], [Frame::Record(a), Frame::Heartbeat(h), Frame::Record(b)] if *a == record && *b == record && h.seq == 9)
            );
        }
        assert_eq!(take(&mut vec![9, 0, 0, 0, 0]).map(|frames| frames.len()), Err(BadFrame));
        assert_eq!(take(&mut vec![1, 255, 255, 255, 255]).map(|frames| frames.len()), Err(BadFrame));
    }

    #[test]
    fn hashes_are_64_digits() {
        let hash = Hash([0xA7; 32]);
        assert_eq!(parse_hash(&hash.to_string()), Some(hash));
        assert_eq!(parse_hash("a7"), None);
        assert_eq!(parse_hash(&"zz".repeat(32)), None);
    }
}
