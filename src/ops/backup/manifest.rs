//! What is written beside a snapshot's parts, last: without it a snapshot is not there.

use serde::{Deserialize, Serialize};
use storage::archive::Place;
use storage::{Hash, Position, Timestamp};

use super::pictures::Pictures;

/// The snapshot in `snapshots/<place>/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of this file; 1.
    pub format: u32,
    /// The release that took it.
    pub medina: String,
    /// `live` or `sandbox`.
    pub mode: String,
    pub cell: u64,
    pub epoch: u64,
    pub seq: u64,
    /// Of the last record in it.
    pub time: String,
    /// Of the last record in it, in hex.
    pub hash: String,
    /// Of the state, in hex: what `medina verify` shows.
    pub digest: String,
    pub rows: u64,
    pub plain_bytes: u64,
    /// When the copy was made, by the machine's clock.
    pub taken_at: String,
    /// One after the other they are the snapshot.
    pub parts: Vec<Part>,
    /// Which pictures its rows name; absent from snapshots of release 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Pictures>,
}

/// A part of the stream, an object of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    /// Unencrypted.
    pub bytes: u64,
    /// BLAKE3 of the unencrypted bytes, in hex.
    pub blake3: String,
}

/// The name of the file.
pub const MANIFEST: &str = "manifest.json";
/// What this program writes and the newest that it reads.
pub const FORMAT: u32 = 1;

impl Manifest {
    /// Reads one.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let bad = |error: serde_json::Error| format!("a snapshot's manifest cannot be read: {error}");
        let Version { format } = serde_json::from_slice(bytes).map_err(bad)?;
        if format > FORMAT {
            return Err(format!(
                "the snapshot's manifest has format {format}, this program knows up to {FORMAT}: use the newer release that wrote it"
            ));
        }
        serde_json::from_slice(bytes).map_err(bad)
    }

    /// As it is written.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a manifest is plain data with string keys, and JSON takes that")
    }

    /// Where the snapshot stands.
    ///
    /// # Errors
    /// If hash or time are none.
    pub fn position(&self) -> Result<Position, String> {
        let bad = || "a snapshot's manifest has no right hash or time".to_owned();
        let time: Timestamp = self.time.parse().map_err(|_| bad())?;
        let hash: [u8; 32] = *blake3::Hash::from_hex(&self.hash).map_err(|_| bad())?.as_bytes();
        Ok(Position { epoch: self.epoch, seq: self.seq, hash: Hash(hash), time })
    }

    /// The name of its folder.
    ///
    /// # Errors
    /// As [`Manifest::position`].
    pub fn place(&self) -> Result<Place, String> {
        Ok(self.position()?.into())
    }

    /// Compressed, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}
