//! Words: the id, the row.

use serde::{Deserialize, Serialize};
use storage::{Id, Index, Kind, Row, Table, Timestamp};

use super::sniff::Format;
use crate::engine::{Denied, UserId};

/// Ids of media (`med_…`); who knows one may look.
#[derive(Debug)]
pub struct MediaTag;
impl Kind for MediaTag {
    const PREFIX: &'static str = "med";
}
pub type MediaId = Id<MediaTag>;

/// A picture may have this many bytes.
pub const IMAGE_BYTES_MAX: usize = 10 << 20;
/// One person may add this many within a day.
pub const PER_DAY_MAX: usize = 500;

/// A picture; its bytes are on the [`super::Shelf`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    pub owner: UserId,
    /// BLAKE3 of the bytes.
    pub hash: [u8; 32],
    pub format: Format,
    pub bytes: u64,
    pub created_at: Timestamp,
}

impl Row for Media {
    const VERSION: u8 = 1;
}

/// A person's pictures, the oldest first.
pub static MEDIA_BY_OWNER: Index<MediaId, Media> = Index::new(321, "media.by_owner", |_, media, keys| keys.add(&media.owner));
/// Whether a person has added these bytes before.
pub static MEDIA_BY_BYTES: Index<MediaId, Media> = Index::new(322, "media.by_bytes", |_, media, keys| keys.add(&(media.owner, media.hash)));
pub static MEDIA: Table<MediaId, Media> = Table::new(320, "media", &[&MEDIA_BY_OWNER, &MEDIA_BY_BYTES]);

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("at most {PER_DAY_MAX} pictures a day")]
    TooMany { retry_after_s: u32 },
    #[error(transparent)]
    Denied(#[from] Denied),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stored layout: a change here is a new `VERSION` and an `upgrade`.
    #[test]
    fn golden_bytes() {
        let media =
            Media { owner: UserId::from_u128(7), hash: [9; 32], format: Format::Webp, bytes: 300, created_at: Timestamp::from_millis(1) };
        let bytes = [&[1], 7_u128.to_be_bytes().as_slice(), &[9; 32], &[2, 0xAC, 2, 2]].concat();
        assert_eq!(media.to_bytes(), bytes);
        assert_eq!(Media::from_bytes(&bytes), Some(media));
    }
}
