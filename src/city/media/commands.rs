//! A picture is added.

use storage::{Direction, Read};

use super::model::{MEDIA, MEDIA_BY_BYTES, MEDIA_BY_OWNER, Media, MediaId, PER_DAY_MAX, Refusal};
use super::sniff::Format;
use crate::engine::{Question, Resource, Tx, UserId};

const DAY_MS: i64 = 86_400_000;

/// May the caller add pictures?
#[must_use]
pub fn question() -> Question {
    Question::new("media.create", Resource::new("Media", "new"))
}

/// Adds a picture whose bytes are on the shelf. The same bytes of the same person are the same picture.
///
/// # Errors
/// [`Refusal::Denied`]; [`Refusal::TooMany`] within a day.
pub fn add(tx: &mut Tx<'_, '_>, hash: [u8; 32], format: Format, bytes: u64) -> Result<MediaId, Refusal> {
    tx.authorize(&question())?;
    let owner = tx.caller().user_id().ok_or(crate::engine::Denied::Unauthenticated)?;
    if let Some(known) = MEDIA.keys(tx, &MEDIA_BY_BYTES, &(owner, hash)).next() {
        return Ok(known);
    }
    let now = tx.now();
    if let Some(oldest) = oldest_of_many(tx, owner)
        && now.ms_since(oldest) < DAY_MS
    {
        let wait_s = (DAY_MS - now.ms_since(oldest)) / 1000 + 1;
        return Err(Refusal::TooMany { retry_after_s: u32::try_from(wait_s).unwrap_or(u32::MAX) });
    }
    let id: MediaId = tx.new_id();
    MEDIA.put(tx, &id, &Media { owner, hash, format, bytes, created_at: now });
    Ok(id)
}

/// When the person added the picture before which there are as many as a day allows.
fn oldest_of_many(read: &impl Read, owner: UserId) -> Option<storage::Timestamp> {
    MEDIA.page(read, &MEDIA_BY_OWNER, &owner, None, Direction::Backward).nth(PER_DAY_MAX - 1).map(|(_, _, media)| media.created_at)
}
